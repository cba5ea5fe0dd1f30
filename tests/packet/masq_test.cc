// SPDX-License-Identifier: Apache-2.0
//
// NAT in both directions: which bytes change, which do not, and that checksums
// follow. What is right is computed over whole packets (packet.h).
#include <gtest/gtest.h>

#include <random>

#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

// One service of each protocol with one dest, and a connection of kClient1 to
// each.
class Masq : public PacketTest {
 protected:
  Masq() {
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
      bench.AddDest(bench.AddService(kService1, protocol), kDest1);
    bench.Run(TcpFrame(kClient1, kService1, kSyn));
    bench.Run(UdpFrame(kClient1, kService1));
  }

  // As it must come out.
  void ExpectToDest(const Frame& in) {
    ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest,
              Via(To(in, kDest1), kHop1));
  }
  void ExpectToClient(const Frame& in) {
    ExpectRun(bench, in, XLVS_STEP_tx_dest_to_client,
              ViaRouter(From(in, kService1)));
  }
  // The same packet in both directions, as TCP and as UDP.
  void ExpectBothWays(const std::function<void(Frame&)>& change) {
    Frame frames[] = {TcpFrame(kClient1, kService1, kAck, 100),
                      UdpFrame(kClient1, kService1, 100)};
    for (Frame& frame : frames) {
      change(frame);
      ExpectToDest(frame);
      ExpectToClient(Reply(frame));
    }
  }
  static Frame Reply(Frame frame) {
    frame.smac = kDest1Mac;
    frame.dmac = kInnerMac;
    frame.ip.saddr = kDest1.addr;
    frame.ip.daddr = kClient1.addr;
    frame.sport = kDest1.port;
    frame.dport = kClient1.port;
    return frame;
  }
};

TEST_F(Masq, RewritesAddressPortTtlAndMacsAndNothingElse) {
  ExpectBothWays([](Frame&) {});
}

TEST_F(Masq, LooksAtNoTcpFlagForForwarding) {
  xlvs_conn* conn = bench.Find(kClient1, kService1, Protocol::kTcp);
  ASSERT_NE(conn, nullptr);
  const xlvs_conn_life life = conn->life;
  for (int flags = 0; flags < 256; ++flags) {
    SCOPED_TRACE(flags);
    Frame frame = TcpFrame(kClient1, kService1, flags, 3);
    frame.tcp.reserved = flags % 16;
    frame.tcp.urgent = flags * 257;
    ExpectToDest(frame);
    conn = bench.Find(kClient1, kService1, Protocol::kTcp);
    ASSERT_NE(conn, nullptr);
    conn->life = life;
    ExpectToClient(Reply(frame));
    conn->life = life;
  }
}

TEST_F(Masq, CarriesTcpOptions) {
  for (size_t bytes = 4; bytes <= 40; bytes += 4) {
    Frame frame = TcpFrame(kClient1, kService1, kAck, 11);
    frame.tcp.options = Pattern(bytes);
    ExpectToDest(frame);
    ExpectToClient(Reply(frame));
  }
}

TEST_F(Masq, CarriesEverySizeOfPayload) {
  for (size_t bytes = 0; bytes <= 1460; ++bytes)
    ExpectBothWays([bytes](Frame& frame) { frame.payload = Pattern(bytes); });
}

TEST_F(Masq, DecrementsEveryTtlFrom255To2) {
  for (int ttl = 255; ttl >= 2; --ttl)
    ExpectBothWays([ttl](Frame& frame) { frame.ip.ttl = ttl; });
}

TEST_F(Masq, AnswersAClientWhoseTtlEnds) {
  for (const uint8_t ttl : {1, 0})
    for (Frame in : {TcpFrame(kClient1, kService1, kAck, 100),
                     UdpFrame(kClient1, kService1, 99)}) {
      in.ip.ttl = ttl;
      in.ip.tos = 0x04;
      ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_ttl_exceeded, kTimeExceeded);
    }
}

TEST_F(Masq, MakesTheConnectionEvenIfTheFirstPacketsTtlEnds) {
  Frame in = TcpFrame(kClient2, kService1, kSyn);
  in.ip.ttl = 1;
  ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_ttl_exceeded, kTimeExceeded);
  EXPECT_NE(bench.Find(kClient2, kService1, Protocol::kTcp), nullptr);
}

TEST_F(Masq, PassesAReplyWhoseTtlEndsUntouched) {
  for (const uint8_t ttl : {1, 0})
    for (Frame in : {TcpFrame(kClient1, kService1, kAck, 100),
                     UdpFrame(kClient1, kService1, 99)}) {
      in.ip.ttl = ttl;
      ExpectUntouched(bench, Reply(in), XLVS_STEP_pass_reply_ttl);
    }
}

