// SPDX-License-Identifier: Apache-2.0
//
// Every way a packet can end (maps/step.h), and what it looks like then.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <bitset>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "maps/mark.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

// kService1 of both protocols, each with kDest1 behind it.
void OneService(Bench& bench) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
    bench.AddDest(bench.AddService(kService1, protocol), kDest1);
}

Frame Syn(Endpoint client = kClient1) {
  return TcpFrame(client, kService1, kSyn);
}
Frame Ack(size_t payload = 0) {
  return TcpFrame(kClient1, kService1, kAck, payload);
}
Frame ReplyAck(size_t payload = 0) {
  return TcpFrame(kDest1, kClient1, kAck, payload);
}

Frame Changed(Frame frame, const std::function<void(Frame&)>& change) {
  change(frame);
  return frame;
}

Frame SynV6() {
  return TcpFrame(kClient1V6, kService1V6, kSyn);
}

void OneServiceV6(Bench& bench) {
  bench.AddDest(bench.AddService(kService1V6), kDest1V6);
}

class Classify : public PacketTest {};

// ---- rows: a director with OneService, one packet

struct Row {
  std::string name;
  xlvs_step step;
  Frame in;
  // What comes out; empty: what came in.
  std::optional<Frame> out = std::nullopt;
  void (*setup)(Bench&) = OneService;
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {"a SYN to a service goes to its dest", XLVS_STEP_tx_client_to_dest,
       Syn(), Via(To(Syn(), kDest1), kHop1)},
      {"a SYN+ACK begins a connection as a SYN does",
       XLVS_STEP_tx_client_to_dest, TcpFrame(kClient1, kService1, kSyn | kAck),
       Via(To(TcpFrame(kClient1, kService1, kSyn | kAck), kDest1), kHop1)},
      {"a SYN with FIN does too", XLVS_STEP_tx_client_to_dest,
       TcpFrame(kClient1, kService1, kSyn | kFin),
       Via(To(TcpFrame(kClient1, kService1, kSyn | kFin), kDest1), kHop1)},
      {"a UDP packet to a service goes to its dest",
       XLVS_STEP_tx_client_to_dest, UdpFrame(kClient1, kService1, 9),
       Via(To(UdpFrame(kClient1, kService1, 9), kDest1), kHop1)},
      {"a real server can be a client", XLVS_STEP_tx_client_to_dest,
       TcpFrame(kDest1, kService1, kSyn),
       Via(To(TcpFrame(kDest1, kService1, kSyn), kDest1), kHop1)},

      {"nothing is ours before there is a service", XLVS_STEP_pass_no_services,
       Syn(), std::nullopt, [](Bench&) {}},
      {"nothing is ours after the last service is gone",
       XLVS_STEP_pass_no_services, Syn(), std::nullopt,
       [](Bench& bench) {
         OneService(bench);
         bench.Run(Syn());
         Must(bench.config().Clear());
       }},

      {"ARP is passed", XLVS_STEP_pass_not_ip,
       Changed(Syn(), [](Frame& f) { f.ethertype = 0x0806; })},
      {"LLDP is passed", XLVS_STEP_pass_not_ip,
       Changed(Syn(), [](Frame& f) { f.ethertype = 0x88cc; })},
      {"an 802.3 length is passed", XLVS_STEP_pass_not_ip,
       Changed(Syn(), [](Frame& f) { f.ethertype = 40; })},
      {"three VLAN tags are passed", XLVS_STEP_pass_vlan,
       Changed(Syn(),
               [](Frame& f) {
                 f.vlans = {{0x88a8, 1}, {0x8100, 2}, {0x8100, 3}};
               })},

      {"more extension headers than eight are passed",
       XLVS_STEP_pass_extensions,
       Changed(SynV6(),
               [](Frame& f) {
                 f.ip.extensions = std::vector<Extension>(9, DestOptions());
               }),
       std::nullopt, OneServiceV6},
      {"an IPv6 packet from a v4-mapped address is dropped",
       XLVS_STEP_drop_v4_mapped,
       Changed(SynV6(), [](Frame& f) { f.ip.saddr = AsMapped(kClient1.addr); }),
       std::nullopt, OneServiceV6},
      {"an IPv6 packet to a v4-mapped address is dropped",
       XLVS_STEP_drop_v4_mapped,
       Changed(SynV6(),
               [](Frame& f) { f.ip.daddr = AsMapped(kService1.addr); })},

      {"a multicast frame is passed", XLVS_STEP_pass_not_unicast,
       Changed(Syn(), [](Frame& f) { f.dmac = {1, 0, 0x5e, 0, 0, 1}; })},
      {"a broadcast frame is passed", XLVS_STEP_pass_not_unicast,
       Changed(Syn(), [](Frame& f) { f.dmac.fill(0xff); })},

      {"a later fragment without its first is passed", XLVS_STEP_pass_fragment,
       Changed(Syn(),
               [](Frame& f) {
                 f.ip.dont_fragment = false;
                 f.ip.more_fragments = true;
                 f.ip.offset = 185;
               })},
      {"the smallest offset makes a later fragment", XLVS_STEP_pass_fragment,
       Changed(Syn(), [](Frame& f) { f.ip.offset = 1; })},
      {"a later fragment to a stranger is not ours", XLVS_STEP_pass_not_ours,
       Changed(TcpFrame(kClient1, kStranger, kSyn),
               [](Frame& f) { f.ip.offset = 1; })},

      {"a packet to a stranger is passed", XLVS_STEP_pass_not_ours,
       TcpFrame(kClient1, kStranger, kSyn)},
      {"a packet straight to a real server is passed", XLVS_STEP_pass_not_ours,
       TcpFrame(kClient1, kDest1, kSyn)},
      {"a packet that claims to come from a service is passed",
       XLVS_STEP_pass_not_ours, TcpFrame(kService1, kClient1, kAck)},

      {"TCP to another port of the service is passed",
       XLVS_STEP_pass_no_service,
       TcpFrame(kClient1, {kService1.addr, 81}, kSyn)},
      {"UDP to another port of the service is passed",
       XLVS_STEP_pass_no_service, UdpFrame(kClient1, {kService1.addr, 81})},
      {"UDP to a TCP service is passed", XLVS_STEP_pass_no_service,
       UdpFrame(kClient1, kService1), std::nullopt,
       [](Bench& bench) {
         bench.AddDest(bench.AddService(kService1, Protocol::kTcp), kDest1);
       }},
      {"TCP to a UDP service is passed", XLVS_STEP_pass_no_service, Syn(),
       std::nullopt,
       [](Bench& bench) {
         bench.AddDest(bench.AddService(kService1, Protocol::kUdp), kDest1);
       }},

