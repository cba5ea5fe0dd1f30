// SPDX-License-Identifier: Apache-2.0
//
// The connection table: what was put in is found again, from both sides, until
// its time is over; what happens when there is no room.
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "tests/packet/checksum.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

constexpr size_t kSourcePort = 34, kIpCheck = 24, kSourceAddr = 26,
                 kDestPort = 36, kDestAddr = 30,
                 kFlags = 47;  // offsets in a built frame

void Put(Bytes& in, size_t at, uint32_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i, value >>= 8) in[at + i] = value & 0xff;
}
uint32_t Get(const Bytes& in, size_t at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | in[at + i];
  return value;
}

// The i-th client: ports in turn, then the next address, as one host behind
// another would open them.
Endpoint Client(uint32_t i) {
  constexpr uint32_t kPorts = 60'000;
  return {kClient1.addr + i / kPorts, static_cast<uint16_t>(1024 + i % kPorts)};
}

uint64_t Ended(const Sums& before, const Sums& after, xlvs_step step) {
  return after.endings[step] - before.endings[step];
}

TEST(Table, FindsAMillionConnectionsFromBothSides) {
  constexpr uint32_t kConns = 1'000'000, kDests = 29;
  Bench bench(SmallSizes(kConns));
  bench.SetNow(1'000'000);
  const ServiceKey service = bench.AddService(kService1);
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < kDests; ++i)
    ids.push_back(bench.AddDest(service, {kDest1.addr + i, 8080}));

  // TCP's checksums are another test's: the same frames, other addresses.
  Bytes request = Build(TcpFrame(kClient1, kService1, kSyn));
  Bytes reply = Build(TcpFrame(kDest1, kClient1, kSyn | kAck));
  std::vector<uint8_t> dest_of(kConns);
  Bytes out;
  const auto run_request = [&](uint32_t i) {
    Put(request, kSourceAddr, Client(i).addr.v4(), 4);
    Put(request, kSourcePort, Client(i).port, 2);
    Put(request, kIpCheck, 0, 2);
    Put(request, kIpCheck, InternetChecksum(std::span(request).subspan(14, 20)),
        2);
    bench.RunUncounted(request, &out);
    return static_cast<uint8_t>(Get(out, kDestAddr, 4) - kDest1.addr.v4());
  };

  Sums before = bench.Steps();
  for (uint32_t i = 0; i < kConns; ++i) dest_of[i] = run_request(i);
  Sums after = bench.Steps();
  ASSERT_EQ(Ended(before, after, XLVS_STEP_tx_client_to_dest), kConns);
  ASSERT_EQ(after.rx - before.rx, kConns);
  ASSERT_EQ(bench.Records().size(), kConns);

  uint32_t wrong = 0;
  Put(request, kFlags, kAck, 1);
  before = after;
  for (uint32_t i = 0; i < kConns; ++i) wrong += run_request(i) != dest_of[i];
  after = bench.Steps();
  EXPECT_EQ(wrong, 0u) << "requests sent to another dest than before";
  EXPECT_EQ(Ended(before, after, XLVS_STEP_tx_client_to_dest), kConns);

  wrong = 0;
  before = after;
  for (uint32_t i = 0; i < kConns; ++i) {
    Put(reply, kSourceAddr, kDest1.addr.v4() + dest_of[i], 4);
    Put(reply, kDestAddr, Client(i).addr.v4(), 4);
    Put(reply, kDestPort, Client(i).port, 2);
    bench.RunUncounted(reply, &out);
    wrong += Get(out, kSourceAddr, 4) != kService1.addr.v4() ||
             Get(out, kSourcePort, 2) != kService1.port ||
             Get(out, kDestAddr, 4) != Client(i).addr.v4();
  }
  after = bench.Steps();
  EXPECT_EQ(wrong, 0u) << "replies not rewritten";
  EXPECT_EQ(Ended(before, after, XLVS_STEP_tx_dest_to_client), kConns);

  // A reply of any other dest has no connection.
  before = after;
  for (uint32_t i = 0; i < kConns; i += 100) {
    Put(reply, kSourceAddr, kDest1.addr.v4() + (dest_of[i] + 1) % kDests, 4);
    Put(reply, kDestAddr, Client(i).addr.v4(), 4);
    Put(reply, kDestPort, Client(i).port, 2);
    bench.RunUncounted(reply, &out);
  }
  after = bench.Steps();
  EXPECT_EQ(Ended(before, after, XLVS_STEP_pass_reply_no_conn), kConns / 100);

  EXPECT_EQ(bench.Records().size(), kConns);
  uint32_t active = 0;
  for (const uint32_t id : ids) {
    const xlvs_counters counters = bench.CountersOf(id);
    active += counters.active;
    EXPECT_EQ(counters.inactive, 0);
    EXPECT_EQ(counters.in_packets, counters.out_packets * 2);
  }
  EXPECT_EQ(active, kConns);
  bench.ExpectHeadsTrue();
  bench.ExpectAllCounted();
}

