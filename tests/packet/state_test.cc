// SPDX-License-Identifier: Apache-2.0
//
// The life of a connection: walks through IPVS's TCP state machine (all of it:
// state_table_test.cc), what dests count, and what becomes of connections whose
// time is over.
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

// IPVS's names, short.
const std::map<std::string, xlvs_conn_state> kStates = {
    {"NO", XLVS_CONN_tcp_none},     {"ES", XLVS_CONN_tcp_established},
    {"SS", XLVS_CONN_tcp_syn_sent}, {"SR", XLVS_CONN_tcp_syn_recv},
    {"FW", XLVS_CONN_tcp_fin_wait}, {"TW", XLVS_CONN_tcp_time_wait},
    {"CL", XLVS_CONN_tcp_close},    {"CW", XLVS_CONN_tcp_close_wait},
    {"LA", XLVS_CONN_tcp_last_ack}, {"LI", XLVS_CONN_tcp_listen},
    {"SA", XLVS_CONN_tcp_synack},   {"UDP", XLVS_CONN_udp},
};

std::string NameOf(uint8_t state) {
  for (const auto& [name, number] : kStates)
    if (number == state) return name;
  return absl::StrCat("state ", state);
}

class State : public PacketTest {
 protected:
  State()
      : service_(bench.AddService(kService1)),
        dest1_(bench.AddDest(service_, kDest1)) {}

  xlvs_conn* Conn(Endpoint client = kClient1,
                  Protocol protocol = Protocol::kTcp) {
    return bench.Find(client, kService1, protocol);
  }
  // The connection's state, "-" if there is none.
  std::string StateNow(Endpoint client = kClient1) {
    const xlvs_conn* conn = Conn(client);
    return conn == nullptr ? "-" : NameOf(conn->life.state);
  }
  uint32_t SecondsLeft(Endpoint client = kClient1) {
    return (Conn(client)->life.expires_ticks - bench.now()) /
           XLVS_TICKS_PER_SECOND;
  }
  void In(uint8_t flags, Endpoint client = kClient1) {
    bench.Run(TcpFrame(client, kService1, flags));
  }
  void Out(uint8_t flags, Endpoint client = kClient1) {
    bench.Run(TcpFrame(kDest1, client, flags));
  }
  void Establish(Endpoint client = kClient1) {
    In(kSyn, client);
    Out(kSyn | kAck, client);
    In(kAck, client);
  }

  ServiceKey service_;
  uint32_t dest1_;
};

// ---- walks, as seen on a kernel's IPVS

// "in S", "out SA": what passes, and the state, the seconds left and the dest's
// counts after it.
struct Step {
  const char* packet;
  const char* state;
  uint32_t seconds;
  const char* counts;
};

uint8_t FlagsOfText(absl::string_view text) {
  uint8_t flags = 0;
  for (const char flag : text)
    flags |=
        std::map<char, uint8_t>{
            {'S', kSyn}, {'A', kAck}, {'F', kFin}, {'R', kRst}, {'P', kPsh}}
            .at(flag);
  return flags;
}

class StateWalk : public State {
 protected:
  void Walk(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      SCOPED_TRACE(step.packet);
      bench.AdvanceSeconds(1);
      const std::vector<std::string> words = absl::StrSplit(step.packet, ' ');
      if (words[0] == "in")
        In(FlagsOfText(words[1]));
      else
        Out(FlagsOfText(words[1]));
      EXPECT_EQ(StateNow(), step.state);
      EXPECT_EQ(SecondsLeft(), step.seconds);
      EXPECT_EQ(bench.Counts(dest1_), step.counts);
    }
  }
  const std::vector<Step> kHandshake = {{"in S", "SR", 60, "1/0"},
                                        {"out SA", "SR", 60, "1/0"},
                                        {"in A", "ES", 900, "1/0"},
                                        {"in PA", "ES", 900, "1/0"},
                                        {"out PA", "ES", 900, "1/0"}};
};

TEST_F(StateWalk, ClientClosesFirst) {
  Walk(kHandshake);
  Walk({{"in FA", "CW", 60, "0/1"},
        {"out A", "CW", 60, "0/1"},
        {"out FA", "TW", 120, "0/1"},
        {"in A", "TW", 120, "0/1"}});
}

TEST_F(StateWalk, ServerClosesFirst) {
  Walk(kHandshake);
  Walk({{"out FA", "FW", 120, "0/1"},
        {"in A", "FW", 120, "0/1"},
        {"in FA", "TW", 120, "0/1"},
        {"out A", "TW", 120, "0/1"}});
}