      {"an ACK without connection is passed", XLVS_STEP_pass_no_conn, Ack()},
      {"a FIN without connection is passed", XLVS_STEP_pass_no_conn,
       TcpFrame(kClient1, kService1, kFin | kAck)},
      {"a RST without connection is passed", XLVS_STEP_pass_no_conn,
       TcpFrame(kClient1, kService1, kRst)},
      {"a SYN with RST does not begin a connection", XLVS_STEP_pass_no_conn,
       TcpFrame(kClient1, kService1, kSyn | kRst)},
      {"TCP without flags and connection is passed", XLVS_STEP_pass_no_conn,
       TcpFrame(kClient1, kService1, 0)},
      {"a reply without connection is passed", XLVS_STEP_pass_reply_no_conn,
       ReplyAck()},
      {"a UDP reply without connection is passed", XLVS_STEP_pass_reply_no_conn,
       UdpFrame(kDest1, kClient1)},
      {"a real server's own traffic is passed", XLVS_STEP_pass_reply_no_conn,
       TcpFrame({kDest1.addr, 40000}, kStranger, kSyn)},
      {"a reply from another port than the connection's is passed",
       XLVS_STEP_pass_reply_no_conn,
       TcpFrame({kDest1.addr, 8081}, kClient1, kAck), std::nullopt,
       [](Bench& bench) {
         OneService(bench);
         bench.Run(Syn());
       }},
      {"a UDP reply does not use a TCP connection",
       XLVS_STEP_pass_reply_no_conn, UdpFrame(kDest1, kClient1), std::nullopt,
       [](Bench& bench) {
         OneService(bench);
         bench.Run(Syn());
       }},
      {"TCP from port 20 is never scheduled", XLVS_STEP_pass_source_port_20,
       Syn({kClient1.addr, 20})},
      {"UDP from port 20 is never scheduled", XLVS_STEP_pass_source_port_20,
       UdpFrame({kClient1.addr, 20}, kService1)},
  };
  return rows;
}

TEST_F(Classify, EndsAsTheRowsSay) {
  for (const Row& row : Rows())
    RunCase(bench, {.name = row.name,
                    .setup = row.setup,
                    .in = Build(row.in),
                    .step = row.step,
                    .out = row.out ? Build(*row.out) : Bytes()});
}

// What the kernel throws away (ip_route_input_slow, ip6_rcv_core) begins
// nothing here.
TEST_F(Classify, BeginsNoConnectionFromAnImpossibleSource) {
  OneService(bench);
  OneServiceV6(bench);
  for (const Addr& source :
       {V4(0, 0, 0, 0), V4(0, 1, 2, 3), V4(127, 0, 0, 1), V4(127, 255, 0, 1),
        V4(224, 0, 0, 1), V4(239, 1, 1, 1), V4(240, 0, 0, 1),
        V4(255, 255, 255, 255)})
    for (const Frame& in :
         {Syn({source, 40001}), UdpFrame({source, 40001}, kService1)})
      ExpectUntouched(bench, in, XLVS_STEP_pass_martian);
  for (const Addr& source :
       {V6("::"), V6("::1"), V6("ff02::1"), V6("ff0e::1")}) {
    Frame in = SynV6();
    in.ip.saddr = source;
    ExpectUntouched(bench, in, XLVS_STEP_pass_martian);
  }
  EXPECT_TRUE(bench.Records().empty());
}

TEST_F(Classify, BeginsNoConnectionByAPacketWhoseIpChecksumIsWrong) {
  OneService(bench);
  for (const uint16_t wrong_by : {1, 0x0100, 0xfffe})
    for (const Bytes& options : {Bytes(), Bytes(8, 1), Bytes(40, 1)}) {
      Frame in = Syn();
      in.ip.check_wrong_by = wrong_by;
      in.ip.options = options;
      ExpectUntouched(bench, in, XLVS_STEP_drop_ip_checksum);
    }
  EXPECT_TRUE(bench.Records().empty());
  // One that is there is not asked for it.
  bench.Run(Syn());
  Frame in = Ack(9);
  in.ip.check_wrong_by = 1;
  ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest, Via(To(in, kDest1), kHop1));
}

TEST_F(Classify, PassesEveryProtocolButTcpUdpSctpAndIcmp) {
  OneService(bench);
  for (int protocol = 0; protocol < 256; ++protocol) {
    if (protocol == kProtocolTcp || protocol == kProtocolUdp ||
        protocol == kProtocolSctp || protocol == kProtocolIcmp)
      continue;
    Frame in = Ack(30);
    in.ip.protocol = protocol;
    ExpectUntouched(bench, in, XLVS_STEP_pass_protocol);
  }
}

TEST_F(Classify, PassesEveryMalformedFirstByteOfIp) {
  OneService(bench);
  for (int version = 0; version < 16; ++version)
    for (int ihl = 0; ihl < 16; ++ihl) {
      if (version == 4 && ihl >= 5) continue;
      Frame in = Syn();
      in.ip.version = version;
      in.ip.ihl = ihl;
      ExpectUntouched(bench, in, XLVS_STEP_pass_malformed);
    }
}

TEST_F(Classify, PassesAPacketCutAtAnyLength) {
  constexpr size_t kLeast = 14;  // what the kernel gives to XDP
  OneService(bench);
  for (const Frame& frame : {TcpFrame(kClient1, kService1, kSyn, 10),
                             UdpFrame(kClient1, kService1, 10)}) {
    const Bytes whole = Build(frame);
    for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
      const Bytes cut(whole.begin(), whole.begin() + bytes);
      if (bytes < kLeast)
        EXPECT_LT(bench.RunUncounted(cut), 0);
      else
        ExpectUntouched(bench, cut, XLVS_STEP_pass_truncated);
    }
  }
  EXPECT_TRUE(bench.Records().empty());
}

TEST_F(Classify, PassesAnIpPacketTooShortForItsHeaders) {
  OneService(bench);
  for (const Frame& frame : {TcpFrame(kClient1, kService1, kSyn, 10),
                             UdpFrame(kClient1, kService1, 10)})
    for (int bytes = 0; bytes < (frame.ip.protocol == kProtocolTcp ? 40 : 28);
         ++bytes) {
      Frame in = frame;
      in.ip.total_bytes = bytes;
      ExpectUntouched(bench, in, XLVS_STEP_pass_truncated);
    }
}

TEST_F(Classify, PassesAnIpPacketLongerThanItsFrame) {
  OneService(bench);
  Frame in = Syn();
  for (const uint16_t bytes : {41, 1500, 0xffff}) {
    in.ip.total_bytes = bytes;
    ExpectUntouched(bench, in, XLVS_STEP_pass_truncated);
  }
}

// ---- no dest to choose

TEST_F(Classify, AnswersPortUnreachableWhereTheServiceIsEmpty) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
    bench.AddService(kService1, protocol);
  ExpectAnswered(bench, Syn(), XLVS_STEP_tx_icmp_port_unreach,
                 kPortUnreachable);
  ExpectAnswered(bench, UdpFrame(kClient1, kService1, 1),
                 XLVS_STEP_tx_icmp_port_unreach, kPortUnreachable);
  EXPECT_TRUE(bench.Records().empty());
}

TEST_F(Classify, AnswersPortUnreachableByEveryScheduler) {
  for (const Scheduler scheduler :
       {Scheduler::kRr, Scheduler::kWrr, Scheduler::kLc, Scheduler::kWlc}) {
    bench.Reset();
    const ServiceKey service =
        bench.AddService(kService1, Protocol::kTcp, scheduler);
    ExpectAnswered(bench, Syn(), XLVS_STEP_tx_icmp_port_unreach,
                   kPortUnreachable);
    bench.AddDest(service, kDest1, kHop1, /*weight=*/0);
    bench.AddDest(service, kDest2, kHop2, /*weight=*/0);
    ExpectAnswered(bench, Syn(), XLVS_STEP_tx_icmp_port_unreach,
                   kPortUnreachable);
  }
}

TEST_F(Classify, AnswersTimeExceededWhereTheTtlEnds) {
  OneService(bench);
  Frame in = Syn();
  in.ip.ttl = 1;
  ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_ttl_exceeded, kTimeExceeded);
}

TEST_F(Classify, PassesAReplyUntouchedWhereTheTtlEnds) {
  OneService(bench);
  bench.Run(Syn());
  Frame in = ReplyAck();
  in.ip.ttl = 1;
  ExpectUntouched(bench, in, XLVS_STEP_pass_reply_ttl);
}