// ---- no room

class SmallTable : public testing::Test {
 protected:
  SmallTable() : SmallTable(Shared()) {}
  explicit SmallTable(Bench& one) : bench(one) {
    bench.Reset();
    bench.SetNow(MonotonicTicks());
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
      (protocol == Protocol::kTcp ? tcp_dest : udp_dest) =
          bench.AddDest(bench.AddService(kService1, protocol), kDest1, kHop1);
  }
  xlvs_step Send(uint32_t client, uint8_t flags) {
    return bench.Run(TcpFrame(Client(client), kService1, flags)).step;
  }
  xlvs_step SendBack(uint32_t client, uint8_t flags) {
    return bench.Run(TcpFrame(kDest1, Client(client), flags)).step;
  }
  xlvs_step SendUdp(uint32_t client) {
    return bench.Run(UdpFrame(Client(client), kService1)).step;
  }
  // Whether the client's connection was made, and established.
  bool Establish(uint32_t client) {
    if (Send(client, kSyn) != XLVS_STEP_tx_client_to_dest) return false;
    EXPECT_EQ(Send(client, kAck), XLVS_STEP_tx_client_to_dest);
    return true;
  }
  uint32_t Slots() const { return bench.conns.size() * XLVS_CONNS_PER_BUCKET; }

  static Bench& Shared() {
    static Bench one(SmallSizes(/*conns=*/1000));
    return one;
  }

  Bench& bench;
  uint32_t tcp_dest = 0;
  uint32_t udp_dest = 0;
};

