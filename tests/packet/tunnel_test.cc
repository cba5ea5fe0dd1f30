// SPDX-License-Identifier: Apache-2.0
//
// Tunnels: what is beyond one packet's bytes (forward_test.cc), and what
// becomes of ICMP errors about tunnel packets.
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

std::vector<Delivery> Tunnels(Protocol protocol) {
  std::vector<Delivery> tunnels = DeliveriesOf(protocol);
  std::erase_if(tunnels, [](const Delivery& d) { return !d.is_tunnel(); });
  return tunnels;
}

class TunnelTest : public DeliveryTest {
 protected:
};

uint16_t GueSport(const Delivery& delivery, const Bytes& out) {
  return Get16(L3Of(out), delivery.dest == Family::kV4 ? 20 : 40);
}

TEST_F(TunnelTest, SendsAFlowFromOneGuePortAndOthersFromOthers) {
  for (const Protocol protocol :
       {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
    for (const Delivery& delivery : Tunnels(protocol)) {
      if (delivery.forwarding.tunnel.type != TunnelType::kGue) continue;
      SCOPED_TRACE(NameOf(delivery));
      BeginConnected(delivery);
      std::set<uint16_t> sports;
      for (int i = 0; i < 100; ++i) {
        const Endpoint client = {delivery.client1().addr + i / 10,
                                 static_cast<uint16_t>(3000 + i)};
        const uint16_t sport =
            GueSport(delivery, bench.Run(FirstPacket(delivery, client)).out);
        Frame next = NextPacket(delivery, 500);
        next.ip.saddr = client.addr;
        next.sport = client.port;
        next.ip.tos = i;
        EXPECT_EQ(GueSport(delivery, bench.Run(next).out), sport);
        sports.insert(sport);
      }
      EXPECT_GT(sports.size(), 90u);
    }
}

// Also of later fragments: a datagram goes to one queue.
TEST_F(TunnelTest, SendsAllFragmentsOfADatagramFromOneGuePort) {
  for (const Delivery& delivery : Tunnels(Protocol::kUdp)) {
    if (delivery.forwarding.tunnel.type != TunnelType::kGue) continue;
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    std::set<uint16_t> sports;
    for (const Bytes& fragment :
         Fragments(NextPacket(delivery, 3000), {1000, 1000}))
      sports.insert(GueSport(delivery, bench.Run(fragment).out));
    EXPECT_EQ(sports.size(), 1u);
  }
}

TEST_F(TunnelTest, SendsToTheGuePortThatTheDestHas) {
  for (const uint16_t port : {1, 80, 6080, 65535}) {
    Delivery delivery = {
        .forwarding = {Method::kTunnel, {TunnelType::kGue, port, {}}}};
    BeginConnected(delivery);
    ExpectDelivered(bench, delivery, NextPacket(delivery));
  }
}

// Read with each packet, unlike the method.
TEST_F(TunnelTest, FollowsTheDestsTunnelAtTheNextPacket) {
  for (const Delivery& other : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(other));
    BeginConnected({.forwarding = {Method::kTunnel, {TunnelType::kIpip, 0, {}}},
                    .client = other.client,
                    .dest = other.dest});
    bench.dests[dest_].tunnel_type =
        static_cast<xlvs_tunnel_type>(other.forwarding.tunnel.type);
    bench.dests[dest_].tunnel_port = other.forwarding.tunnel.port;
    bench.dests[dest_].tunnel_flags =
        static_cast<uint8_t>(other.forwarding.tunnel.checksum);
    bench.dests[dest_].tunnel_bytes =
        static_cast<uint8_t>(other.OverheadBytes());
    ExpectDelivered(bench, other, NextPacket(other));
  }
}

TEST_F(TunnelTest, AConnectionKeepsItsMethodWhenTheDestGetsAnother) {
  const Delivery first = Tunnels(Protocol::kTcp).front();
  BeginConnected(first);
  bench.dests[dest_].method = XLVS_METHOD_route;
  ExpectDelivered(bench, first, NextPacket(first));
  const Delivery route = {.forwarding = {Method::kRoute, {}}};
  const Frame syn = FirstPacket(route, route.client2());
  ExpectRun(bench, syn, XLVS_STEP_tx_client_to_dest, Via(syn, kHop1));
}

TEST_F(TunnelTest, DropsWhatHasNoOwnAddressToComeFrom) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    bench.dests[dest_].tunnel_saddr = {};
    ExpectUntouched(bench, NextPacket(delivery), XLVS_STEP_drop_tunnel_source);
  }
}