TEST_F(Classify, QuotesAsMuchAs548BytesOfAnySize) {
  bench.AddService(kService1, Protocol::kUdp);
  for (size_t bytes = 0; bytes <= 1472; ++bytes) {
    bench.Advance(1);  // so many answers a tick
    ExpectAnswered(bench, UdpFrame(kClient1, kService1, bytes),
                   XLVS_STEP_tx_icmp_port_unreach, kPortUnreachable);
  }
}

TEST_F(Classify, QuotesNoEthernetPadding) {
  bench.AddService(kService1, Protocol::kUdp);
  Frame in = UdpFrame(kClient1, kService1, 3);
  in.padding = Pattern(29);
  ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_port_unreach, kPortUnreachable);
}

TEST_F(Classify, AnswersWithThePacketsTosAndInternetControlPrecedence) {
  bench.AddService(kService1, Protocol::kUdp);
  for (int tos = 0; tos < 256; ++tos) {
    bench.Advance(1);
    Frame in = UdpFrame(kClient1, kService1, 3);
    in.ip.tos = tos;
    ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_port_unreach, kPortUnreachable);
  }
}

TEST_F(Classify, AnswersAtMost125TimesATick) {
  bench.AddService(kService1, Protocol::kUdp);
  const Frame in = UdpFrame(kClient1, kService1, 3);
  for (int tick = 0; tick < 3; ++tick) {
    bench.Advance(1);
    for (int i = 0; i < 125; ++i)
      ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_port_unreach,
                     kPortUnreachable);
    for (int i = 0; i < 10; ++i)
      ExpectUntouched(bench, in, XLVS_STEP_drop_icmp_rate);
  }
}

TEST_F(Classify, DropsWhatItCannotAnswerForWantOfHeadroom) {
  bench.AddService(kService1, Protocol::kUdp);
  const Bytes in = Build(UdpFrame(kClient1, kService1, 3));
  const Outcome roomy = bench.RunWithMetadata(in, 32);
  EXPECT_EQ(StepName(roomy.step), "tx_icmp_port_unreach");
  if (!bench.TakesMetadata(208)) GTEST_SKIP() << "headroom is always enough";
  const Outcome tight = bench.RunWithMetadata(in, 208);
  EXPECT_EQ(StepName(tight.step), "drop_icmp_failed");
}

TEST_F(Classify, ContinuesConnectionsOfADestWithWeight0ButBeginsNone) {
  const ServiceKey service = bench.AddService(kService1);
  bench.AddDest(service, kDest1);
  bench.Run(Syn());
  bench.EditWeight(service, kDest1, 0);
  ExpectRun(bench, Ack(9), XLVS_STEP_tx_client_to_dest,
            Via(To(Ack(9), kDest1), kHop1));
  ExpectRun(bench, ReplyAck(9), XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(ReplyAck(9), kService1)));
  ExpectAnswered(bench, Syn(kClient2), XLVS_STEP_tx_icmp_port_unreach,
                 kPortUnreachable);
  bench.EditWeight(service, kDest1, 1);
  ExpectRun(bench, Syn(kClient2), XLVS_STEP_tx_client_to_dest,
            Via(To(Syn(kClient2), kDest1), kHop1));
}

// ---- a dest that was removed

TEST_F(Classify, DropsTheConnectionsOfARemovedDestAndResumesThem) {
  const ServiceKey service = bench.AddService(kService1);
  const uint32_t dest = bench.AddDest(service, kDest1);
  bench.Run(Syn());
  bench.Run(Ack());
  const xlvs_conn_life life =
      bench.Find(kClient1, kService1, Protocol::kTcp)->life;
  bench.DeleteDest(service, kDest1);
  bench.AdvanceSeconds(60);
  ExpectUntouched(bench, Ack(9), XLVS_STEP_drop_dest_removed);
  // Also a SYN: the connection is not TIME_WAIT or CLOSE.
  ExpectUntouched(bench, Syn(), XLVS_STEP_drop_dest_removed);
  // Its time runs on.
  EXPECT_EQ(bench.Find(kClient1, kService1, Protocol::kTcp)->life.expires_ticks,
            life.expires_ticks);
  // What it sends is still the service's, but not counted.
  ExpectRun(bench, ReplyAck(9), XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(ReplyAck(9), kService1)));
  EXPECT_EQ(bench.CountersOf(dest).out_packets, 0u);

  EXPECT_EQ(bench.AddDest(service, kDest1), dest);
  ExpectRun(bench, Ack(9), XLVS_STEP_tx_client_to_dest,
            Via(To(Ack(9), kDest1), kHop1));
  EXPECT_EQ(bench.Counts(dest), "1/0");
}

TEST_F(Classify, ResumesConnectionsAfterTheServiceWasGone) {
  bench.AddService(kService2);  // so that packets are looked at
  const ServiceKey service = bench.AddService(kService1);
  bench.AddDest(service, kDest1);
  bench.Run(Syn());
  bench.Run(Ack());
  Must(bench.config().DeleteService(service));
  ExpectUntouched(bench, Ack(9), XLVS_STEP_drop_dest_removed);
  ExpectUntouched(bench, Syn(kClient2), XLVS_STEP_pass_no_service);
  bench.AddService(kService1);
  ExpectUntouched(bench, Ack(9), XLVS_STEP_drop_dest_removed);
  bench.AddDest(service, kDest1);
  ExpectRun(bench, Ack(9), XLVS_STEP_tx_client_to_dest,
            Via(To(Ack(9), kDest1), kHop1));
}

TEST_F(Classify, BreaksOnlyTheConnectionsOfTheRemovedDest) {
  const ServiceKey service = bench.AddService(kService1);
  bench.AddDest(service, kDest1);
  bench.Run(Syn());
  bench.AddDest(service, kDest2, kHop2);
  bench.EditWeight(service, kDest1, 0);
  bench.Run(Syn(kClient2));  // to kDest2
  bench.DeleteDest(service, kDest1);
  ExpectUntouched(bench, Ack(), XLVS_STEP_drop_dest_removed);
  const Frame other = TcpFrame(kClient2, kService1, kAck, 4);
  ExpectRun(bench, other, XLVS_STEP_tx_client_to_dest,
            Via(To(other, kDest2), kHop2));
}

// ---- the table is full

TEST(ClassifyFull, RefusesANewConnectionAndKeepsTheOthers) {
  Bench bench(SmallSizes(/*conns=*/1));  // one bucket
  bench.SetNow(1000);
  bench.AddDest(bench.AddService(kService1, Protocol::kUdp), kDest1);
  const auto packet = [](int i) {
    return UdpFrame({kClient1.addr, static_cast<uint16_t>(1000 + i)}, kService1,
                    5);
  };
  for (int i = 0; i < XLVS_CONNS_PER_BUCKET; ++i)
    ExpectRun(bench, packet(i), XLVS_STEP_tx_client_to_dest,
              Via(To(packet(i), kDest1), kHop1));
  ExpectUntouched(bench, packet(64), XLVS_STEP_drop_table_full);
  for (int i = 0; i < XLVS_CONNS_PER_BUCKET; ++i)
    ExpectRun(bench, packet(i), XLVS_STEP_tx_client_to_dest,
              Via(To(packet(i), kDest1), kHop1));
}

// ---- the way on, from what is known

