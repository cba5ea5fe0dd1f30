// SPDX-License-Identifier: Apache-2.0
//
// Cases that other load balancers have tests for, or had defects in, where they
// apply here: the input as theirs, the outcome as IPVS's where theirs is
// another. Named by what they are about; the rest of their cases is in the
// matrix (forward_test.cc).
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

// Katran's payload, ports and TOS.
const char kPayload[] = "katran test pkt";
constexpr uint8_t kTos = 0x8c;

Frame WithPayload(Frame frame) {
  frame.payload.assign(std::begin(kPayload), std::end(kPayload) - 1);
  return frame;
}

std::vector<Delivery> IpipOf(Protocol protocol) {
  std::vector<Delivery> ipips = DeliveriesOf(protocol);
  std::erase_if(ipips, [](const Delivery& d) {
    return !d.is_tunnel() || d.forwarding.tunnel.type != TunnelType::kIpip;
  });
  return ipips;
}

class Field : public PacketTest {};

// ---- Katran: balancer fixtures

TEST_F(Field, PacketsToAServiceGoIntoTheTunnelWithTheirTos) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
    for (const Delivery& delivery : IpipOf(protocol)) {
      SCOPED_TRACE(NameOf(delivery));
      bench.Reset();
      bench.SetNow(kStart);
      Configure(bench, delivery);
      bench.Run(FirstPacket(delivery));
      Frame in = WithPayload(NextPacket(delivery));
      in.sport = delivery.client1().port;
      ExpectDelivered(bench, delivery, in);
      in.ip.tos = kTos;
      ExpectDelivered(bench, delivery, in);
    }
}

TEST_F(Field, AServiceForAnyPortTakesAnyPort) {
  for (const Family family : kFamilies)
    for (const Method method : {Method::kMasq, Method::kRoute}) {
      bench.Reset();
      bench.SetNow(kStart);
      const AddressBook& book = BookOf(family);
      bench.AddDest(bench.AddService({book.service1.addr, 0}, Protocol::kUdp),
                    {book.dest1.addr, 0}, kHop1, 1, {method, {}});
      for (const uint16_t port : {1, 42, 80, 443, 8080, 65535}) {
        const Endpoint service = {book.service1.addr, port};
        const Frame in = WithPayload(UdpFrame(book.client1, service));
        // Masq keeps the port, and finds the service's again.
        ExpectRun(
            bench, in, XLVS_STEP_tx_client_to_dest,
            Via(method == Method::kMasq ? To(in, {book.dest1.addr, port}) : in,
                kHop1));
        if (method != Method::kMasq) continue;
        const Frame reply = UdpFrame({book.dest1.addr, port}, book.client1, 9);
        ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
                  ViaRouter(From(reply, service)));
      }
    }
}

TEST_F(Field, EchoesToAServiceAreTheHostsToAnswer) {
  for (const Delivery& delivery : IpipOf(Protocol::kUdp)) {
    bench.Reset();
    Configure(bench, delivery);
    ExpectUntouched(
        bench,
        EchoFrame(delivery.client1().addr, delivery.service1().addr, 1, 1, 15),
        XLVS_STEP_pass_icmp);
  }
}

TEST_F(Field, TunnelPacketsToAServiceArePassed) {
  for (const Delivery& outer : IpipOf(Protocol::kUdp)) {
    bench.Reset();
    Configure(bench, outer);
    for (const Family inner : kFamilies) {
      const AddressBook& book = BookOf(inner);
      Frame in = InTunnel(
          UdpFrame(book.client1, book.service1, 15),
          {.saddr = outer.client1().addr, .daddr = outer.service1().addr});
      ExpectUntouched(bench, in, XLVS_STEP_pass_protocol);
    }
  }
}

TEST_F(Field, AFrameOf1515BytesIsTooBigForTheTunnel) {
  for (const Delivery& delivery : IpipOf(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    Frame in = NextPacket(delivery, 0);
    in.payload = Pattern(1515 - Build(in).size());
    ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_frag_needed,
                   TooBig(delivery.client, 1500 - delivery.OverheadBytes()));
  }
}