// The kernel leaves 256 bytes before a packet, 40 of them its own; metadata
// takes of it.
TEST_F(TunnelTest, DropsWhatHasNoRoomBeforeIt) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const Frame in = NextPacket(delivery);
    bool fitted = false, failed = false;
    for (uint32_t meta_bytes = 32;
         meta_bytes <= 216 && bench.TakesMetadata(meta_bytes);
         meta_bytes += 4) {
      const Outcome outcome = bench.RunWithMetadata(Build(in), meta_bytes);
      if (outcome.step == XLVS_STEP_drop_no_headroom) {
        Frame dropped = in;
        dropped.ip.ttl--;
        ExpectSame(Build(dropped), outcome.out);
        failed = true;
        continue;
      }
      EXPECT_FALSE(failed);
      EXPECT_EQ(outcome.step, XLVS_STEP_tx_client_to_dest);
      ExpectSame(Delivered(delivery, in, kHop1, outcome.out), outcome.out);
      fitted = true;
    }
    EXPECT_TRUE(fitted);
  }
}

// A UDP checksum that comes out as 0 is sent as ffff (RFC 768), GRE's is not.
TEST_F(TunnelTest, WritesEveryValueOfAChecksumRight) {
  for (const Delivery& delivery : Tunnels(Protocol::kUdp)) {
    if (delivery.forwarding.tunnel.checksum != TunnelChecksum::kFull ||
        delivery.client != delivery.dest)
      continue;
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame in = NextPacket(delivery, 2);
    in.udp_without_check = true;  // which would make up for the payload
    Bytes packet = Build(in);
    for (uint32_t value = 0; value < 65536; ++value) {
      packet[packet.size() - 2] = value >> 8;
      packet[packet.size() - 1] = value & 0xff;
      Bytes out;
      ASSERT_EQ(bench.RunUncounted(packet, &out), XDP_TX);
      const Bytes want = DeliveredBytes(delivery, packet, kHop1, out);
      if (out == want) continue;
      ExpectSame(want, out);
      break;
    }
  }
}

// ---- errors about tunnel packets

// As they are told to the client, by RFC 2003, RFC 2473 and RFC 4213.
IcmpError Translated(const IcmpError& error, const Delivery& delivery) {
  const Family outer = delivery.dest, inner = delivery.client;
  const bool too_big = outer == Family::kV4 ? error.type == 3 && error.code == 4
                                            : error.type == 2;
  if (too_big) {
    const uint32_t least = inner == Family::kV4 ? 68 : 1280;
    const uint32_t overhead = delivery.OverheadBytes();
    return TooBig(inner,
                  std::max<uint32_t>(
                      error.mtu > overhead ? error.mtu - overhead : 0, least));
  }
  if (outer == inner) return {.type = error.type, .code = error.code};
  const bool exceeded = error.type == (outer == Family::kV4 ? 11 : 3);
  return exceeded ? TimeExceeded(inner) : HostUnreachable(inner);
}

std::vector<IcmpError> TunnelErrors(Family outer) {
  std::vector<IcmpError> errors;
  const bool v4 = outer == Family::kV4;
  for (uint8_t code = 0; code < (v4 ? 16 : 7); ++code)
    if (!v4 || code != 4)
      errors.push_back(
          {.type = static_cast<uint8_t>(v4 ? 3 : 1), .code = code});
  for (const uint8_t code : {0, 1})
    errors.push_back({.type = static_cast<uint8_t>(v4 ? 11 : 3), .code = code});
  for (const uint32_t mtu : {1, 68, 576, 1280, 1400, 1492, 9000})
    errors.push_back(TooBig(outer, mtu));
  return errors;
}