TEST_F(Classify, AnswersFragNeededWhereAPacketThatMayNotBeCutIsTooBig) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.SetHop(dest, {.mtu = 600});
  bench.Run(Syn());
  ExpectAnswered(bench, Ack(561), XLVS_STEP_tx_icmp_frag_needed,
                 FragNeeded(600));
  ExpectAnswered(bench, Ack(1460), XLVS_STEP_tx_icmp_frag_needed,
                 FragNeeded(600));
  ExpectRun(bench, Ack(560), XLVS_STEP_tx_client_to_dest,
            Via(To(Ack(560), kDest1), kHop1));
}

TEST_F(Classify, HandsAPacketThatMayBeCutRewrittenToTheKernel) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.SetHop(dest, {.mtu = 600});
  bench.Run(Syn());
  Frame in = Ack(561);
  in.ip.dont_fragment = false;
  ExpectRun(bench, in, XLVS_STEP_pass_too_big, To(in, kDest1));
}

TEST_F(Classify, KnowsNoLimitWhereTheMtuIsUnknown) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.SetHop(dest, {.mtu = 0});
  bench.Run(Syn());
  ExpectRun(bench, Ack(1460), XLVS_STEP_tx_client_to_dest,
            Via(To(Ack(1460), kDest1), kHop1));
}

TEST_F(Classify, PassesAReplyThatIsTooBigUntouched) {
  bench.AddDest(bench.AddService(kService1), kDest1);
  bench.Run(Syn());
  const uint16_t hop =
      bench.Find(kClient1, kService1, Protocol::kTcp)->life.nexthop;
  ASSERT_NE(hop, 0);
  bench.nexthops[hop].mtu = 600;
  for (const bool dont_fragment : {false, true}) {
    Frame in = ReplyAck(561);
    in.ip.dont_fragment = dont_fragment;
    ExpectUntouched(bench, in, XLVS_STEP_pass_too_big);
  }
  ExpectRun(bench, ReplyAck(560), XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(ReplyAck(560), kService1)));
}

TEST_F(Classify, HandsAPacketRewrittenToTheKernelWhereTheWayIsNotKnown) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.dests[dest].nexthop.ifindex = 0;
  ExpectRun(bench, Syn(), XLVS_STEP_pass_route, To(Syn(), kDest1));
  ExpectRun(bench, Ack(), XLVS_STEP_pass_route, To(Ack(), kDest1));
}

TEST_F(Classify, TrustsAWayForASecondOnly) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.Run(Syn());
  bench.dests[dest].nexthop.fresh_ticks = bench.now() - 7;
  ExpectRun(bench, Ack(), XLVS_STEP_tx_client_to_dest,
            Via(To(Ack(), kDest1), kHop1));
  bench.dests[dest].nexthop.fresh_ticks = bench.now() - 8;
  ExpectRun(bench, Ack(), XLVS_STEP_pass_route, To(Ack(), kDest1));
}

TEST_F(Classify, HandsAPacketRewrittenToTheKernelWhereADeviceIsNotOurs) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.SetHop(dest, {.ifindex = 77});
  ExpectRun(bench, Syn(), XLVS_STEP_pass_route, To(Syn(), kDest1));
}

TEST_F(Classify, PassesAReplyUntouchedWhereNoWayIsKnown) {
  bench.AddDest(bench.AddService(kService1), kDest1);
  bench.Run(Syn());
  bench.Find(kClient1, kService1, Protocol::kTcp)->life.nexthop = 0;
  ExpectUntouched(bench, ReplyAck(), XLVS_STEP_pass_reply_route);
}

TEST_F(Classify, AnswersEachClientByTheWayItsRequestCame) {
  bench.AddDest(bench.AddService(kService1), kDest1);
  for (uint8_t i = 0; i < 100; ++i) {
    const Endpoint client = {kClient1.addr + i, kClient1.port};
    const Mac router = {0, 0, 0x5e, 0, 0x53, static_cast<uint8_t>(100 + i)};
    Frame syn = Syn(client);
    syn.smac = router;
    bench.Run(syn);
  }
  for (uint8_t i = 0; i < 100; ++i) {
    const Endpoint client = {kClient1.addr + i, kClient1.port};
    const Mac router = {0, 0, 0x5e, 0, 0x53, static_cast<uint8_t>(100 + i)};
    const Frame reply = TcpFrame(kDest1, client, kSyn | kAck);
    ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
              Via(From(reply, kService1), router, kDirectorMac));
  }
}

// ---- the way on, from the kernel's routes
//
//   lo  <- packets come in here
//   out0 192.0.2.254/24, kOutMac --- out1
//     192.0.2.1     kDest1, neighbour kDest1Mac
//     192.0.2.253   neighbour kGatewayMac, gateway to the clients

constexpr Mac kOutMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x21};
constexpr Mac kGatewayMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x22};
constexpr Hop kNoHop = {.ifindex = 0, .dmac = {}, .smac = {}, .mtu = 0};

class Routed : public PacketTest {
 protected:
  Routed() {
    SetForwarding("1");
    MustRun(
        "ip -batch - <<'END'\n"
        "link add out0 address 00:00:5e:00:53:21 type veth peer name out1\n"
        "link set out0 up mtu 900\n"
        "link set out1 up\n"
        "addr add 192.0.2.254/24 dev out0\n"
        "neigh add 192.0.2.1 lladdr 00:00:5e:00:53:11 dev out0\n"
        "neigh add 192.0.2.2 lladdr 00:00:5e:00:53:12 dev out0\n"
        "neigh add 192.0.2.253 lladdr 00:00:5e:00:53:22 dev out0\n"
        "route add 203.0.113.0/24 via 192.0.2.253\n"
        "END");
    out_ = if_nametoindex("out0");
    bench.AllowDevice(out_);
    service_ = bench.AddService(kService1);
  }
  ~Routed() override {
    MustRun("ip link del out0");
    SetForwarding("0");
  }
  static void SetForwarding(const char* value) {
    std::ofstream("/proc/sys/net/ipv4/ip_forward") << value;
  }

  // A dest whose next hop is not known yet.
  uint32_t AddDest(Endpoint dest = kDest1) {
    return bench.AddDest(service_, dest, kNoHop);
  }
  Frame ToDest1(const Frame& in) {
    return Via(To(in, kDest1), kDest1Mac, kOutMac);
  }

  uint32_t out_ = 0;
  ServiceKey service_;
};

TEST_F(Routed, RedirectsByTheKernelsRouteAndRemembersIt) {
  const uint32_t dest = AddDest();
  ExpectRun(bench, Syn(), XLVS_STEP_redirect_client_to_dest, ToDest1(Syn()));
  const xlvs_nexthop& hop = bench.dests[dest].nexthop;
  EXPECT_EQ(hop.ifindex, out_);
  EXPECT_EQ(hop.mtu, 900u);
  EXPECT_EQ(hop.fresh_ticks, bench.now());
  MustRun("ip neigh del 192.0.2.1 dev out0");
  ExpectRun(bench, Ack(), XLVS_STEP_redirect_client_to_dest, ToDest1(Ack()));
}

TEST_F(Routed, LearnsANewMacWithinASecond) {
  const uint32_t dest = AddDest();
  bench.Run(Syn());
  MustRun(
      "ip neigh replace 192.0.2.1 lladdr 00:00:5e:00:53:12 dev out0 nud "
      "permanent");
  ExpectRun(bench, Ack(), XLVS_STEP_redirect_client_to_dest, ToDest1(Ack()));
  bench.dests[dest].nexthop.fresh_ticks -= 8;
  ExpectRun(bench, Ack(), XLVS_STEP_redirect_client_to_dest,
            Via(To(Ack(), kDest1), kDest2Mac, kOutMac));
}