TEST_F(StateWalk, ClientResets) {
  Walk(kHandshake);
  Walk({{"in R", "CL", 10, "0/1"}, {"in A", "CL", 10, "0/1"}});
}

TEST_F(StateWalk, ServerRefuses) {
  Walk({{"in S", "SR", 60, "1/0"}, {"out RA", "CL", 10, "0/1"}});
}

TEST_F(StateWalk, AResetOfTheClientDoesNotFreeAnEmbryonicConnection) {
  Walk({{"in S", "SR", 60, "1/0"},
        {"in R", "SR", 60, "1/0"},
        {"out SA", "SR", 60, "1/0"}});
}

TEST_F(StateWalk, ASynOnAnEstablishedConnectionChangesNothing) {
  Walk(kHandshake);
  Walk({{"in S", "ES", 900, "1/0"}, {"out SA", "ES", 900, "1/0"}});
}

TEST_F(StateWalk, ASynAfterAFinBeginsTheHandshakeOnTheSameConnection) {
  Walk(kHandshake);
  Walk({{"out FA", "FW", 120, "0/1"}, {"in S", "SR", 60, "1/0"}});
  EXPECT_EQ(bench.CountersOf(dest1_).conns, 1u);
}

TEST_F(StateWalk, CountsPacketsAndBytesOfTheIpLayer) {
  Walk(kHandshake);
  const xlvs_counters counters = bench.CountersOf(dest1_);
  EXPECT_EQ(counters.conns, 1u);
  EXPECT_EQ(counters.in_packets, 3u);
  EXPECT_EQ(counters.in_bytes, 3u * 40);
  EXPECT_EQ(counters.out_packets, 2u);
  EXPECT_EQ(counters.out_bytes, 2u * 40);
}

// ---- a client begins anew from the same port

// The second dest has the turn after dest1_ had its first.
class StateReuse : public State {
 protected:
  StateReuse() {
    In(kSyn);
    EXPECT_EQ(Conn()->ports.dest, dest1_);
    dest2_ = bench.AddDest(service_, kDest2, kHop2);
    EXPECT_EQ(bench.Counts(dest1_), "1/0");
  }
  // By packets, so that all counts are as they would be.
  void Bring(const std::string& state) {
    const std::map<std::string, std::vector<const char*>> ways = {
        {"ES", {"in A"}},
        {"SR", {}},
        {"FW", {"in A", "out FA"}},
        {"TW", {"in A", "out FA", "in FA"}},
        {"CL", {"in A", "in R"}},
        {"CW", {"in A", "in FA"}},
        {"LA", {}},
    };
    for (const absl::string_view packet : ways.at(state))
      if (absl::StartsWith(packet, "in "))
        In(FlagsOfText(packet.substr(3)));
      else
        Out(FlagsOfText(packet.substr(4)));
    ASSERT_EQ(StateNow(), state);
  }
  void ExpectRescheduled(const std::string& state) {
    Bring(state);
    EXPECT_EQ(bench.Counts(dest1_), "0/1");
    EXPECT_EQ(bench.Counts(dest2_), "0/0");
    const Frame syn = TcpFrame(kClient1, kService1, kSyn);
    ExpectRun(bench, syn, XLVS_STEP_tx_client_to_dest,
              Via(To(syn, kDest2), kHop2));
    EXPECT_EQ(bench.Records().size(), 1u);
    EXPECT_EQ(Conn()->ports.dest, dest2_);
    EXPECT_EQ(StateNow(), "SR");
    EXPECT_EQ(bench.Counts(dest1_), "0/0");
    EXPECT_EQ(bench.Counts(dest2_), "1/0");
    EXPECT_EQ(bench.CountersOf(dest2_).conns, 1u);
  }

  uint32_t dest2_ = 0;
};

TEST_F(StateReuse, ASynReschedulesAConnectionInTimeWait) {
  ExpectRescheduled("TW");
}

TEST_F(StateReuse, ASynReschedulesAConnectionInClose) {
  ExpectRescheduled("CL");
}

TEST_F(StateReuse, ASynInAnyOtherStateStaysWithTheDest) {
  for (const char* state : {"SR", "ES", "FW", "CW"}) {
    SCOPED_TRACE(state);
    Bring(state);
    const Frame syn = TcpFrame(kClient1, kService1, kSyn);
    ExpectRun(bench, syn, XLVS_STEP_tx_client_to_dest,
              Via(To(syn, kDest1), kHop1));
    EXPECT_EQ(Conn()->ports.dest, dest1_);
    EXPECT_EQ(bench.Records().size(), 1u);
    EXPECT_EQ(bench.Counts(dest1_), "1/0");
    EXPECT_EQ(bench.Counts(dest2_), "0/0");
    EXPECT_EQ(bench.CountersOf(dest1_).conns, 1u);
  }
}