TEST_F(SmallTable, KeepsEveryEstablishedConnectionWhenItIsFull) {
  std::vector<uint32_t> made;
  uint32_t refused = 0;
  for (uint32_t i = 0; i < 2 * Slots(); ++i) {
    if (Establish(i))
      made.push_back(i);
    else
      ++refused;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_EQ(bench.Steps().endings[XLVS_STEP_drop_table_full], refused);
  EXPECT_GT(made.size(), bench.meta().conns);
  EXPECT_EQ(bench.Records().size(), made.size());
  EXPECT_EQ(bench.Counts(tcp_dest), absl::StrCat(made.size(), "/0"));
  bench.ExpectHeadsTrue();

  // Also later, when whoever is embryonic for long may be replaced.
  for (const uint32_t seconds : {0, 5, 200}) {
    bench.AdvanceSeconds(seconds);
    for (uint32_t i = 2 * Slots(); i < 3 * Slots(); ++i) Send(i, kSyn);
    for (const uint32_t i : made) {
      ASSERT_EQ(Send(i, kAck), XLVS_STEP_tx_client_to_dest) << i;
      ASSERT_EQ(SendBack(i, kAck), XLVS_STEP_tx_dest_to_client) << i;
    }
  }
}

TEST_F(SmallTable, KeepsTheConnectionsItWasMadeFor) {
  for (uint32_t i = 0; i < bench.meta().conns; ++i)
    ASSERT_TRUE(Establish(i)) << i;
}

// Not the shared table: once started, the timer runs as long as it exists.
class TableWithTimer : public SmallTable {
 protected:
  TableWithTimer() : SmallTable(Own()) {}
  static Bench& Own() {
    static Bench one(SmallSizes(/*conns=*/1000));
    return one;
  }
};

TEST_F(TableWithTimer, CountsToZeroWhenAllConnectionsAreOver) {
  for (uint32_t& ticks : bench.control[0].timeout_ticks) ticks = 8;
  for (uint32_t i = 0; i < Slots(); ++i) {
    if (i % 3 == 0)
      SendUdp(i);
    else if (Establish(i) && i % 3 == 1)
      Send(i, kRst);
  }
  EXPECT_GT(bench.SpilledTotal(), 0u);
  bench.ExpectHeadsTrue();
  EXPECT_GT(bench.Records().size(), bench.meta().conns);
  const xlvs_counters tcp = bench.CountersOf(tcp_dest);
  const xlvs_counters udp = bench.CountersOf(udp_dest);
  EXPECT_GT(tcp.active, 0);
  EXPECT_GT(tcp.inactive, 0);
  EXPECT_EQ(bench.Records().size(),
            static_cast<size_t>(tcp.active + tcp.inactive + udp.inactive));

  Must(bench.instance().StartTimer());
  // A second until they are over, another for a round of the expiry.
  for (int i = 0; i < 300 && !bench.Records().empty(); ++i) usleep(10'000);
  EXPECT_TRUE(bench.Records().empty());
  EXPECT_EQ(bench.SpilledTotal(), 0u);
  EXPECT_EQ(bench.Counts(tcp_dest), "0/0");
  EXPECT_EQ(bench.Counts(udp_dest), "0/0");
}

// expire_nodest_conn: the templates go after the connections that they hold.
TEST_F(TableWithTimer, EndsConnectionsAndTemplatesOfARemovedServer) {
  const Endpoint vip = {kService1.addr, 81};
  const ServiceKey key = {
      .vaddr = ToIpAddr(vip.addr), .vport = 81, .protocol = Protocol::kTcp};
  Must(bench.config().AddService(
      {.key = key, .scheduler = Scheduler::kRr, .persistent_s = 300}));
  const uint32_t dest = bench.AddDest(key, kDest2, kHop2);
  for (uint32_t i = 0; i < 100; ++i) {
    bench.Run(TcpFrame(Client(i), vip, kSyn));
    bench.Run(TcpFrame(Client(i), vip, kAck));
  }
  ASSERT_EQ(bench.Counts(dest), "100/0");
  const int32_t templates = bench.CountersOf(dest).persistent;
  ASSERT_GT(templates, 0);
  ASSERT_EQ(bench.Records().size(), 100u + templates);

  Must(bench.instance().StartTimer());
  Must(bench.config().Set("expire_nodest_conn", 1));
  bench.DeleteDest(key, kDest2);
  for (int i = 0; i < 600 && !bench.Records().empty(); ++i) usleep(10'000);
  EXPECT_TRUE(bench.Records().empty());
  EXPECT_EQ(bench.Counts(dest), "0/0");
  EXPECT_EQ(bench.CountersOf(dest).persistent, 0);
}

class OneBucket : public SmallTable {
 protected:
  OneBucket() : SmallTable(Shared()) {
    EXPECT_EQ(Slots(), uint32_t{XLVS_CONNS_PER_BUCKET});
  }
  static Bench& Shared() {
    static Bench one(SmallSizes(/*conns=*/1));
    return one;
  }
  bool Has(uint32_t client) {
    return bench.Find(Client(client), kService1, Protocol::kTcp) != nullptr;
  }
};

TEST_F(OneBucket, ReplacesTheOldestConnectionThatIsEmbryonicForASecond) {
  // Half of them established; the others a tick apart.
  for (uint32_t i = 0; i < 32; ++i) ASSERT_TRUE(Establish(i));
  for (uint32_t i = 32; i < 64; ++i) {
    if (i % 8 == 0) bench.Advance(1);  // 4 ticks in all
    ASSERT_EQ(Send(i, kSyn), XLVS_STEP_tx_client_to_dest);
  }
  // The oldest are 3 ticks old.
  EXPECT_EQ(Send(64, kSyn), XLVS_STEP_drop_table_full);
  bench.Advance(5);
  EXPECT_EQ(Send(64, kSyn), XLVS_STEP_drop_table_full);
  bench.Advance(1);
  // Older than a second now: the first eight, no other.
  for (uint32_t i = 64; i < 72; ++i)
    ASSERT_EQ(Send(i, kSyn), XLVS_STEP_tx_client_to_dest);
  EXPECT_EQ(Send(72, kSyn), XLVS_STEP_drop_table_full);
  for (uint32_t i = 0; i < 72; ++i) EXPECT_EQ(Has(i), i < 32 || i >= 40) << i;
  EXPECT_EQ(bench.Counts(tcp_dest), "64/0");
  EXPECT_EQ(bench.CountersOf(tcp_dest).conns, 72u);
}

TEST_F(OneBucket, NeverReplacesAConnectionThatIsNotEmbryonic) {
  for (uint32_t i = 0; i < 64; ++i) {
    ASSERT_TRUE(Establish(i));
    if (i % 4 == 1) Send(i, kFin | kAck);
    if (i % 4 == 2) SendBack(i, kFin | kAck);
    if (i % 4 == 3) {
      Send(i, kFin | kAck);
      SendBack(i, kFin | kAck);
    }
  }
  bench.AdvanceSeconds(50);
  EXPECT_EQ(Send(64, kSyn), XLVS_STEP_drop_table_full);
  // CLOSE_WAIT is over after 60 s, the others later.
  bench.AdvanceSeconds(10);
  for (uint32_t i = 64; i < 80; ++i)
    EXPECT_EQ(Send(i, kSyn), XLVS_STEP_tx_client_to_dest);
  EXPECT_EQ(Send(80, kSyn), XLVS_STEP_drop_table_full);
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(Has(i), i % 4 != 1) << i;
}

TEST_F(OneBucket, TakesExpiredConnectionsBeforeEmbryonicOnes) {
  for (uint32_t i = 0; i < 63; ++i) {
    ASSERT_EQ(Send(i, kSyn), XLVS_STEP_tx_client_to_dest);
  }
  SendUdp(63);
  bench.Find(Client(63), kService1, Protocol::kUdp)->life.expires_ticks =
      bench.now() + 8;
  bench.AdvanceSeconds(10);
  EXPECT_EQ(Send(64, kSyn), XLVS_STEP_tx_client_to_dest);
  for (uint32_t i = 0; i < 63; ++i) EXPECT_TRUE(Has(i)) << i;
  EXPECT_EQ(bench.Counts(udp_dest), "0/0");
  EXPECT_EQ(bench.Counts(tcp_dest), "64/0");
}

TEST_F(OneBucket, KnowsWhatSpilledAtEveryMoment) {
  std::mt19937 random(1);
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    const uint32_t client = random() % 150;
    switch (random() % 6) {
      case 0:
        SendUdp(client);
        break;
      case 1:
        Send(client, kRst);
        break;
      case 2:
        SendBack(client, kRst);
        break;
      default:
        Send(client, random() % 3 ? kSyn : kAck);
    }
    bench.Advance(random() % 8);
    bench.ExpectHeadsTrue();
  }
  EXPECT_GT(bench.SpilledTotal(), 0u);
}

// ---- who is who

TEST_F(SmallTable, KeepsOneClientsConnectionsToSeveralServicesApart) {
  struct Pair {
    Endpoint service, dest;
    Protocol protocol;
  };
  const std::vector<Pair> pairs = {
      {{kService1.addr, 81}, {kDest1.addr, 9081}, Protocol::kTcp},
      {{kService1.addr, 82}, {kDest1.addr, 9082}, Protocol::kTcp},
      {{kService2.addr, 81}, {kDest2.addr, 9081}, Protocol::kTcp},
      {{kService2.addr, 82}, {kDest2.addr, 9082}, Protocol::kTcp},
      {{kService1.addr, 81}, {kDest1.addr, 9081}, Protocol::kUdp},
      {{kService1.addr, 82}, {kDest1.addr, 9082}, Protocol::kUdp},
      {{kService2.addr, 81}, {kDest2.addr, 9081}, Protocol::kUdp},
      {{kService2.addr, 82}, {kDest2.addr, 9082}, Protocol::kUdp},
  };
  const auto frame = [](const Pair& pair, Endpoint from, Endpoint to,
                        uint8_t flags) {
    return pair.protocol == Protocol::kTcp ? TcpFrame(from, to, flags)
                                           : UdpFrame(from, to);
  };
  std::vector<uint32_t> ids;
  for (const Pair& pair : pairs)
    ids.push_back(bench.AddDest(bench.AddService(pair.service, pair.protocol),
                                pair.dest));
  for (const uint8_t flags : {kSyn, kAck})
    for (const Pair& pair : pairs) {
      const Frame in = frame(pair, kClient1, pair.service, flags);
      ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest,
                Via(To(in, pair.dest), kHop1));
      const Frame reply = frame(pair, pair.dest, kClient1, kAck);
      ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
                ViaRouter(From(reply, pair.service)));
    }
  EXPECT_EQ(bench.Records().size(), pairs.size());
  // The end of one is not the end of another.
  bench.Run(frame(pairs[0], kClient1, pairs[0].service, kRst));
  for (size_t i = 0; i < pairs.size(); ++i)
    EXPECT_EQ(bench.Counts(ids[i]), i == 0 || i >= 4 ? "0/1" : "1/0") << i;
}