TEST_F(Routed, HandsAPacketToTheKernelToResolveTheNeighbour) {
  const Endpoint dest = {V4(192, 0, 2, 78), 80};
  const uint32_t id = AddDest(dest);
  ExpectRun(bench, Syn(), XLVS_STEP_pass_neighbour, To(Syn(), dest));
  EXPECT_EQ(bench.dests[id].nexthop.ifindex, 0u);
  MustRun("ip neigh add 192.0.2.78 lladdr 00:00:5e:00:53:12 dev out0");
  ExpectRun(bench, Ack(), XLVS_STEP_redirect_client_to_dest,
            Via(To(Ack(), dest), kDest2Mac, kOutMac));
}

TEST_F(Routed, HasTheKernelSendAPacketToEachRealServerEvery32Seconds) {
  AddDest();
  bench.Run(Syn());
  int checks = 0;
  for (int second = 0; second < 96; ++second) {
    // Not by the bench, which would keep the next hop fresh.
    bench.clock[0].now_ticks += XLVS_TICKS_PER_SECOND;
    const Outcome first = bench.Run(Ack());
    if (first.step == XLVS_STEP_pass_neighbour_check) {
      ++checks;
      ExpectSame(Build(To(Ack(), kDest1)), first.out);
    } else {
      ExpectSame(Build(ToDest1(Ack())), first.out);
    }
    ExpectRun(bench, Ack(), XLVS_STEP_redirect_client_to_dest, ToDest1(Ack()));
  }
  EXPECT_EQ(checks, 3);
}

TEST_F(Routed, AnswersHostUnreachableWhereARouteSaysSo) {
  for (const char* type : {"unreachable", "blackhole", "prohibit"}) {
    SCOPED_TRACE(type);
    MustRun(absl::StrCat("ip route add ", type, " 192.0.2.77/32"));
    const Endpoint dest = {V4(192, 0, 2, 77), 80};
    AddDest(dest);
    ExpectAnswered(bench, Syn(), XLVS_STEP_tx_icmp_host_unreach,
                   kHostUnreachable);
    ExpectAnswered(bench, Ack(1000), XLVS_STEP_tx_icmp_host_unreach,
                   kHostUnreachable);
    bench.DeleteDest(service_, dest);
    MustRun("ip route del 192.0.2.77/32");
  }
}

TEST_F(Routed, HandsAPacketToALocalRealServerToTheKernel) {
  const Endpoint dest = {V4(192, 0, 2, 254), 80};
  AddDest(dest);
  ExpectRun(bench, Syn(), XLVS_STEP_pass_local, To(Syn(), dest));
}

TEST_F(Routed, HandsAPacketToTheKernelWhereTheRoutesDeviceIsNotOurs) {
  bench.Reset();  // nothing allowed
  service_ = bench.AddService(kService1);
  AddDest();
  ExpectRun(bench, Syn(), XLVS_STEP_pass_route, To(Syn(), kDest1));
}

TEST_F(Routed, KnowsTheRoutesMtu) {
  AddDest();
  bench.Run(Syn());
  ExpectAnswered(bench, Ack(861), XLVS_STEP_tx_icmp_frag_needed,
                 FragNeeded(900));
  ExpectRun(bench, Ack(860), XLVS_STEP_redirect_client_to_dest,
            ToDest1(Ack(860)));
}

TEST_F(Routed, RepliesByTheKernelsRoute) {
  AddDest();
  bench.Run(Syn());
  for (int i = 0; i < 3; ++i)
    ExpectRun(bench, ReplyAck(), XLVS_STEP_redirect_dest_to_client,
              Via(From(ReplyAck(), kService1), kGatewayMac, kOutMac));
  ExpectUntouched(bench, ReplyAck(861), XLVS_STEP_pass_too_big);
}

TEST_F(Routed, SendsErrorsByTheKernelsRoute) {
  AddDest();
  bench.Run(Syn());
  const Frame to_dest =
      IcmpErrorFrame(kBookV4.client_router, kService1.addr, kPortUnreachable,
                     BuildL3(TcpFrame(kService1, kClient1, kAck)), 28);
  EXPECT_EQ(StepName(bench.Run(to_dest).step), "redirect_error_to_dest");
  const Frame to_client =
      IcmpErrorFrame(kDest1.addr, kClient1.addr, kPortUnreachable,
                     BuildL3(To(Ack(), kDest1)), 28);
  EXPECT_EQ(StepName(bench.Run(to_client).step), "redirect_error_to_client");
}

TEST_F(Routed, RepliesByTheWayOfTheRequestWhereTheNeighbourIsNotKnown) {
  MustRun("ip neigh del 192.0.2.253 dev out0");
  AddDest();
  bench.Run(Syn());
  ExpectRun(bench, ReplyAck(), XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(ReplyAck(), kService1)));
}

TEST_F(Routed, FollowsANewRouteToTheClientWithinASecond) {
  AddDest();
  bench.Run(Syn());
  bench.Run(ReplyAck());
  MustRun(
      "ip neigh replace 192.0.2.253 lladdr 00:00:5e:00:53:12 dev out0 nud "
      "permanent");
  bench.Advance(8);
  ExpectRun(bench, ReplyAck(), XLVS_STEP_redirect_dest_to_client,
            Via(From(ReplyAck(), kService1), kDest2Mac, kOutMac));
}

TEST_F(Routed, PassesAReplyUntouchedWhereARouteForbidsTheClient) {
  MustRun("ip route add blackhole 203.0.113.1/32");
  AddDest();
  bench.Run(Syn());
  ExpectUntouched(bench, ReplyAck(), XLVS_STEP_pass_reply_route);
}

TEST_F(Routed, PassesAReplyUntouchedWhereTheRoutesDeviceIsNotOurs) {
  bench.Reset();  // nothing allowed
  service_ = bench.AddService(kService1);
  AddDest();
  bench.Run(Syn());
  ExpectUntouched(bench, ReplyAck(), XLVS_STEP_pass_reply_route);
}

// ---- endings that other tests are about, once each

TEST_F(Classify, SendsErrorsToWhomTheyQuote) {
  OneService(bench);
  bench.Run(Syn());
  const Frame to_dest =
      IcmpErrorFrame(kBookV4.client_router, kService1.addr, kPortUnreachable,
                     BuildL3(TcpFrame(kService1, kClient1, kAck)), 28);
  EXPECT_EQ(StepName(bench.Run(to_dest).step), "tx_error_to_dest");
  const Frame to_client =
      IcmpErrorFrame(kDest1.addr, kClient1.addr, kPortUnreachable,
                     BuildL3(To(Ack(), kDest1)), 28);
  EXPECT_EQ(StepName(bench.Run(to_client).step), "tx_error_to_client");
  Frame broken = to_client;
  broken.l4_check_wrong_by = 1;
  ExpectUntouched(bench, broken, XLVS_STEP_drop_icmp_checksum);
  bench.Find(kClient1, kService1, Protocol::kTcp)->life.expires_ticks =
      bench.now();
  ExpectUntouched(bench, to_client, XLVS_STEP_pass_icmp_no_conn);
  ExpectUntouched(bench, EchoFrame(kClient1.addr, kService1.addr, 1, 1),
                  XLVS_STEP_pass_icmp);
}