TEST_F(Masq, LeavesTosAlone) {
  for (int tos = 0; tos < 256; ++tos)
    ExpectBothWays([tos](Frame& frame) { frame.ip.tos = tos; });
}

TEST_F(Masq, LeavesIpIdAndDontFragmentAlone) {
  for (const uint16_t id : {0x0000, 0x0001, 0x00ff, 0xff00, 0xffff, 0x8000})
    for (const bool dont_fragment : {false, true})
      ExpectBothWays([=](Frame& frame) {
        frame.ip.id = id;
        frame.ip.dont_fragment = dont_fragment;
      });
}

TEST_F(Masq, KeepsEthernetPadding) {
  for (size_t bytes = 1; bytes <= 46; ++bytes)
    ExpectBothWays([bytes](Frame& frame) {
      frame.payload.clear();
      frame.padding = Pattern(bytes);
    });
}

TEST_F(Masq, LeavesAWrongL4ChecksumWrongByAsMuch) {
  for (const uint16_t wrong_by :
       {1, 2, 0x00ff, 0x0100, 0x1234, 0x7fff, 0x8000, 0xfffe})
    ExpectBothWays([=](Frame& frame) { frame.l4_check_wrong_by = wrong_by; });
}

TEST_F(Masq, LeavesAWrongIpChecksumWrongByAsMuch) {
  for (const uint16_t wrong_by :
       {1, 2, 0x00ff, 0x0100, 0x1234, 0x7fff, 0x8000, 0xfffe})
    ExpectBothWays([=](Frame& frame) { frame.ip.check_wrong_by = wrong_by; });
}

TEST_F(Masq, LeavesAUdpPacketWithoutChecksumWithout) {
  Frame in = UdpFrame(kClient1, kService1, 57);
  in.udp_without_check = true;
  ExpectToDest(in);
  ExpectToClient(Reply(in));
}

// `frame` with a first payload word that makes its checksum 0.
Frame WithChecksumZero(Frame frame) {
  frame.payload[0] = frame.payload[1] = 0;
  const uint16_t check = L4Checksum(frame);
  frame.payload[0] = check >> 8;
  frame.payload[1] = check & 0xff;
  EXPECT_EQ(L4Checksum(frame), 0);
  return frame;
}

TEST_F(Masq, SendsAUdpChecksumThatBecomesZeroAsFfff) {
  // Zero when rewritten, not as it comes in.
  const Frame request =
      To(WithChecksumZero(To(UdpFrame(kClient1, kService1, 20), kDest1)),
         kService1);
  ASSERT_NE(L4Checksum(request), 0);
  ExpectToDest(request);

  const Frame reply =
      From(WithChecksumZero(
               From(Reply(UdpFrame(kClient1, kService1, 20)), kService1)),
           kDest1);
  ASSERT_NE(L4Checksum(reply), 0);
  ExpectToClient(reply);
}

TEST_F(Masq, TakesAUdpChecksumOfFfffAsTheZeroThatItStandsFor) {
  ExpectToDest(WithChecksumZero(UdpFrame(kClient1, kService1, 20)));
  ExpectToClient(WithChecksumZero(Reply(UdpFrame(kClient1, kService1, 20))));
}

TEST_F(Masq, SendsATcpChecksumThatBecomesZeroAsZero) {
  ExpectToDest(
      To(WithChecksumZero(To(TcpFrame(kClient1, kService1, kAck, 20), kDest1)),
         kService1));
}

TEST_F(Masq, KeepsThePortWhereServiceAndDestHaveTheSame) {
  const Endpoint service = {kService2.addr, 53}, dest = {kDest2.addr, 53};
  bench.AddDest(bench.AddService(service, Protocol::kUdp), dest, kHop2);
  const Frame in = UdpFrame(kClient1, service, 40);
  ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest, Via(To(in, dest), kHop2));
  const Frame reply = UdpFrame(dest, kClient1, 40);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, service)));
}

// A service for any port, and a dest that takes the packet's own.
TEST_F(Masq, SendsToThePacketsOwnPortWhereServiceAndDestNameNone) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
    bench.AddDest(bench.AddService({kService2.addr, 0}, protocol),
                  {kDest2.addr, 0}, kHop2);
  for (uint32_t port = 1; port <= 0xffff; port += 257) {
    const Endpoint service = {kService2.addr, static_cast<uint16_t>(port)};
    const Endpoint dest = {kDest2.addr, static_cast<uint16_t>(port)};
    // Another each time: those of one client port share one bucket.
    const Endpoint client = {kClient1.addr, static_cast<uint16_t>(port + 100)};
    for (const Frame& in :
         {TcpFrame(client, service, kSyn), UdpFrame(client, service, 9)}) {
      ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest,
                Via(To(in, dest), kHop2));
      Frame reply = in;
      reply = From(To(reply, client), dest);
      ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
                ViaRouter(From(reply, service)));
    }
  }
}