TEST_F(StateReuse, OtherPacketsOnAClosedConnectionStayWithTheDest) {
  Bring("CL");
  const Frame ack = TcpFrame(kClient1, kService1, kAck);
  ExpectRun(bench, ack, XLVS_STEP_tx_client_to_dest,
            Via(To(ack, kDest1), kHop1));
  EXPECT_EQ(bench.Counts(dest1_), "0/1");
}

TEST_F(StateReuse, ASynOnAClosedConnectionOfARemovedDestIsRescheduled) {
  Bring("TW");
  bench.DeleteDest(service_, kDest1);
  const Frame syn = TcpFrame(kClient1, kService1, kSyn);
  ExpectRun(bench, syn, XLVS_STEP_tx_client_to_dest,
            Via(To(syn, kDest2), kHop2));
  EXPECT_EQ(bench.Counts(dest1_), "0/0");
  EXPECT_EQ(bench.Counts(dest2_), "1/0");
}

TEST_F(StateReuse, ASynThatFindsNoDestEndsTheOldConnectionAllTheSame) {
  Bring("CL");
  bench.EditWeight(service_, kDest1, 0);
  bench.EditWeight(service_, kDest2, 0);
  ExpectAnswered(bench, TcpFrame(kClient1, kService1, kSyn),
                 XLVS_STEP_tx_icmp_port_unreach, kPortUnreachable);
  EXPECT_EQ(StateNow(), "-");
}

TEST_F(StateReuse, LooksAtSpilledConnectionsToo) {
  // Many connections in one home group: the fifth and later are elsewhere.
  bench.Reset();
  bench.SetNow(kStart);
  service_ = bench.AddService({kService1.addr, 0});
  bench.AddDest(service_, {kDest1.addr, 0});
  const auto vip = [](int i) {
    return Endpoint{kService1.addr, static_cast<uint16_t>(100 + i)};
  };
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 60; ++i) {
      bench.Run(TcpFrame(kClient1, vip(i), kSyn));
      bench.Run(TcpFrame(kClient1, vip(i), kAck));
      bench.Run(TcpFrame(kClient1, vip(i), kRst));
    }
  EXPECT_EQ(bench.Records().size(), 60u);
  EXPECT_EQ(bench.SpilledTotal(), 56u);
}

// ---- UDP

class StateUdp : public PacketTest {
 protected:
  StateUdp()
      : dest_(bench.AddDest(bench.AddService(kService1, Protocol::kUdp),
                            kDest1)) {}
  xlvs_conn* Conn() { return bench.Find(kClient1, kService1, Protocol::kUdp); }
  uint32_t dest_;
};

TEST_F(StateUdp, LastsFiveMinutesAfterEachPacketAndIsNeverActive) {
  for (int i = 0; i < 3; ++i) {
    bench.AdvanceSeconds(299);
    bench.Run(i % 2 ? UdpFrame(kDest1, kClient1)
                    : UdpFrame(kClient1, kService1));
    ASSERT_NE(Conn(), nullptr);
    EXPECT_EQ(Conn()->life.state, XLVS_CONN_udp);
    EXPECT_EQ(Conn()->life.expires_ticks, bench.now() + 2400);
    EXPECT_EQ(bench.Counts(dest_), "0/1");
  }
  EXPECT_EQ(bench.CountersOf(dest_).conns, 1u);
  bench.AdvanceSeconds(299);
  ASSERT_NE(Conn(), nullptr);
  bench.AdvanceSeconds(1);
  EXPECT_EQ(Conn(), nullptr);
  ExpectUntouched(bench, UdpFrame(kDest1, kClient1),
                  XLVS_STEP_pass_reply_no_conn);
}

TEST_F(StateUdp, AndTcpOfTheSamePortsAreTwoConnections) {
  const uint32_t tcp_dest = bench.AddDest(bench.AddService(kService1), kDest1);
  bench.Run(UdpFrame(kClient1, kService1));
  bench.Run(TcpFrame(kClient1, kService1, kSyn));
  EXPECT_EQ(bench.Records().size(), 2u);
  EXPECT_EQ(bench.Counts(dest_), "0/1");
  EXPECT_EQ(bench.Counts(tcp_dest), "1/0");
}