TEST_F(Classify, DropsWhatNoTunnelCanTake) {
  const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1,
                                      kHop1, 1, {Method::kTunnel, {}});
  ExpectUntouched(bench, Syn(), XLVS_STEP_drop_tunnel_source);
  bench.SetTunnelSource(dest, kBookV4.director);
  const Bytes syn = Build(Syn());
  if (bench.TakesMetadata(204)) {
    EXPECT_EQ(StepName(bench.RunWithMetadata(syn, 204).step),
              "drop_no_headroom");
  }
  Frame large = Ack(1441);
  large.ip.dont_fragment = false;
  EXPECT_EQ(StepName(bench.Run(large).step), "drop_too_big");
  bench.control[0].handover = XLVS_HANDOVER_none;
  bench.SetHop(dest, {.ifindex = 77});
  EXPECT_EQ(StepName(bench.Run(Syn()).step), "drop_neighbour");
}

TEST_F(Classify, DropsSctpFragmentsWhosePortWouldChange) {
  bench.AddDest(bench.AddService(kService1, Protocol::kSctp), kDest1);
  const Frame init = SctpFrame(kClient1, kService1,
                               {{.type = kSctpInit, .value = Pattern(100)}});
  for (const Bytes& fragment : Fragments(init, {64}))
    ExpectUntouched(bench, fragment, XLVS_STEP_drop_sctp_fragment);
}

// ---- a real server that is this host

TEST_F(Classify, LeavesALocalRealServersPacketsToTheHost) {
  for (const Method method : {Method::kMasq, Method::kRoute, Method::kTunnel}) {
    bench.Reset();
    const uint32_t dest = bench.AddDest(bench.AddService(kService1), kDest1,
                                        kHop1, 1, {method, {}});
    bench.dests[dest].flags = XLVS_DEST_local;
    for (const uint8_t ttl : {64, 1}) {  // it has arrived
      Frame in = Syn();
      in.ip.ttl = ttl;
      ExpectRun(bench, in, XLVS_STEP_pass_local,
                method == Method::kMasq ? To(in, kDest1) : in);
    }
  }
}

// As IPVS: nobody from outside reaches what listens there only.
TEST_F(Classify, DropsWhatMasqWouldSendToALoopbackAddress) {
  const Endpoint loopback = {V4(127, 0, 0, 1), 8080};
  bench.AddDest(bench.AddService(kService1), loopback);
  ExpectUntouched(bench, Syn(), XLVS_STEP_drop_dest_loopback);
  bench.Reset();
  bench.AddDest(bench.AddService(kService1), loopback, kHop1, 1,
                {Method::kRoute, {}});
  ExpectUntouched(bench, Syn(), XLVS_STEP_pass_local);
}

// ---- services by mark, defences

ServiceKey MarkedService(Bench& bench, uint32_t fwmark) {
  Must(bench.config().AddMark(
      {.fwmark = fwmark, .network = ToIpAddr(kService1.addr)}));
  const ServiceKey key = {.vaddr = ToIpAddr(V4(0, 0, 0, 0)),
                          .vport = 0,
                          .protocol = Protocol::kIp,
                          .fwmark = fwmark};
  Must(bench.config().AddService({.key = key, .scheduler = Scheduler::kRr}));
  return key;
}

TEST_F(Classify, AMarkBringsAPacketToItsServiceAndTheReplyBack) {
  bench.AddDest(MarkedService(bench, 7), kDest1);
  ExpectRun(bench, Syn(), XLVS_STEP_tx_client_to_dest,
            Via(To(Syn(), kDest1), kHop1));
  const Frame ack = TcpFrame(kClient1, kService1, kAck);
  ExpectRun(bench, ack, XLVS_STEP_tx_client_to_dest,
            Via(To(ack, kDest1), kHop1));
  const Frame reply = TcpFrame(kDest1, kClient1, kSyn | kAck);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, kService1)));
}

TEST_F(Classify, WithCacheBypassWhatNoServerTakesGoesOn) {
  MarkedService(bench, 7);
  ExpectAnswered(bench, Syn(), XLVS_STEP_tx_icmp_port_unreach,
                 kPortUnreachable);
  Must(bench.config().Set("cache_bypass", 1));
  ExpectUntouched(bench, Syn(), XLVS_STEP_pass_cache_bypass);
}

// No connection of a service by mark finds room for its virtual address.
void FillVaddrs(const Bench& bench) {
  const UniqueFd vaddrs = Must(bench.instance().OpenPin("vaddrs"));
  xlvs_vaddr_bucket full = {};
  for (xlvs_vaddr& entry : full.entry) entry.refs = 1;
  for (uint32_t i = 0; i < XLVS_VADDR_BUCKETS; ++i)
    ASSERT_EQ(bpf_map_update_elem(vaddrs.get(), &i, &full, 0), 0);
}

TEST_F(Classify, RefusesAConnectionWhoseVirtualAddressFindsNoRoom) {
  bench.AddDest(MarkedService(bench, 7), kDest1);
  FillVaddrs(bench);
  ExpectUntouched(bench, Syn(), XLVS_STEP_drop_vaddrs_full);
  EXPECT_EQ(bench.Records().size(), 0u);
}

TEST_F(Classify, DropsOneOfThreeFirstPacketsInDefence) {
  OneService(bench);
  bench.clock[0].drop_rate = 3;
  for (const bool dropped : {true, false, false, true, false, false}) {
    Endpoint client = kClient1;
    client.port += bench.Steps().rx;
    EXPECT_EQ(bench.Run(TcpFrame(client, kService1, kSyn)).step,
              dropped ? XLVS_STEP_drop_defence : XLVS_STEP_tx_client_to_dest);
  }
}

TEST_F(Classify, TheOldestEmbryonicConnectionGivesWayAtTheBound) {
  OneService(bench);
  bench.control[0].set.service_embryonic_max = 0;
  ExpectUntouched(bench, Syn(), XLVS_STEP_drop_embryonic);
  bench.control[0].set.service_embryonic_max = 1;
  Endpoint other = kClient1;
  EXPECT_EQ(bench.Run(Syn()).step, XLVS_STEP_tx_client_to_dest);
  // In the same bucket sooner or later: the table has few.
  xlvs_step step = XLVS_STEP_drop_embryonic;
  for (int i = 1; i < 1000 && step == XLVS_STEP_drop_embryonic; ++i) {
    other.port = kClient1.port + i;
    step = bench.Run(TcpFrame(other, kService1, kSyn)).step;
  }
  EXPECT_EQ(step, XLVS_STEP_tx_client_to_dest);
  EXPECT_EQ(bench.Records().size(), 1u);
  EXPECT_EQ(bench.Find(kClient1, kService1, Protocol::kTcp), nullptr);
}

// ---- nat_icmp_send