TEST_F(Field, QuicIsUdp) {
  // Long and short headers of a connection that changes its id: it is told by
  // addresses and ports.
  for (const Delivery& delivery : IpipOf(Protocol::kUdp)) {
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    for (const uint8_t header : {0xc0, 0xe0, 0xf0, 0x40, 0x00})
      for (const uint8_t id : {1, 2, 3}) {
        Frame in = NextPacket(delivery, 30);
        in.payload[0] = header;
        in.payload[6] = id;
        ExpectDelivered(bench, delivery, in);
      }
    EXPECT_EQ(bench.Records().size(), 1u);
  }
}

TEST_F(Field, ATcpOptionOfLength0IsNotWalked) {
  for (const Delivery& delivery : FewDeliveries(Family::kV4)) {
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    bench.Run(FirstPacket(delivery));
    Frame in = NextPacket(delivery);
    in.tcp.options = {0xb7, 0, 0, 0, 0, 0, 0, 0};
    ExpectDelivered(bench, delivery, in);
  }
}

TEST_F(Field, APacketWithoutHopsLeftGoesIntoNoTunnel) {
  for (const Delivery& delivery : IpipOf(Protocol::kTcp)) {
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    Frame in = FirstPacket(delivery);
    in.ip.ttl = 0;
    ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_ttl_exceeded,
                   TimeExceeded(delivery.client));
  }
}

// A checksum that is corrected by addition, but without the carry, is wrong for
// some values only: so all values.
TEST_F(Field, EveryValueOfAChecksumIsCorrectedRight) {
  for (const Family family : kFamilies) {
    SCOPED_TRACE(family == Family::kV4 ? "v4" : "v6");
    bench.Reset();
    bench.SetNow(kStart);
    const Delivery delivery = {
        .client = family, .dest = family, .protocol = Protocol::kUdp};
    Configure(bench, delivery);
    bench.Run(FirstPacket(delivery));
    const AddressBook& book = BookOf(family);
    Frame about = NextPacket(delivery, 2);
    std::swap(about.ip.saddr, about.ip.daddr);
    std::swap(about.sport, about.dport);
    Bytes quote = BuildL3(about);
    const Bytes rewritten = [&] {
      Bytes l3 = BuildL3(From(about, delivery.dest1()));
      const size_t check = l3.size() - BuildL4(about).size() + 6;
      std::copy_n(quote.begin() + check, 2, l3.begin() + check);
      return l3;
    }();
    std::set<uint16_t> seen;
    for (uint32_t value = 0; value < 65536; ++value) {
      Bytes out_quote = rewritten;
      quote[quote.size() - 2] = out_quote[out_quote.size() - 2] = value >> 8;
      quote[quote.size() - 1] = out_quote[out_quote.size() - 1] = value & 0xff;
      const auto error = [&](const Addr& to, const Bytes& packet) {
        return IcmpErrorFrame(book.client_router, to, PortUnreachable(family),
                              packet, packet.size());
      };
      const Bytes want =
          Build(Via(error(delivery.dest1().addr, out_quote), kHop1));
      Bytes out;
      ASSERT_EQ(
          bench.RunUncounted(Build(error(book.service1.addr, quote)), &out),
          XDP_TX);
      seen.insert(Get16(out, out.size() - out_quote.size() - 6));
      if (out != want) {
        ExpectSame(want, out);
        break;
      }
    }
    EXPECT_GE(seen.size(), 65535u);
    EXPECT_EQ(bench.Records().size(), 1u);
  }
}

// ---- Cilium: NAT and its reverse

TEST_F(Field, FragNeededAboutANattedFlowRestoresAddressAndPortOfTheQuote) {
  const Delivery delivery = {};
  Configure(bench, delivery);
  bench.Run(FirstPacket(delivery));
  Frame sent = Via(To(NextPacket(delivery), kDest1), kHop1);
  const Bytes quote = BuildL3(sent);
  const Frame in = IcmpErrorFrame(kBookV4.dest_router, kClient1.addr,
                                  FragNeeded(1400), quote, 28);
  const Outcome outcome = bench.Run(in);
  EXPECT_EQ(StepName(outcome.step), "tx_error_to_client");
  const std::span<const uint8_t> icmp = L3Of(outcome.out);
  const std::span<const uint8_t> quoted = icmp.subspan(28);
  EXPECT_EQ(V4(Get32(icmp, 12)), kService1.addr);
  EXPECT_EQ(V4(Get32(icmp, 16)), kClient1.addr);
  EXPECT_EQ(V4(Get32(quoted, 12)), kClient1.addr);
  EXPECT_EQ(V4(Get32(quoted, 16)), kService1.addr);
  EXPECT_EQ(Get16(quoted, 20), kClient1.port);
  EXPECT_EQ(Get16(quoted, 22), kService1.port);
  EXPECT_EQ(Get16(icmp, 26), 1400);
}