// A real server behind two services: the replies of a client's connections to
// both look alike.
class Alike : public SmallTable {
 protected:
  static constexpr Endpoint kFirst = {kService2.addr, 81};
  static constexpr Endpoint kSecond = {kService2.addr, 82};
  Alike() {
    for (const Endpoint service : {kFirst, kSecond})
      bench.AddDest(bench.AddService(service, Protocol::kUdp), kDest2);
  }
  void Request(Endpoint service) {
    const Frame in = UdpFrame(kClient1, service);
    ExpectRun(bench, in, XLVS_STEP_tx_client_to_dest,
              Via(To(in, kDest2), kHop1));
  }
  void ExpectReplyAs(Endpoint service) {
    const Frame in = UdpFrame(kDest2, kClient1);
    ExpectRun(bench, in, XLVS_STEP_tx_dest_to_client,
              ViaRouter(From(in, service)));
  }
  void End(Endpoint service) {
    bench.Find(kClient1, service, Protocol::kUdp)->life.expires_ticks =
        bench.now();
  }
};

TEST_F(Alike, RepliesAreThoseOfTheNewerConnection) {
  Request(kFirst);
  ExpectReplyAs(kFirst);
  Request(kSecond);
  ExpectReplyAs(kSecond);
  Request(kFirst);
  ExpectReplyAs(kSecond);
  EXPECT_EQ(bench.Records().size(), 2u);
}

TEST_F(Alike, RepliesStayWithTheNewerConnectionWhenTheOlderIsOver) {
  Request(kFirst);
  Request(kSecond);
  End(kFirst);
  ExpectReplyAs(kSecond);
}

TEST_F(Alike, RepliesAreTheOlderConnectionsAgainWhenTheNewerIsOver) {
  Request(kFirst);
  Request(kSecond);
  End(kSecond);
  Request(kFirst);
  ExpectReplyAs(kFirst);
}

}  // namespace
}  // namespace xlvs