TEST_F(Classify, AServersPacketOfNoConnectionIsAnsweredIfSoSet) {
  const ServiceKey key = {.vaddr = ToIpAddr(kService1.addr),
                          .vport = kService1.port,
                          .protocol = Protocol::kTcp};
  Must(bench.config().AddService({.key = key, .scheduler = Scheduler::kRr}));
  bench.AddDest(key, kDest1);
  const Frame reply = TcpFrame(kDest1, kClient1, kAck);
  const auto expect_answered = [&](Frame in) {
    const Outcome outcome = bench.Run(in);
    EXPECT_EQ(outcome.step, XLVS_STEP_tx_icmp_port_unreach);
    --in.ip.ttl;  // quoted as it went on
    ExpectSame(BuildIcmpError(Build(in), kPortUnreachable, IpIdOf(outcome.out)),
               outcome.out);
  };
  ExpectUntouched(bench, reply, XLVS_STEP_pass_reply_no_conn);
  Must(bench.config().Set("nat_icmp_send", 1));
  expect_answered(reply);
  // Not the end of one, nothing of another port or protocol.
  ExpectUntouched(bench, TcpFrame(kDest1, kClient1, kRst),
                  XLVS_STEP_pass_reply_no_conn);
  ExpectUntouched(bench, TcpFrame({kDest1.addr, 22}, kClient1, kAck),
                  XLVS_STEP_pass_reply_no_conn);
  ExpectUntouched(bench, UdpFrame(kDest1, kClient1),
                  XLVS_STEP_pass_reply_no_conn);
  // Nor what has no hop left, which the kernel says.
  Frame last_hop = reply;
  last_hop.ip.ttl = 1;
  ExpectUntouched(bench, last_hop, XLVS_STEP_pass_reply_no_conn);
  // Nor of a server that is not behind Masq, or none any more.
  Dest dest = Must(bench.config().FindService(key)).dests[0].dest;
  for (const Method method : {Method::kRoute, Method::kMasq}) {
    dest.method = method;
    Must(bench.config().EditDest(key, dest));
    if (method == Method::kRoute)
      ExpectUntouched(bench, reply, XLVS_STEP_pass_reply_no_conn);
    else
      expect_answered(reply);
  }
  Must(bench.config().DeleteDest(key, dest.key));
  EXPECT_EQ(bench.Run(reply).step, XLVS_STEP_pass_reply_no_conn);
}

// ---- persistence

std::vector<std::string> TemplatesOf(Bench& bench) {
  std::vector<std::string> templates;
  for (const ConnView& view : Must(bench.config().Conns()))
    if (view.cport == 0)
      templates.push_back(absl::StrCat(view.state, " ", view.caddr.ToString(),
                                       " ", view.vport, " ", view.dport));
  return templates;
}

TEST_F(Classify, APersistentClientStaysAtItsServer) {
  const ServiceKey key = {.vaddr = ToIpAddr(kService1.addr),
                          .vport = kService1.port,
                          .protocol = Protocol::kTcp};
  Must(bench.config().AddService({.key = key,
                                  .scheduler = Scheduler::kRr,
                                  .persistent_s = 50,
                                  .persist_mask = 0xffffff00}));
  const uint32_t dest1 = bench.AddDest(key, kDest1);
  const uint32_t dest2 = bench.AddDest(key, kDest2, kHop2);
  // The one added last has the first turn; the neighbour is of the same /24.
  Endpoint client = kClient1;
  for (int i = 0; i < 4; ++i, ++client.port)
    bench.Run(TcpFrame(client, kService1, kSyn));
  bench.Run(TcpFrame(kClient2, kService1, kSyn));
  EXPECT_EQ(bench.Counts(dest2), "5/0");
  EXPECT_EQ(bench.Counts(dest1), "0/0");
  // Listed newest first.
  EXPECT_EQ(Must(bench.config().FindService(key)).dests[0].persistent_conns, 1);
  EXPECT_EQ(bench.CountersOf(dest2).conns, 5u);
  EXPECT_THAT(TemplatesOf(bench),
              testing::ElementsAre("NONE 203.0.113.0 80 8080"));
  // Weight 0 does not send it away, unless the settings say so.
  bench.EditWeight(key, kDest2, 0);
  bench.Run(TcpFrame({kClient1.addr, 50001}, kService1, kSyn));
  EXPECT_EQ(bench.Counts(dest2), "6/0");
  Must(bench.config().Set("expire_quiescent_template", 1));
  bench.Run(TcpFrame({kClient1.addr, 50002}, kService1, kSyn));
  EXPECT_EQ(bench.Counts(dest1), "1/0");
}

// IPVS's is_new_conn_expected: not of connections that a template brought, also
// if its service's persistence is another by now.
TEST_F(Classify, APersistentClientsConnectionDoesNotBeginAnew) {
  Service service = {.key = {.vaddr = ToIpAddr(kService1.addr),
                             .vport = kService1.port,
                             .protocol = Protocol::kTcp},
                     .scheduler = Scheduler::kRr,
                     .persistent_s = 50,
                     .persist_mask = 0xffffff00};
  Must(bench.config().AddService(service));
  const uint32_t dest = bench.AddDest(service.key, kDest1);
  for (const uint32_t mask : {0xffffff00, 0xffff0000, 0xffffffff}) {
    SCOPED_TRACE(mask);
    for (const uint8_t flags : {kSyn, kAck, kRst})
      bench.Run(TcpFrame(kClient1, kService1, flags));
    service.persist_mask = mask;
    Must(bench.config().EditService(service));
    const Frame syn = TcpFrame(kClient1, kService1, kSyn);
    ExpectRun(bench, syn, XLVS_STEP_tx_client_to_dest,
              Via(To(syn, kDest1), kHop1));
    EXPECT_THAT(TemplatesOf(bench),
                testing::ElementsAre("ASSURED 203.0.113.0 80 8080"));
    EXPECT_EQ(bench.CountersOf(dest).conns, 1u);
  }
}

TEST_F(Classify, AConnectionThatBeginsEstablishedAssuresItsTemplate) {
  const ServiceKey key = {.vaddr = ToIpAddr(kService1.addr),
                          .vport = kService1.port,
                          .protocol = Protocol::kTcp};
  Must(bench.config().AddService(
      {.key = key, .scheduler = Scheduler::kRr, .persistent_s = 50}));
  bench.AddDest(key, kDest1);
  Must(bench.config().Set("sloppy_tcp", 1));
  bench.Run(TcpFrame(kClient1, kService1, kAck));
  EXPECT_THAT(TemplatesOf(bench),
              testing::ElementsAre("ASSURED 203.0.113.1 80 8080"));
}

TEST_F(Classify, WhatIsNotToAPersistentServicesOwnPortKeepsItsPort) {
  const Endpoint ftp = {kService1.addr, 21};
  const Endpoint dest = {kDest1.addr, 2121};
  const ServiceKey key = {
      .vaddr = ToIpAddr(ftp.addr), .vport = 21, .protocol = Protocol::kTcp};
  Must(bench.config().AddService(
      {.key = key, .scheduler = Scheduler::kRr, .persistent_s = 50}));
  bench.AddDest(key, dest);
  const Frame control = TcpFrame(kClient1, ftp, kSyn);
  ExpectRun(bench, control, XLVS_STEP_tx_client_to_dest,
            Via(To(control, dest), kHop1));
  const Frame data = TcpFrame({kClient1.addr, 50001}, {ftp.addr, 50000}, kSyn);
  ExpectRun(bench, data, XLVS_STEP_tx_client_to_dest,
            Via(To(data, {dest.addr, 50000}), kHop1));
  const Frame reply =
      TcpFrame({dest.addr, 50000}, {kClient1.addr, 50001}, kSyn | kAck);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, {ftp.addr, 50000})));
}