// As IPVS does it, which then ignores the port that the dest names.
TEST_F(Masq, SendsToThePacketsOwnPortWhereTheServiceNamesNone) {
  bench.AddDest(bench.AddService({kService2.addr, 0}), kDest2, kHop2);
  const Endpoint service = {kService2.addr, 4711}, dest = {kDest2.addr, 4711};
  const Frame in = TcpFrame(kClient1, service, kSyn);
  ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest, Via(To(in, dest), kHop2));
  const Frame reply = TcpFrame(dest, kClient1, kSyn | kAck);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, service)));
  ExpectUntouched(bench, TcpFrame(kDest2, kClient1, kAck),
                  XLVS_STEP_pass_reply_no_conn);
}

TEST_F(Masq, SendsToThePacketsOwnPortWhereTheDestNamesNone) {
  bench.AddDest(bench.AddService({kService2.addr, 443}), {kDest2.addr, 0},
                kHop2);
  const Endpoint service = {kService2.addr, 443}, dest = {kDest2.addr, 443};
  const Frame in = TcpFrame(kClient1, service, kSyn);
  ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest, Via(To(in, dest), kHop2));
  const Frame reply = TcpFrame(dest, kClient1, kSyn | kAck);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, service)));
}

TEST_F(Masq, PrefersTheServiceThatNamesThePort) {
  bench.AddDest(bench.AddService({kService1.addr, 0}), kDest2, kHop2);
  const Frame exact = TcpFrame(kClient2, kService1, kSyn);
  ExpectRun(bench, exact, XLVS_STEP_tx_client_to_dest,
            Via(To(exact, kDest1), kHop1));
  const Frame other = TcpFrame(kClient2, {kService1.addr, 81}, kSyn);
  ExpectRun(bench, other, XLVS_STEP_tx_client_to_dest,
            Via(To(other, {kDest2.addr, 81}), kHop2));
}

TEST(MasqRandom, RewritesTwentyThousandRandomConnections) {
  constexpr int kServices = 60, kConnections = 20'000;
  std::mt19937 random(1);
  const auto any_port = [&] {  // not 20, which is never scheduled
    return static_cast<uint16_t>(21 + random() % (0x10000 - 21));
  };
  const auto any_addr = [&] {  // neither 0, loopback nor multicast
    const uint32_t addr = 0x01000000 + random() % 0xdf000000;
    return V4(addr >> 24 == 127 ? addr + 0x01000000 : addr);
  };
  const auto any_mac = [&] {
    Mac mac;
    for (uint8_t& byte : mac) byte = random();
    mac[0] &= 0xfe;
    return mac;
  };

  Bench bench(SmallSizes(kConnections));
  bench.SetNow(1'000'000);
  struct Pair {
    Endpoint service, dest;
    Hop hop;
    Protocol protocol;
  };
  std::vector<Pair> pairs;
  for (int i = 0; i < kServices; ++i) {
    const Pair pair = {.service = {any_addr(), any_port()},
                       .dest = {any_addr(), any_port()},
                       .hop = {.dmac = any_mac(), .smac = any_mac(), .mtu = 0},
                       .protocol = i % 2 ? Protocol::kTcp : Protocol::kUdp};
    bench.AddDest(bench.AddService(pair.service, pair.protocol), pair.dest,
                  pair.hop);
    pairs.push_back(pair);
  }
  for (int i = 0; i < kConnections && !testing::Test::HasFailure(); ++i) {
    const Pair& pair = pairs[random() % pairs.size()];
    const Endpoint client = {any_addr(), any_port()};
    Frame in = pair.protocol == Protocol::kTcp
                   ? TcpFrame(client, pair.service, kSyn, random() % 64)
                   : UdpFrame(client, pair.service, random() % 64);
    in.ip.ttl = 2 + random() % 254;
    in.ip.id = random();
    in.tcp.seq = random();
    for (uint8_t& byte : in.payload) byte = random();
    ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest,
              Via(To(in, pair.dest), pair.hop));

    Frame reply = From(To(in, client), pair.dest);
    reply.ip.daddr = client.addr;
    reply.tcp.flags = kSyn | kAck;
    reply.ip.id = random();
    reply.tcp.ack = random();
    ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
              ViaRouter(From(reply, pair.service)));
  }
}

}  // namespace
}  // namespace xlvs