// Both directions are one record: none can be lost alone.
TEST_F(Field, AFlowIsOneRecord) {
  for (const Delivery& delivery : AllDeliveries()) {
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    bench.Run(FirstPacket(delivery));
    bench.Run(NextPacket(delivery));
    if (delivery.is_masq()) bench.Run(ReplyPacket(delivery));
    EXPECT_EQ(bench.Records().size(), 1u);
  }
}

// ---- GLB: which packets are meant

TEST_F(Field, OneAddressServesByTheServicesPortsOnly) {
  for (const Family family : kFamilies) {
    bench.Reset();
    bench.SetNow(kStart);
    const AddressBook& book = BookOf(family);
    std::map<uint16_t, Endpoint> dests;
    for (const uint16_t port : {80, 443, 9000}) {
      const Endpoint dest = {book.dest1.addr, static_cast<uint16_t>(port + 1)};
      bench.AddDest(bench.AddService({book.service1.addr, port}), dest);
      dests[port] = dest;
    }
    for (int port = 1; port < 65536; port += port == 79     ? 1
                                             : port < 65000 ? 181
                                                            : 1) {
      const Endpoint service = {book.service1.addr,
                                static_cast<uint16_t>(port)};
      const Frame in = TcpFrame(book.client1, service, kSyn);
      if (dests.contains(port))
        ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest,
                  Via(To(in, dests[port]), kHop1));
      else
        ExpectUntouched(bench, in, XLVS_STEP_pass_no_service);
    }
  }
}

// ---- loxilb: least connections looked at the first 16 only

TEST_F(Field, LeastConnectionsLooksAtAllDests) {
  constexpr int kDests = 40;
  for (const Scheduler scheduler : {Scheduler::kLc, Scheduler::kWlc}) {
    bench.Reset();
    bench.SetNow(kStart);
    const ServiceKey service =
        bench.AddService(kService1, Protocol::kTcp, scheduler);
    std::vector<uint32_t> dests;
    for (uint32_t i = 0; i < kDests; ++i)
      dests.push_back(bench.AddDest(service, {kDest1.addr + i, 80}));
    for (int i = 0; i < 3 * kDests; ++i)
      bench.Run(TcpFrame({kClient1.addr, static_cast<uint16_t>(5000 + i)},
                         kService1, kSyn));
    for (const uint32_t dest : dests) EXPECT_EQ(bench.Counts(dest), "3/0");
  }
}

// ---- xvs: what a UDP flow was stored in was not where it was looked for

TEST_F(Field, AUdpFlowStaysWithItsDest) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    const uint32_t other = bench.AddDest({.vaddr = IpAddr(bench.dests[1].vaddr),
                                          .vport = delivery.service1().port,
                                          .protocol = Protocol::kUdp},
                                         BookOf(delivery.dest).dest2, kHop2, 1,
                                         delivery.forwarding);
    if (delivery.is_tunnel())
      bench.SetTunnelSource(other, BookOf(delivery.dest).director);
    const uint8_t first = bench.Run(NextPacket(delivery)).out[5];
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(bench.Run(NextPacket(delivery)).out[5], first);
  }
}

// A driver told the end of its buffer instead of the packet's (vmxnet3).
TEST_F(Field, WhatStandsBehindAPacketIsNotPartOfIt) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    bench.Reset();
    bench.SetNow(kStart);
    Configure(bench, delivery);
    bench.Run(FirstPacket(delivery));
    Frame in = NextPacket(delivery, 5);
    in.padding = Bytes(1500, 0xee);
    // Fits, whatever is behind it.
    ExpectDelivered(bench, delivery, in);
    in.ip.ttl = 1;
    ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_ttl_exceeded,
                   TimeExceeded(delivery.client));
  }
}

// Public seeds let anybody choose the bucket.
TEST(FieldSeeds, EveryDirectorHashesByItsOwnKey) {
  std::set<uint64_t> words;
  for (int i = 0; i < 2; ++i) {
    const Bench bench;
    for (const uint64_t word : bench.meta().config.hash_key) words.insert(word);
  }
  EXPECT_EQ(words.size(), 2u * (XLVS_HASH_WORDS + 1));
}

}  // namespace
}  // namespace xlvs