TEST_F(Classify, ConnectionsKeepTheirPortAsInIpvs) {
  const auto keeps = [&](ServiceKey key, uint32_t persistent_s,
                         uint16_t dport) {
    const Service service = {
        .key = key, .scheduler = Scheduler::kRr, .persistent_s = persistent_s};
    Must(key.fwmark == 0 ? bench.config().AddService(service)
                         : bench.config().EditService(service));
    bench.AddDest(key, {kDest1.addr, dport});
    EXPECT_EQ(bench.Run(Syn()).step, XLVS_STEP_tx_client_to_dest);
    uint16_t port = 0;
    for (const ConnView& view : Must(bench.config().Conns()))
      if (view.cport == kClient1.port) port = view.dport;
    EXPECT_THAT(port, testing::AnyOf(dport, kService1.port));
    const bool result = port == kService1.port;
    bench.Reset();
    return result;
  };
  const auto tcp = [](uint16_t vport) {
    return ServiceKey{.vaddr = ToIpAddr(kService1.addr),
                      .vport = vport,
                      .protocol = Protocol::kTcp};
  };
  EXPECT_FALSE(keeps(tcp(kService1.port), 0, 8080));
  EXPECT_TRUE(keeps(tcp(kService1.port), 0, 0));
  EXPECT_TRUE(keeps(tcp(0), 0, 8080));
  EXPECT_TRUE(keeps(tcp(0), 60, 8081));
  EXPECT_FALSE(keeps(MarkedService(bench, 5), 0, 8080));
  EXPECT_TRUE(keeps(MarkedService(bench, 6), 0, 0));
  EXPECT_TRUE(keeps(MarkedService(bench, 7), 60, 8081));
}

// As ip_vs_sched_persist has it, also while ip_vs_schedule has another for
// later ones.
TEST_F(Classify, AConnectionKeepsItsPortAlsoWhenItsServiceIsPersistentNoMore) {
  const ServiceKey key = MarkedService(bench, 7);
  Must(bench.config().EditService(
      {.key = key, .scheduler = Scheduler::kRr, .persistent_s = 50}));
  bench.AddDest(key, kDest1);
  const Endpoint same_port = {kDest1.addr, kService1.port};
  ExpectRun(bench, Syn(), XLVS_STEP_tx_client_to_dest,
            Via(To(Syn(), same_port), kHop1));
  Must(bench.config().EditService({.key = key, .scheduler = Scheduler::kRr}));
  const Frame later = Syn({kClient1.addr, 50001});
  ExpectRun(bench, later, XLVS_STEP_tx_client_to_dest,
            Via(To(later, kDest1), kHop1));
  const Frame ack = TcpFrame(kClient1, kService1, kAck);
  ExpectRun(bench, ack, XLVS_STEP_tx_client_to_dest,
            Via(To(ack, same_port), kHop1));
  const Frame reply = TcpFrame(same_port, kClient1, kSyn | kAck);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, kService1)));
}

TEST_F(Classify, EachDatagramIsScheduledForItselfWithOnePacket) {
  const ServiceKey key = {.vaddr = ToIpAddr(kService1.addr),
                          .vport = kService1.port,
                          .protocol = Protocol::kUdp};
  Must(bench.config().AddService(
      {.key = key, .scheduler = Scheduler::kRr, .one_packet = true}));
  bench.AddDest(key, kDest1);
  bench.AddDest(key, kDest2, kHop2);
  const Frame datagram = UdpFrame(kClient1, kService1, 9);
  for (int i = 0; i < 2; ++i) {
    ExpectRun(bench, datagram, XLVS_STEP_tx_client_to_dest,
              Via(To(datagram, kDest2), kHop2));
    ExpectRun(bench, datagram, XLVS_STEP_tx_client_to_dest,
              Via(To(datagram, kDest1), kHop1));
  }
  EXPECT_EQ(bench.Records().size(), 0u);
}

TEST_F(Classify, AServerThatIsGoneIsLeftAtOnceIfTheSettingsSaySo) {
  const ServiceKey key = bench.AddService(kService1, Protocol::kUdp);
  bench.AddDest(key, kDest1);
  const Frame datagram = UdpFrame(kClient1, kService1, 9);
  EXPECT_EQ(bench.Run(datagram).step, XLVS_STEP_tx_client_to_dest);
  bench.AddDest(key, kDest2, kHop2);
  bench.DeleteDest(key, kDest1);
  ExpectUntouched(bench, datagram, XLVS_STEP_drop_dest_removed);
  Must(bench.config().Set("expire_nodest_conn", 1));
  ExpectRun(bench, datagram, XLVS_STEP_tx_client_to_dest,
            Via(To(datagram, kDest2), kHop2));
  EXPECT_EQ(bench.Records().size(), 1u);
}

TEST_F(Classify, SloppyTcpBeginsAConnectionInItsMiddle) {
  OneService(bench);
  const Frame ack = TcpFrame(kClient1, kService1, kAck);
  ExpectUntouched(bench, ack, XLVS_STEP_pass_no_conn);
  Must(bench.config().Set("sloppy_tcp", 1));
  ExpectUntouched(bench, TcpFrame(kClient1, kService1, kRst),
                  XLVS_STEP_pass_no_conn);
  ExpectRun(bench, ack, XLVS_STEP_tx_client_to_dest,
            Via(To(ack, kDest1), kHop1));
}

// The error quotes what a service would have sent to the client.
TEST_F(Classify, AnErrorBeginsAConnectionIfTheSettingsSaySo) {
  OneService(bench);
  const auto error_about = [](Endpoint from) {
    return IcmpErrorFrame(kClient1.addr, kService1.addr, kHostUnreachable,
                          BuildL3(TcpFrame(from, kClient1, kAck)), 28);
  };
  const Frame error = error_about(kService1);
  ExpectUntouched(bench, error, XLVS_STEP_pass_icmp_no_conn);
  Must(bench.config().Set("schedule_icmp", 1));
  EXPECT_EQ(bench.Run(error).step, XLVS_STEP_tx_error_to_dest);
  const xlvs_conn* conn = bench.Find(kClient1, kService1, Protocol::kTcp);
  ASSERT_NE(conn, nullptr);
  EXPECT_EQ(conn->life.state, XLVS_CONN_tcp_none);
  EXPECT_EQ(conn->life.expires_ticks - bench.now(), 3u * XLVS_TICKS_PER_SECOND);
  // The next finds it; about another port there is no service.
  EXPECT_EQ(bench.Run(error).step, XLVS_STEP_tx_error_to_dest);
  EXPECT_EQ(bench.Records().size(), 1u);
  ExpectUntouched(bench, error_about({kService1.addr, 81}),
                  XLVS_STEP_pass_icmp_no_conn);
}

// ---- nothing is forgotten

// Endings that no single packet on a quiet machine can have: the first needs
// another CPU, the second a defect.
constexpr xlvs_step kBeyondReach[] = {XLVS_STEP_drop_table_busy,
                                      XLVS_STEP_drop_internal};

// These need a packet with little headroom.
constexpr xlvs_step kWithMetadata[] = {XLVS_STEP_drop_icmp_failed,
                                       XLVS_STEP_drop_no_headroom};

bool IsOneOf(std::span<const xlvs_step> steps, xlvs_step step) {
  return std::ranges::find(steps, step) != std::ranges::end(steps);
}

class EveryEnding : public testing::Environment {
 public:
  void TearDown() override {
    if (GTEST_FLAG_GET(filter) != "*") return;
    for (int i = 0; i < XLVS_STEP_max; ++i) {
      const auto step = static_cast<xlvs_step>(i);
      const bool reachable = !IsOneOf(kBeyondReach, step);
      const bool seen = Bench::SeenEndings().test(i);
      if (!seen && IsOneOf(kWithMetadata, step) && !Bench().TakesMetadata(208))
        continue;
      EXPECT_EQ(seen, reachable)
          << StepName(step) << (reachable ? " has no test" : " was reached");
    }
  }
};
const testing::Environment* const every_ending =
    testing::AddGlobalTestEnvironment(new EveryEnding);

}  // namespace
}  // namespace xlvs
