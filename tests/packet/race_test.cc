// SPDX-License-Identifier: Apache-2.0
//
// Two CPUs and the expiry at work in one bucket of the connection table at the
// same time. Afterwards everything must add up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

constexpr int kThreads = 2;
constexpr size_t kDestAddr = 30;  // offset in a built frame

// Runs `work(thread)` on as many CPUs at once, and waits for the last.
void OnTwoCpus(const std::function<void(int)>& work) {
  const std::vector<int> cpus = UsableCpus();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      PinToCpu(cpus[i % cpus.size()]);
      work(i);
    });
  for (std::thread& thread : threads) thread.join();
}

// Lets threads go on only together.
class Gate {
 public:
  void Pass() {
    const int turn = turn_.load();
    if (arrived_.fetch_add(1) + 1 == kThreads) {
      arrived_ = 0;
      turn_ = turn + 1;
      return;
    }
    while (turn_.load() == turn) {
    }
  }

 private:
  std::atomic<int> arrived_ = 0;
  std::atomic<int> turn_ = 0;
};

Endpoint Client(uint32_t i) {
  return {kClient1.addr + i / 50'000, static_cast<uint16_t>(1024 + i % 50'000)};
}

AttachOptions OneBucket(uint32_t count_batch) {
  AttachOptions options = SmallSizes(/*conns=*/1);
  options.count_batch = count_batch;
  return options;
}

class Race : public testing::TestWithParam<uint32_t> {
 protected:
  Race() : bench(OneBucket(GetParam())) {
    EXPECT_EQ(bench.conns.size(), 1u);
    EXPECT_EQ(bench.meta().config.count_batch, GetParam());
    bench.SetNow(MonotonicTicks());
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      const ServiceKey service = bench.AddService(kService1, protocol);
      for (const Endpoint dest : {kDest1, kDest2})
        ids.push_back(bench.AddDest(service, dest));
    }
  }
  ~Race() override { bench.ExpectAllCounted(); }

  // Builds of all packets that random work sends: building takes longer than
  // what is tested.
  static constexpr int kKinds = 11;
  static std::vector<Bytes> PacketsOf(Endpoint client) {
    std::vector<Bytes> packets;
    for (const uint8_t flags : {kSyn, kSyn, kAck, kFin, kRst})
      packets.push_back(Build(TcpFrame(client, kService1, flags)));
    for (const Endpoint dest : {kDest1, kDest2})
      for (const uint8_t flags : {kFin, kRst})
        packets.push_back(Build(TcpFrame(dest, client, flags)));
    packets.push_back(Build(UdpFrame(client, kService1)));
    packets.push_back(Build(UdpFrame(kDest1, client)));
    EXPECT_EQ(packets.size(), size_t{kKinds});
    return packets;
  }
  static std::vector<std::vector<Bytes>> PacketsOfClients(uint32_t clients) {
    std::vector<std::vector<Bytes>> packets;
    for (uint32_t i = 0; i < clients; ++i)
      packets.push_back(PacketsOf(Client(i)));
    return packets;
  }

  // Live records of a dest.
  std::map<uint32_t, int> RecordsByDest() const {
    std::map<uint32_t, int> by_dest;
    for (const Record& record : bench.Records())
      ++by_dest[record.conn.ports.dest];
    return by_dest;
  }
  void ExpectCountsAreRecords() {
    const std::map<uint32_t, int> by_dest = RecordsByDest();
    for (const uint32_t id : ids) {
      const xlvs_counters sum = bench.CountersOf(id);
      EXPECT_GE(sum.active, 0);
      EXPECT_GE(sum.inactive, 0);
      EXPECT_EQ(sum.active + sum.inactive,
                by_dest.contains(id) ? by_dest.at(id) : 0)
          << "dest " << id;
    }
  }
  // No connection has two records. Returns how many connections there are;
  // records whose time is over are not.
  uint32_t ExpectNoTwins() {
    std::set<std::tuple<std::string, uint16_t, uint16_t, uint8_t>> seen;
    for (const Record& record : bench.Records()) {
      const xlvs_conn& conn = record.conn;
      if (static_cast<int32_t>(conn.life.expires_ticks - bench.now()) <= 0)
        continue;
      const bool fresh =
          seen.emplace(IpAddr(conn.caddr).ToString(), conn.ports.cport,
                       conn.ports.vport, bench.dests[conn.ports.dest].l4_proto)
              .second;
      EXPECT_TRUE(fresh) << "two records of " << IpAddr(conn.caddr).ToString()
                         << ":" << conn.ports.cport;
    }
    return seen.size();
  }
  // What schedulers see, against what is.
  void ExpectLoadsWithinBounds() {
    const int cpus = bench.meta().config.cpus;
    const int batch = GetParam();
    for (const uint32_t id : ids) {
      const xlvs_counters sum = bench.CountersOf(id);
      const xlvs_load load = bench.loads[id];
      for (const xlvs_counters& own : bench.CountersByCpu(id)) {
        EXPECT_LT(std::abs(own.untold_active), batch);
        EXPECT_LT(std::abs(own.untold_inactive), batch);
        EXPECT_LE(std::abs(load.active + own.untold_active - sum.active),
                  (batch - 1) * (cpus - 1));
        EXPECT_LE(std::abs(load.inactive + own.untold_inactive - sum.inactive),
                  (batch - 1) * (cpus - 1));
      }
      EXPECT_EQ(load.active + sum.untold_active, sum.active);
      EXPECT_EQ(load.inactive + sum.untold_inactive, sum.inactive);
    }
  }
  void ExpectLoadsExact() {
    for (const uint32_t id : ids) {
      const xlvs_counters sum = bench.CountersOf(id);
      EXPECT_EQ(bench.loads[id].active, sum.active);
      EXPECT_EQ(bench.loads[id].inactive, sum.inactive);
    }
  }
  // Right after the timer did its work: 125 ms of quiet.
  void AwaitTick() {
    for (int tick = 0; tick < 2; ++tick) {
      const uint64_t runs = LoadWord(bench.clock[0].timer_runs);
      while (LoadWord(bench.clock[0].timer_runs) == runs) usleep(100);
    }
  }
  void Hammer(const std::vector<std::vector<Bytes>>& packets, uint32_t seed,
              const std::function<bool(int)>& go_on) {
    OnTwoCpus([&](int thread) {
      std::mt19937 random(seed * kThreads + thread);
      for (int i = 0; go_on(i); ++i)
        bench.RunUncounted(
            packets[random() % packets.size()][random() % kKinds]);
    });
  }

  Bench bench;
  std::vector<uint32_t> ids;
};

