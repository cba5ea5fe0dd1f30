// SPDX-License-Identifier: Apache-2.0
//
// Packets that are cut, that lie about themselves, or that nobody should send:
// none is balanced by a guess, and each ends as what it is.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

class Malformed : public PacketTest {
 protected:
  void Begin(const Delivery& delivery) {
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    bench.Run(FirstPacket(delivery));
  }
  // One of each method, family and protocol.
  static std::vector<Delivery> Few() {
    std::vector<Delivery> few;
    for (const Protocol protocol :
         {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
      for (const Family family : kFamilies)
        for (const Forwarding& forwarding :
             {Forwarding{Method::kMasq, {}}, Forwarding{Method::kRoute, {}},
              Forwarding{Method::kTunnel,
                         {TunnelType::kGue, kGuePort, TunnelChecksum::kFull}}})
          few.push_back({forwarding, family, family, protocol});
    return few;
  }
};

// Shapes whose every cut is another place to stop at.
std::vector<Frame> Sample(const Delivery& delivery) {
  std::vector<Frame> sample;
  const auto add = [&](const std::function<void(Frame&)>& change) {
    Frame frame = NextPacket(delivery, 20);
    change(frame);
    sample.push_back(frame);
    if (!delivery.is_masq()) return;
    frame = ReplyPacket(delivery, 20);
    change(frame);
    sample.push_back(frame);
  };
  add([](Frame&) {});
  add([](Frame& f) { f.vlans = {{kEtherTypeVlan, 1}}; });
  add([](Frame& f) { f.vlans = {{kEtherTypeQinq, 1}, {kEtherTypeVlan, 2}}; });
  if (delivery.client == Family::kV4) {
    add([](Frame& f) { f.ip.options = Bytes(4, 1); });
    add([](Frame& f) { f.ip.options = Bytes(40, 1); });
    return sample;
  }
  for (const Extension& extension :
       {HopByHopOptions(), DestOptions(Bytes(30)), Routing(2, 0, Bytes(20)),
        FragmentHeader(0, false, 7), Authentication(1, 2, Bytes(12))})
    add([&](Frame& f) { f.ip.extensions = {extension}; });
  add([](Frame& f) {
    f.ip.extensions = {HopByHopOptions(),
                       DestOptions(),
                       Routing(2, 0, Bytes(20)),
                       FragmentHeader(0, false, 7),
                       Authentication(1, 2, Bytes(12)),
                       DestOptions()};
  });
  return sample;
}

TEST_F(Malformed, PassesEveryShapeCutAnywhere) {
  for (const Delivery& delivery : Few()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (const Frame& frame : Sample(delivery)) {
      const Bytes whole = Build(frame);
      for (size_t bytes = 14; bytes < whole.size(); ++bytes)
        ExpectUntouched(bench, Bytes(whole.begin(), whole.begin() + bytes),
                        XLVS_STEP_pass_truncated);
    }
  }
}

// The lengths in it say less than there is.
TEST_F(Malformed, PassesEveryShapeThatSaysToBeShorterThanItsHeaders) {
  for (const Delivery& delivery : Few()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (Frame frame : Sample(delivery)) {
      const size_t l4_bytes = delivery.protocol == Protocol::kTcp   ? 20
                              : delivery.protocol == Protocol::kUdp ? 8
                                                                    : 16;
      const size_t headers =
          BuildL3(frame).size() - BuildL4(frame).size() + l4_bytes;
      const size_t least = delivery.client == Family::kV4 ? 0 : 40;
      for (size_t bytes = least; bytes < headers; ++bytes) {
        frame.ip.total_bytes = bytes;
        ExpectUntouched(bench, frame, XLVS_STEP_pass_truncated);
      }
    }
  }
}

// Whatever bytes: no wrong count of endings, no crash, nothing but what the
// kernel would get, and the table holds what it says.
TEST_F(Malformed, EndsOnceWhateverBytesAreChanged) {
  std::mt19937 random(5);
  for (const Delivery& delivery : Few()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    std::vector<Bytes> frames;
    for (const Frame& frame : Sample(delivery)) frames.push_back(Build(frame));
    const AddressBook& book = BookOf(delivery.client);
    frames.push_back(Build(IcmpErrorFrame(
        book.client_router, book.service1.addr,
        PortUnreachable(delivery.client),
        BuildL3(From(NextPacket(delivery), delivery.service1())), 100)));
    for (int i = 0; i < 400; ++i) {
      Bytes frame = frames[random() % frames.size()];
      for (uint32_t changes = 1 + random() % 4; changes > 0; --changes)
        frame[12 + random() % std::min<size_t>(frame.size() - 12, 110)] =
            random();
      if (random() % 4 == 0) frame.resize(14 + random() % (frame.size() - 13));
      if (i % 100 == 0) bench.Advance(1);
      const Outcome outcome = bench.Run(frame);
      EXPECT_NE(outcome.step, XLVS_STEP_drop_internal);
    }
    bench.ExpectHeadsTrue();
    bench.ExpectAllCounted();
  }
}

// ---- absurd rows: a director with a service of each family and protocol

using Change = std::function<void(Frame&)>;

struct Row {
  const char* name;
  xlvs_step step;
  Frame in;
};

Frame Changed(Frame frame, const Change& change) {
  change(frame);
  return frame;
}

Frame V6Syn(std::vector<Extension> extensions = {}) {
  Frame frame = TcpFrame(kClient1V6, kService1V6, kSyn, 20);
  frame.ip.extensions = std::move(extensions);
  return frame;
}

// Says to be (units + 1) * 8 bytes long, and is 8.
Extension Liar(uint8_t type, uint8_t units) {
  return {.type = type, .rest = {units, 0, 0, 0, 0, 0, 0}};
}

std::vector<Row> Rows() {
  const Frame syn = TcpFrame(kClient1, kService1, kSyn, 20);
  const Frame udp6 = UdpFrame(kClient1V6, kService1V6, 20);
  return {
      {"IPv4 said to be IPv6", XLVS_STEP_pass_malformed,
       Changed(syn, [](Frame& f) { f.ethertype = kEtherTypeIp6; })},
      {"IPv6 said to be IPv4", XLVS_STEP_pass_malformed,
       Changed(V6Syn(), [](Frame& f) { f.ethertype = kEtherTypeIp4; })},
      {"IPv6 of version 4", XLVS_STEP_pass_malformed,
       Changed(V6Syn(), [](Frame& f) { f.ip.version = 4; })},
      {"a tagged 802.3 length", XLVS_STEP_pass_not_ip,
       Changed(syn,
               [](Frame& f) {
                 f.vlans = {{kEtherTypeVlan, 1}};
                 f.ethertype = 60;
               })},
      {"three tags of three kinds", XLVS_STEP_pass_vlan,
       Changed(syn,
               [](Frame& f) {
                 f.vlans = {{kEtherTypeQinq, 1},
                            {kEtherTypeQinq, 2},
                            {kEtherTypeVlan, 3}};
               })},
      {"options up to behind the packet", XLVS_STEP_pass_truncated,
       Changed(UdpFrame(kClient1, kService1, 0),
               [](Frame& f) { f.ip.ihl = 15; })},
      {"options over the transport header", XLVS_STEP_pass_truncated,
       Changed(UdpFrame(kClient1, kService1, 15),
               [](Frame& f) { f.ip.ihl = 9; })},

      {"a jumbogram (RFC 2675)", XLVS_STEP_pass_truncated,
       Changed(V6Syn({HopByHopOptions({0xc2, 4, 0, 1, 0, 0})}),
               [](Frame& f) { f.ip.total_bytes = 40; })},
      {"IPv6 with nothing in it", XLVS_STEP_pass_truncated,
       Changed(udp6, [](Frame& f) { f.ip.total_bytes = 40; })},
      {"an extension longer than the packet", XLVS_STEP_pass_truncated,
       V6Syn({Liar(kDestOptions, 40)})},
      {"an extension of 2048 bytes", XLVS_STEP_pass_extensions,
       V6Syn({Liar(kHopByHop, 255)})},
      {"a chain of them", XLVS_STEP_pass_extensions,
       V6Syn({Liar(kHopByHop, 255), Liar(kDestOptions, 255),
              Liar(kRouting, 255)})},
      {"authentication of 1028 bytes", XLVS_STEP_pass_extensions,
       V6Syn({Liar(kAuthentication, 255)})},
      {"authentication of length 0", XLVS_STEP_pass_protocol,
       V6Syn({Liar(kAuthentication, 0), Liar(50, 0)})},
      {"nine hop-by-hop headers", XLVS_STEP_pass_extensions,
       V6Syn(std::vector<Extension>(9, HopByHopOptions()))},
      {"encryption", XLVS_STEP_pass_protocol, V6Syn({Liar(50, 0)})},
      {"no next header (59)", XLVS_STEP_pass_protocol, V6Syn({Liar(59, 0)})},
      {"IPv6 in IPv6 to a service", XLVS_STEP_pass_protocol,
       Changed(udp6, [](Frame& f) { f.ip.protocol = kProtocolIp6; })},
      {"ICMP of the other family", XLVS_STEP_pass_protocol,
       Changed(udp6, [](Frame& f) { f.ip.protocol = kProtocolIcmp; })},
      {"ICMPv6 in IPv4", XLVS_STEP_pass_protocol,
       Changed(syn, [](Frame& f) { f.ip.protocol = kProtocolIcmp6; })},

      {"SCTP without a chunk", XLVS_STEP_pass_truncated,
       SctpFrame(kClient1, kService1, {})},
      {"SCTP with a chunk of length 0", XLVS_STEP_pass_no_conn,
       SctpFrame(kClient1, kService1,
                 {{.type = kSctpData, .length_bytes = 0}})},
      {"from the service itself", XLVS_STEP_pass_martian,
       TcpFrame(kService1, kService1, kSyn)},
      {"from another service", XLVS_STEP_pass_martian,
       UdpFrame(kService1V6, {kService1V6.addr, 80})},
      {"all TCP flags", XLVS_STEP_pass_no_conn,
       TcpFrame(kClient1, kService1, 0xff)},
  };
}

TEST_F(Malformed, EndsAsTheRowsSay) {
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.name);
    bench.Reset();
    bench.SetNow(kStart);
    for (const Protocol protocol :
         {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
      for (const Family family : kFamilies)
        Configure(bench,
                  {.client = family, .dest = family, .protocol = protocol});
    ExpectUntouched(bench, row.in, row.step);
    EXPECT_TRUE(bench.Records().empty());
  }
}

// Nothing is between the ports and these.
TEST_F(Malformed, AsksNoLengthThatItDoesNotNeed) {
  for (const Delivery& delivery : Few()) {
    if (delivery.protocol == Protocol::kSctp) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    Bytes in = Build(NextPacket(delivery, 30));
    const size_t l4 = in.size() - BuildL4(NextPacket(delivery, 30)).size();
    // A TCP data offset of 0 and one of 15; a UDP length of 0 and of 65535:
    // checked by who needs them.
    for (const uint8_t value : {0x00, 0xff}) {
      Bytes changed = in;
      changed[l4 + (delivery.protocol == Protocol::kTcp ? 12 : 4)] = value;
      const Outcome outcome = bench.Run(changed);
      EXPECT_EQ(StepName(outcome.step), "tx_client_to_dest");
    }
  }
}

}  // namespace
}  // namespace xlvs