class TunnelErrorTest : public TunnelTest {
 protected:
  // An error about a packet of the connection in its tunnel.
  Frame ErrorAbout(const Bytes& sent, const IcmpError& error,
                   size_t quote_bytes) {
    const AddressBook& book = BookOf(delivery_.dest);
    Frame frame = IcmpErrorFrame(book.dest_router, book.director, error,
                                 L3Of(sent), quote_bytes);
    frame.smac = kDest1Mac;
    frame.dmac = kInnerMac;
    return frame;
  }
  // What the client gets. `sent` is the tunnel packet, `quote_bytes` of which
  // came back; `out` may choose the IP id.
  Bytes AtClient(const Bytes& sent, const IcmpError& error, size_t quote_bytes,
                 const Bytes& out) {
    const AddressBook& book = BookOf(delivery_.client);
    const std::span<const uint8_t> outer = L3Of(sent);
    const std::span<const uint8_t> quoted =
        outer.first(std::min(quote_bytes, outer.size()))
            .subspan(delivery_.OverheadBytes());
    Frame frame = IcmpErrorFrame(
        book.service1.addr, book.client1.addr, Translated(error, delivery_),
        quoted, delivery_.client == Family::kV4 ? 576 - 28 : 1280 - 48);
    frame.ip.tos = delivery_.client == Family::kV4 ? 0xc0 : 0;
    frame.ip.id = IpIdOf(out);
    frame.dmac = kRouterMac;
    frame.smac = kDirectorMac;
    return Build(frame);
  }
  void ExpectToldToClient(const Bytes& sent, const IcmpError& error,
                          size_t quote_bytes) {
    const Bytes in = Build(ErrorAbout(sent, error, quote_bytes));
    const Outcome outcome = bench.Run(in);
    EXPECT_EQ(StepName(outcome.step), "tx_error_to_client");
    ExpectSame(AtClient(sent, error, quote_bytes, outcome.out), outcome.out);
  }
  // A packet as it left in the tunnel.
  Bytes Sent(const Frame& in) {
    const Outcome outcome = bench.Run(in);
    EXPECT_EQ(StepName(outcome.step), "tx_client_to_dest");
    return outcome.out;
  }
};

constexpr size_t kWholeQuote = 5000;

TEST_F(TunnelErrorTest, TellsTheClientAsIfAboutItsOwnPacket) {
  for (const Protocol protocol :
       {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
    for (const Delivery& delivery : Tunnels(protocol)) {
      SCOPED_TRACE(NameOf(delivery));
      BeginConnected(delivery);
      const Bytes sent = Sent(NextPacket(delivery, 1200));
      for (const IcmpError& error : TunnelErrors(delivery.dest)) {
        SCOPED_TRACE(absl::StrCat("type ", error.type, " code ", error.code,
                                  " mtu ", error.mtu));
        for (const size_t quote_bytes : {size_t{128}, size_t{548}, kWholeQuote})
          ExpectToldToClient(sent, error, quote_bytes);
      }
    }
}

TEST_F(TunnelErrorTest, NeedsTheClientsPortsInTheQuote) {
  for (const Delivery& delivery : Tunnels(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const Bytes sent = Sent(NextPacket(delivery, 60));
    const size_t needed = delivery.OverheadBytes() +
                          (delivery.client == Family::kV4 ? 20 : 40) + 4;
    const size_t all = L3Of(sent).size();
    const IcmpError error = HostUnreachable(delivery.dest);
    for (size_t quote = 0; quote <= all; ++quote) {
      SCOPED_TRACE(quote);
      if (quote >= needed) {
        ExpectToldToClient(sent, error, quote);
        continue;
      }
      // With nothing, and with the rest in the padding.
      Frame in = ErrorAbout(sent, error, quote);
      const Bytes before = Build(in);
      Outcome outcome = bench.Run(before);
      EXPECT_EQ(StepAction(outcome.step), StepAction(XLVS_STEP_pass_icmp));
      ExpectSame(before, outcome.out);
      in.padding.assign(L3Of(sent).begin() + quote, L3Of(sent).end());
      const Bytes padded = Build(in);
      outcome = bench.Run(padded);
      EXPECT_EQ(StepAction(outcome.step), StepAction(XLVS_STEP_pass_icmp));
      ExpectSame(padded, outcome.out);
    }
  }
}

// Who lets routers fragment does not listen.
TEST_F(TunnelErrorTest, TellsTooBigOnlyWhoForbidsFragments) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    if (delivery.client != Family::kV4) continue;
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame in = NextPacket(delivery, 1200);
    in.ip.dont_fragment = false;
    const Bytes sent = Sent(in);
    ExpectUntouched(bench,
                    ErrorAbout(sent, TooBig(delivery.dest, 1000), kWholeQuote),
                    XLVS_STEP_drop_icmp_failed);
    ExpectToldToClient(sent, HostUnreachable(delivery.dest), kWholeQuote);
  }
}

TEST_F(TunnelErrorTest, UnderstandsWhateverTheClientSent) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame in = NextPacket(delivery, 60);
    if (delivery.client == Family::kV4)
      in.ip.options = Bytes(40, 1);
    else
      in.ip.extensions = {HopByHopOptions(), DestOptions()};
    ExpectToldToClient(Sent(in), HostUnreachable(delivery.dest), kWholeQuote);
    in.vlans = {{kEtherTypeVlan, 9}};
    ExpectToldToClient(Sent(in), HostUnreachable(delivery.dest), kWholeQuote);
  }
}