TEST_P(Race, OneConnectionIsMadeOfTwoFirstPacketsAtOnce) {
  constexpr uint32_t kRounds = 400, kFlows = 48;
  for (uint32_t round = 0; round < kRounds && !HasFailure(); ++round) {
    std::vector<Bytes> syns;
    for (uint32_t i = 0; i < kFlows; ++i)
      syns.push_back(
          Build(TcpFrame(Client(round * kFlows + i), kService1, kSyn)));
    std::vector<std::array<uint8_t, kThreads>> chosen(kFlows);
    Gate gate;
    OnTwoCpus([&](int thread) {
      Bytes out;
      for (uint32_t i = 0; i < kFlows; ++i) {
        gate.Pass();
        bench.RunUncounted(syns[i], &out);
        chosen[i][thread] = out[kDestAddr + 3];
      }
    });
    EXPECT_EQ(ExpectNoTwins(), kFlows);
    ExpectCountsAreRecords();
    bench.ExpectHeadsTrue();
    for (uint32_t i = 0; i < kFlows; ++i) {
      // Both packets went to the dest of the record.
      const xlvs_conn* conn =
          bench.Find(Client(round * kFlows + i), kService1, Protocol::kTcp);
      ASSERT_NE(conn, nullptr);
      const uint8_t recorded =
          IpAddr(bench.dests[conn->ports.dest].daddr).v4_host_order() & 0xff;
      EXPECT_EQ(chosen[i][0], recorded);
      EXPECT_EQ(chosen[i][1], recorded);
    }
    // All over: the next round takes their slots.
    bench.AdvanceSeconds(100);
  }
  uint64_t made = 0;
  for (const uint32_t id : ids) made += bench.CountersOf(id).conns;
  EXPECT_EQ(made, uint64_t{kRounds} * kFlows);
  EXPECT_EQ(bench.Steps().endings[XLVS_STEP_tx_client_to_dest],
            uint64_t{kRounds} * kFlows * kThreads);
}

TEST_P(Race, CountsAddUpAfterCreationsEndsAndReuseOnTwoCpus) {
  const auto packets = PacketsOfClients(100);  // more than there are slots
  for (uint32_t round = 0; round < 200 && !HasFailure(); ++round) {
    Hammer(packets, round, [](int i) { return i < 300; });
    ExpectNoTwins();
    ExpectCountsAreRecords();
    bench.ExpectHeadsTrue();
    ExpectLoadsWithinBounds();
    bench.AdvanceSeconds(round % 4 * 5);
  }
}

TEST_P(Race, EverythingReturnsToZeroWhileTheExpiryWorksBesideTwoCpus) {
  for (uint32_t& ticks : bench.control[0].timeout_ticks) ticks = 2;
  bench.SetNow(MonotonicTicks());
  Must(bench.instance().StartTimer());
  const auto packets = PacketsOfClients(100);
  for (uint32_t round = 0; round < 3 && !HasFailure(); ++round) {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    Hammer(packets, round,
           [end](int) { return std::chrono::steady_clock::now() < end; });
    // What is left is counted, also while it expires.
    AwaitTick();
    ExpectNoTwins();
    ExpectCountsAreRecords();
    bench.ExpectHeadsTrue();
    ExpectLoadsExact();
  }
  for (int i = 0; i < 300 && !bench.Records().empty(); ++i) usleep(10'000);
  AwaitTick();
  EXPECT_TRUE(bench.Records().empty());
  EXPECT_EQ(bench.SpilledTotal(), 0u);
  for (const uint32_t id : ids) EXPECT_EQ(bench.Counts(id), "0/0");
}

TEST_P(Race, SchedulersSeeTheTruthAfterATick) {
  const auto packets = PacketsOfClients(100);
  bench.SetNow(MonotonicTicks());
  Hammer(packets, 1, [](int i) { return i < 5000; });
  Must(bench.instance().StartTimer());
  for (uint32_t round = 0; round < 3; ++round) {
    AwaitTick();
    ExpectLoadsExact();
    ExpectCountsAreRecords();
    Hammer(packets, round, [](int i) { return i < 5000; });
    AwaitTick();
    ExpectLoadsExact();
  }
}

INSTANTIATE_TEST_SUITE_P(CountBatch, Race, testing::Values(1, 8),
                         [](const auto& param) {
                           return absl::StrCat(param.param);
                         });

}  // namespace
}  // namespace xlvs