// ---- timeouts

TEST_F(State, TakesNewTimeoutsAtTheNextPacket) {
  Establish();
  EXPECT_EQ(SecondsLeft(), 900u);
  Must(bench.config().SetTimeouts({.tcp_s = 100, .tcp_fin_s = 20}));
  EXPECT_EQ(SecondsLeft(), 900u);
  In(kAck);
  EXPECT_EQ(SecondsLeft(), 100u);
  Out(kFin | kAck);
  EXPECT_EQ(SecondsLeft(), 20u);
  Must(bench.config().SetTimeouts({.tcp_s = 0, .tcp_fin_s = 5000}));
  Out(kAck);
  EXPECT_EQ(SecondsLeft(), 5000u);
  In(kFin | kAck);  // TIME_WAIT, which is not set
  EXPECT_EQ(SecondsLeft(), 120u);
}

TEST_F(StateUdp, TakesItsNewTimeoutAtTheNextPacket) {
  bench.Run(UdpFrame(kClient1, kService1));
  Must(bench.config().SetTimeouts({.udp_s = 3}));
  bench.Run(UdpFrame(kClient1, kService1));
  EXPECT_EQ(Conn()->life.expires_ticks, bench.now() + 24);
}

// Established connections stay read-mostly: the time is not written anew by
// each packet.
TEST_F(State, RewritesTheTimeOnlyWhenItMovesByASecond) {
  Establish();
  const uint32_t expires = Conn()->life.expires_ticks;
  for (int tick = 1; tick < 8; ++tick) {
    bench.Advance(1);
    In(kAck);
    Out(kAck);
    EXPECT_EQ(Conn()->life.expires_ticks, expires) << tick;
  }
  bench.Advance(1);
  In(kAck);
  EXPECT_EQ(Conn()->life.expires_ticks, expires + 8);
}

TEST_F(State, RewritesAShortTimeWhenItMovesByTheSixtyFourth) {
  Establish();
  In(kRst);  // CLOSE: 80 ticks
  const uint32_t expires = Conn()->life.expires_ticks;
  bench.Advance(1);
  In(kAck);
  EXPECT_EQ(Conn()->life.expires_ticks, expires);
  bench.Advance(1);
  In(kAck);
  EXPECT_EQ(Conn()->life.expires_ticks, expires + 2);
}

// ---- when the time is over

TEST_F(State, FindsAConnectionUntilItsTimeIsOverAndNotLonger) {
  Establish();
  bench.Advance(900 * XLVS_TICKS_PER_SECOND - 1);
  EXPECT_EQ(StateNow(), "ES");
  In(kAck);
  EXPECT_EQ(SecondsLeft(), 900u);
  bench.AdvanceSeconds(900);
  ExpectUntouched(bench, TcpFrame(kClient1, kService1, kAck),
                  XLVS_STEP_pass_no_conn);
  ExpectUntouched(bench, TcpFrame(kDest1, kClient1, kAck),
                  XLVS_STEP_pass_reply_no_conn);
}

TEST_F(State, TakesTheSlotOfAConnectionThatIsOverAndItsCountWithIt) {
  Establish();
  const std::vector<Record> before = bench.Records();
  bench.AdvanceSeconds(900);
  const uint32_t dest2 = bench.AddDest(service_, kDest2, kHop2);
  bench.EditWeight(service_, kDest1, 0);
  // Nobody has noticed yet.
  EXPECT_EQ(bench.Counts(dest1_), "1/0");
  In(kSyn);
  const std::vector<Record> after = bench.Records();
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].bucket, before[0].bucket);
  EXPECT_EQ(after[0].slot, before[0].slot);
  EXPECT_EQ(after[0].conn.ports.dest, dest2);
  EXPECT_EQ(bench.Counts(dest1_), "0/0");
  EXPECT_EQ(bench.Counts(dest2), "1/0");
}

TEST_F(State, SurvivesTheClocksWrap) {
  bench.SetNow(0xffffff00);
  Establish();
  EXPECT_EQ(SecondsLeft(), 900u);
  bench.AdvanceSeconds(800);
  EXPECT_LT(bench.now(), 0xffffff00u);
  In(kAck);
  EXPECT_EQ(StateNow(), "ES");
  EXPECT_EQ(SecondsLeft(), 900u);
  bench.AdvanceSeconds(900);
  EXPECT_EQ(StateNow(), "-");
}

}  // namespace
}  // namespace xlvs