TEST_F(TunnelErrorTest, UnderstandsAnErrorInEveryShape) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const Bytes sent = Sent(NextPacket(delivery, 60));
    const IcmpError error = HostUnreachable(delivery.dest);
    std::vector<std::function<void(Frame&)>> changes = {
        [](Frame& f) {
          f.vlans = {{kEtherTypeVlan, 5}};
        },
        [](Frame& f) { f.padding = Pattern(11); },
        [](Frame& f) { f.ip.ttl = 1; },  // it ends here
        [](Frame& f) { f.ip.tos = 0xff; }};
    if (delivery.dest == Family::kV4)
      changes.push_back([](Frame& f) { f.ip.options = Bytes(12, 1); });
    else
      changes.push_back(
          [](Frame& f) { f.ip.extensions = {HopByHopOptions()}; });
    for (const auto& change : changes) {
      Frame in = ErrorAbout(sent, error, kWholeQuote);
      change(in);
      const Outcome outcome = bench.Run(in);
      EXPECT_EQ(StepName(outcome.step), "tx_error_to_client");
      ExpectSame(AtClient(sent, error, kWholeQuote, outcome.out), outcome.out);
    }
  }
}

TEST_F(TunnelErrorTest, PassesErrorsAboutNoConnection) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const Bytes sent = Sent(NextPacket(delivery, 60));
    const IcmpError error = HostUnreachable(delivery.dest);
    const Frame in = ErrorAbout(sent, error, kWholeQuote);
    // From another tunnel than the connection's.
    const xlvs_addr daddr = bench.dests[dest_].daddr;
    bench.dests[dest_].daddr.byte[15] ^= 0x40;
    ExpectUntouched(bench, in, XLVS_STEP_pass_icmp_no_conn);
    bench.dests[dest_].daddr = daddr;
    // Not in a tunnel at all.
    Conn()->life.flags = XLVS_METHOD_route << XLVS_CONN_METHOD_SHIFT;
    ExpectUntouched(bench, in, XLVS_STEP_pass_icmp_no_conn);
    bench.AdvanceSeconds(1000);
    ExpectUntouched(bench, in, XLVS_STEP_pass_icmp_no_conn);
  }
}

TEST_F(TunnelErrorTest, PassesErrorsAboutWhatOnlyLooksLikeATunnel) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const Bytes sent = Sent(NextPacket(delivery, 60));
    const size_t l2 = 14, ip = delivery.dest == Family::kV4 ? 20 : 40;
    const IcmpError error = HostUnreachable(delivery.dest);
    const auto expect_passed = [&](size_t at, uint8_t value) {
      SCOPED_TRACE(absl::StrCat("byte ", at, " is ", value));
      Bytes changed = sent;
      changed[l2 + at] = value;
      ExpectUntouched(bench, ErrorAbout(changed, error, kWholeQuote),
                      XLVS_STEP_pass_icmp_no_conn);
    };
    switch (delivery.forwarding.tunnel.type) {
      case TunnelType::kGue:
        expect_passed(ip + 8, 0x01);   // options
        expect_passed(ip + 8, 0x40);   // variant 1
        expect_passed(ip + 8, 0x20);   // control
        expect_passed(ip + 9, 6);      // TCP in it
        expect_passed(ip + 10, 0x80);  // flags
        break;
      case TunnelType::kGre:
        expect_passed(ip, 0x20);      // a key
        expect_passed(ip + 1, 0x01);  // version 1
        expect_passed(ip + 2, 0x65);  // no IP
        break;
      default:
        break;
    }
    // The other family in it than it says.
    expect_passed(delivery.OverheadBytes(),
                  delivery.client == Family::kV4 ? 0x65 : 0x40);
  }
}

TEST_F(TunnelErrorTest, DropsErrorsWhoseChecksumIsWrong) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame in = ErrorAbout(Sent(NextPacket(delivery, 60)),
                          HostUnreachable(delivery.dest), kWholeQuote);
    in.l4_check_wrong_by = 1;
    ExpectUntouched(bench, in, XLVS_STEP_drop_icmp_checksum);
  }
}

TEST_F(TunnelErrorTest, PassesWhatIsNoError) {
  for (const Delivery& delivery : Tunnels(Protocol::kTcp)) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const Bytes sent = Sent(NextPacket(delivery, 60));
    for (const uint8_t type : {0, 5, 8, 12, 13, 128, 129, 135}) {
      if (delivery.dest == Family::kV6 && type < 128) continue;
      if (delivery.dest == Family::kV4 && type >= 128) continue;
      const Frame in = ErrorAbout(sent, {.type = type}, kWholeQuote);
      ExpectUntouched(bench, in, XLVS_STEP_pass_not_ours);
    }
  }
}

}  // namespace
}  // namespace xlvs
