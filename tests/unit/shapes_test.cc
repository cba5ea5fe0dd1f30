// SPDX-License-Identifier: Apache-2.0
//
// The packet path's parsers, compiled natively, on packets of every shape and
// on those that ICMP errors quote: cut anywhere, with bytes changed by chance.
// The sanitizers see every read.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "tests/packet/compose.h"
#include "tests/packet/packet.h"
#include "tests/unit/native.h"

namespace xlvs {
namespace {

// In a buffer that ends where the packet ends, so that one byte too far is
// seen. Two bytes before it, as drivers do, put the IP header at a multiple of
// four.
class Exact {
 public:
  Exact(std::span<const uint8_t> frame)
      : bytes_(frame.size()), buffer_(new uint8_t[2 + frame.size()]) {
    std::copy(frame.begin(), frame.end(), buffer_.get() + 2);
  }
  const uint8_t* data() const { return buffer_.get() + 2; }
  size_t size() const { return bytes_; }

 private:
  size_t bytes_;
  std::unique_ptr<uint8_t[]> buffer_;
};

xlvs_step Parse(std::span<const uint8_t> frame, native_packet* ret) {
  const Exact exact(frame);
  return native_parse(exact.data(), exact.size(), ret);
}

std::vector<Frame> FramesOf(const AddressBook& book) {
  return {TcpFrame(book.client1, book.service1, kSyn, 10),
          UdpFrame(book.client1, book.service1, 10),
          SctpFrame(book.client1, book.service1,
                    {{.type = kSctpCookieEcho, .value = Pattern(9)},
                     {.type = kSctpAbort}}),
          EchoFrame(book.client1.addr, book.service1.addr, 1, 2, 10)};
}

std::vector<Frame> EveryShape() {
  std::vector<Frame> shapes;
  const auto add = [&](Frame frame) {
    shapes.push_back(frame);
    frame.vlans = {{kEtherTypeVlan, 1}};
    shapes.push_back(frame);
    frame.vlans = {{kEtherTypeQinq, 1}, {kEtherTypeVlan, 2}};
    shapes.push_back(frame);
  };
  for (const Frame& plain : FramesOf(kBookV4)) {
    Frame frame = plain;
    add(frame);
    frame.ip.options = Bytes(4, 1);
    add(frame);
    frame.ip.options = Bytes(40, 1);
    add(frame);
    frame.ip.dont_fragment = false;
    frame.ip.more_fragments = true;
    add(frame);
  }
  for (const Frame& plain : FramesOf(kBookV6)) {
    add(plain);
    std::vector<Extension> all;
    for (const Extension& extension :
         {HopByHopOptions(), DestOptions(Bytes(30)), Routing(2, 0, Bytes(20)),
          FragmentHeader(0, true, 7), Authentication(1, 2, Bytes(12)),
          DestOptions(), DestOptions(), DestOptions()}) {
      Frame frame = plain;
      frame.ip.extensions = {extension};
      add(frame);
      all.push_back(extension);
      frame.ip.extensions = all;
      add(frame);
    }
  }
  return shapes;
}

TEST(Shapes, AreReadUpToTheirPorts) {
  for (const Frame& frame : EveryShape()) {
    const Bytes bytes = Build(frame);
    native_packet packet = {};
    ASSERT_EQ(Parse(bytes, &packet), XLVS_STEP_next);
    EXPECT_EQ(packet.l4_proto, frame.ip.protocol);
    EXPECT_EQ(packet.l4_off, bytes.size() - BuildL4(frame).size());
    EXPECT_EQ(packet.ip_bytes, BuildL3(frame).size());
    EXPECT_EQ(packet.sport, frame.sport);
    EXPECT_EQ(packet.dport, frame.dport);
  }
}

TEST(Shapes, ArePassedCutAtAnyLength) {
  for (const Frame& frame : EveryShape()) {
    const Bytes whole = Build(frame);
    for (size_t bytes = 1; bytes < whole.size(); ++bytes) {
      native_packet packet;
      EXPECT_EQ(Parse(std::span(whole).first(bytes), &packet),
                XLVS_STEP_pass_truncated)
          << bytes;
    }
  }
}

// Bytes changed by chance, cut by chance: whatever it was, nothing is balanced
// that was not read whole.
TEST(Shapes, NeverMakeTheParserReadBeyondTheFrame) {
  std::mt19937 random(3);
  std::vector<Bytes> shapes;
  for (const Frame& frame : EveryShape()) shapes.push_back(Build(frame));
  for (int i = 0; i < 300'000; ++i) {
    Bytes frame = shapes[random() % shapes.size()];
    for (uint32_t changes = random() % 6; changes > 0; --changes)
      frame[random() % frame.size()] =
          random() % 4 ? random() : 255 * (random() % 2);
    frame.resize(1 + random() % frame.size());
    native_packet packet;
    const xlvs_step step = Parse(frame, &packet);
    EXPECT_LE(step, XLVS_STEP_next);
    if (step == XLVS_STEP_next) {
      EXPECT_LE(packet.ip_bytes, frame.size() - 14);
    }
  }
}

// ---- quotes

struct Quote {
  Bytes frame;
  uint32_t offset;  // of the quoted packet
  bool v6;
  Frame about;
};

std::vector<Quote> EveryQuote() {
  std::vector<Quote> quotes;
  for (const Frame& about : EveryShape()) {
    const AddressBook& book = BookOf(FamilyOf(about.ip));
    const Bytes packet = BuildL3(about);
    const Frame error = IcmpErrorFrame(book.client_router, book.client1.addr,
                                       PortUnreachable(FamilyOf(about.ip)),
                                       packet, packet.size());
    Quote quote = {.frame = Build(error),
                   .offset = 0,
                   .v6 = FamilyOf(about.ip) == Family::kV6,
                   .about = about};
    quote.offset = quote.frame.size() - packet.size();
    quotes.push_back(quote);
  }
  return quotes;
}

xlvs_step ParseQuoted(std::span<const uint8_t> frame, const Quote& quote,
                      size_t end, native_packet* ret) {
  const Exact exact(frame);
  return native_parse_quoted(exact.data(), exact.size(), quote.offset, end,
                             quote.v6, ret);
}

TEST(Quotes, AreReadUpToTheirPortsIfThoseAreThere) {
  for (const Quote& quote : EveryQuote()) {
    const size_t ports_end =
        quote.frame.size() - BuildL4(quote.about).size() + 4;
    const bool icmp = quote.about.ip.protocol == kProtocolIcmp ||
                      quote.about.ip.protocol == kProtocolIcmp6;
    for (size_t bytes = quote.offset; bytes <= quote.frame.size(); ++bytes) {
      native_packet packet = {};
      // Once the frame ends there, once only the message does.
      const xlvs_step cut = ParseQuoted(std::span(quote.frame).first(bytes),
                                        quote, bytes, &packet);
      const xlvs_step padded = ParseQuoted(quote.frame, quote, bytes, &packet);
      EXPECT_EQ(cut == XLVS_STEP_next, bytes >= ports_end) << bytes;
      EXPECT_EQ(padded == XLVS_STEP_next, bytes >= ports_end) << bytes;
      if (bytes < ports_end || icmp) continue;
      EXPECT_EQ(packet.sport, quote.about.sport);
      EXPECT_EQ(packet.dport, quote.about.dport);
      EXPECT_EQ(packet.l4_off, ports_end - 4);
    }
  }
}

TEST(Quotes, NeverMakeTheParserReadBeyondTheFrame) {
  std::mt19937 random(4);
  const std::vector<Quote> quotes = EveryQuote();
  for (int i = 0; i < 300'000; ++i) {
    const Quote& quote = quotes[random() % quotes.size()];
    Bytes frame = quote.frame;
    for (uint32_t changes = random() % 6; changes > 0; --changes)
      frame[quote.offset + random() % (frame.size() - quote.offset)] =
          random() % 4 ? random() : 255 * (random() % 2);
    frame.resize(1 + random() % frame.size());
    native_packet packet;
    const xlvs_step step = ParseQuoted(frame, quote, frame.size(), &packet);
    EXPECT_LE(step, XLVS_STEP_next);
    if (step == XLVS_STEP_next) {
      EXPECT_LE(packet.l4_off + 4u, frame.size());
    }
  }
}

}  // namespace
}  // namespace xlvs
