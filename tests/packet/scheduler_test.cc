// SPDX-License-Identifier: Apache-2.0
//
// Scheduler sequences: random configurations and histories of connections, the
// BPF schedulers (through the loader that configures them) against
// loader/schedule/model, which has the schedulers as IPVS's source has them. A
// difference in one pick, or in one connection count, fails.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "loader/schedule/hash_table.h"
#include "loader/schedule/model.h"
#include "maps/lblc.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

constexpr int kHistories = 10'000;
// Clearing all maps takes longer than a history: several share them, each with
// a service and clients of its own.
constexpr int kHistoriesPerReset = 100;
constexpr Scheduler kSchedulers[] = {
    Scheduler::kRr,   Scheduler::kWrr,  Scheduler::kLc,   Scheduler::kWlc,
    Scheduler::kSed,  Scheduler::kNq,   Scheduler::kFo,   Scheduler::kOvf,
    Scheduler::kTwos, Scheduler::kSh,   Scheduler::kDh,   Scheduler::kMh,
    Scheduler::kNone, Scheduler::kLblc, Scheduler::kLblcr};

Endpoint DestOf(int number) {
  return {V4(192, 0, 2, 1 + number), 8080};
}

// One history: a service, its dests and connections, here and in the model.
class History {
 public:
  History(Bench& bench, uint32_t seed)
      : bench_(bench),
        place_(seed % kHistoriesPerReset),
        random_(seed),
        scheduler_(AnyScheduler()),
        flags_(AnyFlags()),
        udp_(Below(5) == 0),
        weights_(Below(4)),
        has_thresholds_(Below(2) == 0),
        model_(scheduler_, flags_),
        log_(absl::StrCat("seed ", seed, ", ", Name(scheduler_))) {
    const uint32_t expiration_s = Below(2) == 0 ? 1 : 86'400;
    bench_.control[0].set.lblc_expiration = expiration_s;
    bench_.control[0].set.lblcr_expiration = expiration_s;
    model_.SetExpiration(expiration_s * XLVS_TICKS_PER_SECOND);
    model_.SetNow(bench_.now());
    service_ = {.vaddr = ToIpAddr(vip_.addr),
                .vport = vip_.port,
                .protocol = udp_ ? Protocol::kUdp : Protocol::kTcp};
    Must(bench_.config().AddService(
        {.key = service_, .scheduler = scheduler_, .sched_flags = flags_}));
    const uint32_t dests = Below(8) == 0 ? 12 + Below(20) : 1 + Below(8);
    for (uint32_t i = 0; i < dests; ++i) AddDest();
  }

  // False, with the story so far, at the first difference.
  testing::AssertionResult Play(int events) {
    for (int i = 0; i < events && difference_.empty(); ++i) Event();
    if (difference_.empty()) CompareCounts();
    if (difference_.empty()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << log_ << ": " << difference_;
  }

 private:
  struct DestState {
    uint32_t id = 0;
    bool available = false;
    int active = 0;
    int inactive = 0;
    uint32_t weight = 0;
    uint32_t upper = 0;
    uint32_t lower = 0;
  };
  enum class Phase { kSynRecv, kEstablished, kOver, kUdp };
  struct Conn {
    int dest = 0;
    Phase phase = Phase::kUdp;
  };

  uint32_t Below(uint32_t bound) { return random_() % bound; }

  Scheduler AnyScheduler() {
    return kSchedulers[Below(std::size(kSchedulers))];
  }

  uint32_t AnyFlags() {
    return (Below(2) == 0 ? kSchedFlag1 : 0) |
           (Below(2) == 0 ? kSchedFlag2 : 0);
  }

  uint32_t Weight() {
    switch (weights_) {
      case 0:
        return 1;
      case 1:
        return Below(6);
      case 2:
        return 2 * Below(5);
      default:
        return Below(3) == 0 ? Below(65536) : Below(10);
    }
  }

  void Event() {
    const uint32_t roll = Below(100);
    if (roll < 52)
      Open(conns_.size());
    else if (roll < 60)
      Ack();
    else if (roll < 70)
      Fin();
    else if (roll < 75)
      Rst();
    else if (roll < 86)
      OpenAgain();
    else if (roll < 90)
      EditWeight();
    else if (roll < 93)
      EditThresholds();
    else if (roll < 95)
      AddDest();
    else if (roll < 98)
      DeleteDest();
    else if (roll < 99)
      Advance();
    else
      ChangeScheduler();
  }

  // ---- connections

  Endpoint Client(size_t number) const {
    return {V4(203, 0, 113, 1 + number), static_cast<uint16_t>(10000 + place_)};
  }

  Outcome Send(size_t conn, uint8_t flags) {
    return bench_.Run(udp_ ? UdpFrame(Client(conn), vip_)
                           : TcpFrame(Client(conn), vip_, flags));
  }

  // What the model allows for the next pick: of twos each dest that may be
  // drawn, of the others one. Empty: no dest is usable.
  std::vector<int> Allowed(const Endpoint& client) {
    std::vector<int> allowed;
    if (scheduler_ == Scheduler::kTwos)
      for (const auto& [dest, chance] : model_.Chances())
        allowed.push_back(dest);
    else if (const auto pick = model_.Pick({.caddr = ToIpAddr(client.addr),
                                            .cport = client.port,
                                            .vaddr = service_.vaddr}))
      allowed.push_back(*pick);
    return allowed;
  }

  // A first packet: the pick is compared.
  void Open(size_t number) {
    const std::vector<int> allowed = Allowed(Client(number));
    const Outcome outcome = Send(number, kSyn);
    absl::StrAppend(&log_, " +", number);
    if (allowed.empty()) {
      if (outcome.step != XLVS_STEP_tx_icmp_port_unreach)
        difference_ = absl::StrCat("no dest is usable, but the packet ends as ",
                                   StepName(outcome.step));
      return;
    }
    const int got =
        outcome.step == XLVS_STEP_tx_client_to_dest ? outcome.out[33] - 1 : -1;
    absl::StrAppend(&log_, "=", got);
    if (std::find(allowed.begin(), allowed.end(), got) == allowed.end()) {
      difference_ = absl::StrCat(
          "the model picks ", absl::StrJoin(allowed, " or "),
          ", the packet went ", got, " (", StepName(outcome.step), ")");
      return;
    }
    Count(got, udp_ ? 0 : 1, udp_ ? 1 : 0);
    const Conn conn = {.dest = got,
                       .phase = udp_ ? Phase::kUdp : Phase::kSynRecv};
    if (number == conns_.size())
      conns_.push_back(conn);
    else
      conns_[number] = conn;
  }

  void Count(int dest, int active, int inactive) {
    dests_[dest].active += active;
    dests_[dest].inactive += inactive;
    model_.Count(dest, active, inactive);
  }

  // Some connection in one of two phases, whose dest is there.
  std::optional<size_t> Some(Phase one, Phase other) {
    if (conns_.empty()) return std::nullopt;
    const size_t first = Below(conns_.size());
    for (size_t i = 0; i < conns_.size(); ++i) {
      const size_t number = (first + i) % conns_.size();
      const Conn& conn = conns_[number];
      if ((conn.phase == one || conn.phase == other) &&
          dests_[conn.dest].available)
        return number;
    }
    return std::nullopt;
  }

  void Ack() {
    if (const auto conn = Some(Phase::kSynRecv, Phase::kSynRecv)) {
      Send(*conn, kAck);
      conns_[*conn].phase = Phase::kEstablished;
    }
  }

  void Fin() {
    if (const auto conn = Some(Phase::kSynRecv, Phase::kEstablished)) {
      Send(*conn, kFin | kAck);
      // From SYN_RECV to TIME_WAIT, from ESTABLISHED to CLOSE_WAIT.
      Count(conns_[*conn].dest, -1, 1);
      conns_[*conn].phase = conns_[*conn].phase == Phase::kSynRecv
                                ? Phase::kOver
                                : Phase::kUdp;  // nothing more to do with it
    }
  }

  void Rst() {
    if (const auto conn = Some(Phase::kEstablished, Phase::kEstablished)) {
      Send(*conn, kRst);
      Count(conns_[*conn].dest, -1, 1);
      conns_[*conn].phase = Phase::kOver;
    }
  }

  // A client that begins anew from the same port: the old connection counts
  // until the new one does.
  void OpenAgain() {
    const auto conn = Some(Phase::kOver, Phase::kOver);
    if (!conn) return;
    const int old_dest = conns_[*conn].dest;
    conns_[*conn].phase = Phase::kUdp;
    Open(*conn);
    Count(old_dest, 0, -1);
  }

  // ---- configuration

  std::optional<int> SomeDest(bool available) {
    std::vector<int> fitting;
    for (const auto& [number, dest] : dests_)
      if (dest.available == available) fitting.push_back(number);
    if (fitting.empty()) return std::nullopt;
    return fitting[Below(fitting.size())];
  }

  // A new one, or, half of the time, one that was deleted.
  void AddDest() {
    std::optional<int> number;
    if (Below(2) == 0) number = SomeDest(/*available=*/false);
    if (!number) {
      if (dests_.size() >= 50) return;
      number = static_cast<int>(dests_.size());
    }
    const uint32_t weight = Weight();
    absl::StrAppend(&log_, " a", *number, "w", weight);
    DestState& dest = dests_[*number];
    dest.weight = weight;
    const DestKey key = {ToIpAddr(DestOf(*number).addr), 8080};
    if (dest.id == 0)
      dest.id = bench_.AddDest(service_, DestOf(*number), kHop1, weight);
    else
      Must(bench_.config().AddDest(service_, AsConfigured(*number)));
    dest.available = true;
    model_.Add(*number, weight, key);
    SetThresholds(*number);
  }

  Dest AsConfigured(int number) {
    const DestState& dest = dests_[number];
    return {.key = {ToIpAddr(DestOf(number).addr), DestOf(number).port},
            .method = Method::kMasq,
            .weight = dest.weight,
            .tunnel = {},
            .u_threshold = dest.upper,
            .l_threshold = dest.lower};
  }

  // What the loader has to do with the thresholds of an added or edited dest.
  void SetThresholds(int number) {
    const DestState& dest = dests_[number];
    model_.SetThresholds(number, dest.upper, dest.lower);
    xlvs_dest& record = bench_.dests[dest.id];
    if (dest.upper == 0 || dest.upper > record.upper) record.overloaded = 0;
    record.upper = dest.upper;
    record.lower = dest.lower;
    if (dest.upper != 0)
      record.flags |= XLVS_DEST_limited;
    else
      record.flags &= ~XLVS_DEST_limited;
    bool limited = false;
    for (const auto& [other_number, other] : dests_)
      limited |= other.available && other.upper != 0;
    bench_.pools[record.service].limited = limited;
  }

  void EditThresholds() {
    const auto number = SomeDest(/*available=*/true);
    if (!number || !has_thresholds_) return;
    DestState& dest = dests_[*number];
    dest.upper = Below(5);
    dest.lower = Below(2) == 0 ? 0 : Below(dest.upper + 1);
    absl::StrAppend(&log_, " x", *number, "=", dest.upper, ",", dest.lower);
    Must(bench_.config().EditDest(service_, AsConfigured(*number)));
    model_.Edit(*number, dest.weight);
    SetThresholds(*number);
  }

  void EditWeight() {
    if (const auto number = SomeDest(/*available=*/true)) {
      const uint32_t weight = Weight();
      absl::StrAppend(&log_, " e", *number, "w", weight);
      dests_[*number].weight = weight;
      Must(bench_.config().EditDest(service_, AsConfigured(*number)));
      model_.Edit(*number, weight);
      SetThresholds(*number);
    }
  }

  void DeleteDest() {
    if (const auto number = SomeDest(/*available=*/true)) {
      absl::StrAppend(&log_, " d", *number);
      bench_.DeleteDest(service_, DestOf(*number));
      dests_[*number].available = false;
      model_.Delete(*number);
      SetThresholds(*number);
    }
  }

  void ChangeScheduler() {
    scheduler_ = AnyScheduler();
    flags_ = AnyFlags();
    absl::StrAppend(&log_, " ", Name(scheduler_), "-", flags_);
    Must(bench_.config().EditService(
        {.key = service_, .scheduler = scheduler_, .sched_flags = flags_}));
    model_.SetScheduler(scheduler_, flags_);
  }

  // What lblc and lblcr remember grows old, but no connection ends.
  void Advance() {
    const uint32_t ticks = 1 + Below(12);
    if (ticks > ticks_left_) return;
    ticks_left_ -= ticks;
    absl::StrAppend(&log_, " t", ticks);
    bench_.Advance(ticks);
    model_.SetNow(bench_.now());
  }

  void CompareCounts() {
    for (const auto& [number, dest] : dests_) {
      const std::string want = absl::StrCat(dest.active, "/", dest.inactive);
      const std::string got = bench_.Counts(dest.id);
      if (got != want)
        difference_ =
            absl::StrCat("dest ", number, " should have ", want, ", has ", got);
      const bool overloaded = bench_.dests[dest.id].overloaded != 0;
      if (overloaded != model_.overloaded(number))
        difference_ = absl::StrCat("dest ", number, " is ",
                                   overloaded ? "" : "not ", "overloaded");
    }
  }

  Bench& bench_;
  uint32_t place_;  // among those that share the maps
  Endpoint vip_ = {V4(198, 51, 100, 1 + place_), 80};
  std::mt19937 random_;
  Scheduler scheduler_;
  uint32_t flags_;  // those that mean nothing to the scheduler, too
  bool udp_;
  uint32_t weights_;  // which kind
  bool has_thresholds_;
  uint32_t ticks_left_ = 60;  // less than any timeout
  SchedulerModel model_;
  ServiceKey service_;
  std::map<int, DestState> dests_;
  std::vector<Conn> conns_;
  std::string log_;
  std::string difference_;
};

AttachOptions Sizes() {
  AttachOptions options;
  options.conns = 20'000;
  options.services = kHistoriesPerReset;
  options.dests = 50 * kHistoriesPerReset;
  options.hash_tables = kHistoriesPerReset;
  options.maglev_tables = kHistoriesPerReset;
  options.count_batch = 1;
  return options;
}

TEST(SchedulerSequences, AreThoseOfTheModelInTenThousandHistories) {
  Bench bench(Sizes());
  for (int seed = 0; seed < kHistories; ++seed) {
    if (seed % kHistoriesPerReset == 0) bench.Reset();
    bench.Advance(1);  // ICMP errors are limited by the tick
    History history(bench, seed);
    ASSERT_TRUE(history.Play(60));
  }
}

// New connections in this order go to these dests: what kernel IPVS did, with
// A, B and C added in this order.
struct Recorded {
  const char* name;
  Scheduler scheduler;
  std::vector<uint32_t> weights;
  std::string picks;  // '-': refused
};
const Recorded kRecorded[] = {
    {"rr", Scheduler::kRr, {1, 1, 1}, "CBACBA"},
    {"wrr", Scheduler::kWrr, {3, 2, 1}, "CBAABACBAABA"},
    {"wlc", Scheduler::kWlc, {3, 1, 1}, "CBAAACBAAACBAA"},
    {"sed", Scheduler::kSed, {4, 2, 1}, "ABAACBAABAACBA"},
    {"nq", Scheduler::kNq, {4, 2, 1}, "CBAAABAABAACBA"},
    {"fo", Scheduler::kFo, {1, 5, 5}, "CCCCC"},
    {"ovf", Scheduler::kOvf, {3, 2, 1}, "AAAABBBCC-"},
    {"lblc", Scheduler::kLblc, {1, 1, 1}, "CCBBAAAA"},
    {"lblcr", Scheduler::kLblcr, {1, 1, 1}, "CCBBAAABCABCAB"},
};

TEST(SchedulerSequences, AreThoseRecordedOfTheKernel) {
  Bench bench(Sizes());
  for (const Recorded& row : kRecorded) {
    bench.Reset();
    bench.Advance(1);
    const Endpoint vip = {V4(198, 51, 100, 1), 80};
    const ServiceKey service =
        bench.AddService(vip, Protocol::kTcp, row.scheduler);
    for (size_t i = 0; i < row.weights.size(); ++i)
      bench.AddDest(service, DestOf(i), kHop1, row.weights[i]);
    std::string picks;
    for (uint16_t i = 0; i < row.picks.size(); ++i) {
      const Endpoint client = {V4(203, 0, 113, 1),
                               static_cast<uint16_t>(10000 + i)};
      const Outcome outcome = bench.Run(TcpFrame(client, vip, kSyn));
      picks += outcome.step == XLVS_STEP_tx_client_to_dest
                   ? static_cast<char>('A' + outcome.out[33] - 1)
                   : '-';
    }
    EXPECT_EQ(picks, row.picks) << row.name;
  }
}

// Recorded of the kernel: the third of -x 2 is refused, and a connection that
// is over counts until its record is gone. With any count batch.
TEST(Thresholds, AreMetExactly) {
  for (const uint32_t batch : {1u, 8u}) {
    AttachOptions options = SmallSizes();
    options.count_batch = batch;
    Bench bench(options);
    bench.SetNow(1'000'000);
    const uint32_t id = bench.AddDest(bench.AddService(kService1), kDest1);
    bench.dests[id].upper = 2;
    bench.dests[id].flags |= XLVS_DEST_limited;
    bench.pools[bench.dests[id].service].limited = 1;
    const auto open = [&bench](uint16_t port) {
      return bench.Run(TcpFrame({kClient1.addr, port}, kService1, kSyn)).step;
    };
    EXPECT_EQ(open(1000), XLVS_STEP_tx_client_to_dest);
    EXPECT_EQ(open(1001), XLVS_STEP_tx_client_to_dest);
    EXPECT_EQ(open(1002), XLVS_STEP_tx_icmp_port_unreach);
    bench.Run(TcpFrame({kClient1.addr, 1000}, kService1, kRst));
    EXPECT_EQ(open(1003), XLVS_STEP_tx_icmp_port_unreach);
    EXPECT_EQ(bench.dests[id].overloaded, 1u);
  }
}

// Wherever in its cycle it was, also before the first.
TEST(Thresholds, LeaveWrrWhereTheModelIsAfterARefusal) {
  Bench bench;
  for (int before = 0; before < 9; ++before) {
    bench.Reset();
    bench.SetNow(1'000'000);
    const ServiceKey service =
        bench.AddService(kService1, Protocol::kTcp, Scheduler::kWrr);
    SchedulerModel model(Scheduler::kWrr);
    std::vector<uint32_t> ids;
    for (const uint32_t weight : {6, 2, 4}) {
      model.Add(static_cast<int>(ids.size()), weight);
      ids.push_back(bench.AddDest(service, DestOf(ids.size()), kHop1, weight));
    }
    bench.pools[bench.dests[ids[0]].service].limited = 1;
    uint16_t port = 1000;
    const auto compare = [&] {
      const auto want = model.Pick();
      const Outcome outcome =
          bench.Run(TcpFrame({kClient1.addr, port++}, kService1, kSyn));
      const bool refused = outcome.step == XLVS_STEP_tx_icmp_port_unreach;
      EXPECT_EQ(refused ? -1 : outcome.out[33] - 1, want.value_or(-1))
          << before << " before, the next at port " << port - 1;
    };
    for (int i = 0; i < before; ++i) compare();
    for (int i = 0; i < 3; ++i) {
      model.SetThresholds(i, 1, 0);
      model.Count(i, 1, 0);
      bench.dests[ids[i]].overloaded = 1;
    }
    compare();
    for (int i = 0; i < 3; ++i) {
      model.Count(i, -1, 0);
      bench.dests[ids[i]].overloaded = 0;
    }
    for (int i = 0; i < 8; ++i) compare();
  }
}

// Without a scheduler a service has no usable server.
TEST(NoScheduler, RefusesClients) {
  Bench bench(Sizes());
  bench.Reset();
  bench.Advance(1);
  const ServiceKey service =
      bench.AddService(kService1, Protocol::kTcp, Scheduler::kNone);
  bench.AddDest(service, kDest1);
  EXPECT_EQ(bench.Run(TcpFrame(kClient1, kService1, kSyn)).step,
            XLVS_STEP_tx_icmp_port_unreach);
}

// Loads that make every pair of dests differ, and many picks that leave no
// trace (each connection is cut off before the next).
TEST(PowerOfTwo, DrawsAsOftenAsTheModelSays) {
  constexpr int kPicks = 20'000;
  Bench bench(Sizes());
  bench.Reset();
  const Endpoint vip = {V4(198, 51, 100, 1), 53};
  const ServiceKey service =
      bench.AddService(vip, Protocol::kUdp, Scheduler::kTwos);
  SchedulerModel model(Scheduler::kTwos);
  const uint32_t weights[] = {3, 0, 1, 5, 2};
  std::vector<uint32_t> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(bench.AddDest(service, DestOf(i), kHop1, weights[i]));
    model.Add(i, weights[i]);
    // So far apart that the connections made meanwhile do not change the order.
    const int active = (i * 7 % 5) * 1000;
    bench.loads[ids.back()].active += active;
    model.Count(i, active, 0);
  }
  std::map<int, int> drawn;
  for (int i = 0; i < kPicks; ++i) {
    const Endpoint client = {V4(203, 0, 113, 1 + i / 10'000),
                             static_cast<uint16_t>(10'000 + i % 10'000)};
    const Outcome outcome = bench.Run(UdpFrame(client, vip));
    ASSERT_EQ(outcome.step, XLVS_STEP_tx_client_to_dest);
    ++drawn[outcome.out[33] - 1];
  }
  for (const auto& [dest, chance] : model.Chances()) {
    // Five standard deviations: once in millions of runs.
    const double most = 5 * std::sqrt(kPicks * chance * (1 - chance)) + 1;
    EXPECT_NEAR(drawn[dest], kPicks * chance, most) << dest;
    drawn.erase(dest);
  }
  EXPECT_TRUE(drawn.empty()) << "a dest without a chance was drawn";
}

// ---- lblc and lblcr: what is kept, and for whom

class ByCache : public PacketTest {
 protected:
  void Add(Scheduler scheduler, uint32_t dests, uint32_t weight) {
    service_ = bench.AddService(kService1, Protocol::kTcp, scheduler);
    for (uint32_t i = 0; i < dests; ++i)
      bench.AddDest(service_, DestOf(i), kHop1, weight);
  }
  // The number of the dest that a new connection goes to, -1 if none.
  int Pick() { return PickAgain(next_port_++); }
  // The same of a client that has had this port.
  int PickAgain(uint16_t port) {
    const Outcome outcome =
        bench.Run(TcpFrame({kClient1.addr, port}, kService1, kSyn));
    return outcome.step == XLVS_STEP_tx_client_to_dest ? outcome.out[33] - 1
                                                       : -1;
  }
  uint32_t BucketIndex() {
    const xlvs_addr daddr = service_.vaddr.raw();
    return xlvs_lblc_bucket_of(&daddr, bench.pools[1].epoch,
                               bench.meta().config.hash_key);
  }
  xlvs_lblc_bucket Bucket() {
    const UniqueFd fd = Must(bench.instance().OpenPin("lblc"));
    const uint32_t index = BucketIndex();
    xlvs_lblc_bucket bucket = {};
    EXPECT_EQ(bpf_map_lookup_elem(fd.get(), &index, &bucket), 0);
    return bucket;
  }
  // The entry of the service's address, all zero if there is none.
  xlvs_lblc_entry Entry() {
    for (const xlvs_lblc_entry& entry : Bucket().entry)
      if (entry.epoch == bench.pools[1].epoch &&
          IpAddr(entry.daddr) == service_.vaddr)
        return entry;
    return {};
  }

  ServiceKey service_;
  uint16_t next_port_ = 1000;
};

TEST_F(ByCache, AServiceThatIsMadeAnewRemembersNothing) {
  Add(Scheduler::kLblc, 2, 9);
  EXPECT_EQ(Pick(), 1);
  EXPECT_EQ(Pick(), 1);
  Must(bench.config().DeleteService(service_));
  bench.AddService(kService1, Protocol::kTcp, Scheduler::kLblc);
  // Back with their connections: now it is the other that has less.
  for (int i = 0; i < 2; ++i) bench.AddDest(service_, DestOf(i), kHop1, 9);
  EXPECT_EQ(Pick(), 0);
  EXPECT_EQ(Pick(), 0);
}

// Server 1 is a member still when its id is another server's: that one has no
// connections, and would be chosen.
TEST_F(ByCache, AnIdThatWasGivenToAnotherServerIsNotTakenForTheOldOne) {
  Add(Scheduler::kLblcr, 2, 9);
  EXPECT_EQ(PickAgain(1000), 1);
  for (const uint8_t flags : {kAck, kRst})
    bench.Run(TcpFrame({kClient1.addr, 1000}, kService1, flags));
  bench.EditWeight(service_, DestOf(1), 0);
  EXPECT_EQ(PickAgain(1000), 0);
  EXPECT_EQ(Entry().count, 2u);
  const uint32_t old_id = Entry().member[1] & XLVS_CONN_DEST_MASK;
  bench.DeleteDest(service_, DestOf(1));
  bench.AdvanceSeconds(121);
  auto config = Must(MapDirector::Open(bench.instance(), true, {}));
  Must(config->AddDest(service_, {.key = {ToIpAddr(DestOf(2).addr), 8080},
                                  .method = Method::kMasq,
                                  .weight = 9,
                                  .tunnel = {}}));
  ASSERT_EQ(bench.dests[old_id].state, XLVS_DEST_available);
  bench.SetHop(old_id, kHop1);
  EXPECT_EQ(Pick(), 0);
  EXPECT_EQ(Pick(), 0);
}

TEST_F(ByCache, WithoutRoomTheEntryThatWasNotUsedForLongestGoes) {
  Add(Scheduler::kLblc, 1, 9);
  xlvs_lblc_bucket full = {};
  for (uint32_t i = 0; i < XLVS_LBLC_PER_BUCKET; ++i) {
    full.entry[i].epoch = 1'000'000 + i;
    full.entry[i].used_ticks = bench.now() - 100 * (i == 5 ? 50 : i);
  }
  const UniqueFd fd = Must(bench.instance().OpenPin("lblc"));
  const uint32_t index = BucketIndex();
  ASSERT_EQ(bpf_map_update_elem(fd.get(), &index, &full, 0), 0);
  EXPECT_EQ(Pick(), 0);
  const xlvs_lblc_bucket after = Bucket();
  for (uint32_t i = 0; i < XLVS_LBLC_PER_BUCKET; ++i)
    EXPECT_EQ(after.entry[i].epoch,
              i == 5 ? bench.pools[1].epoch : 1'000'000 + i);
}

TEST_F(ByCache, ASetThatIsFullGivesUpTheServerThatCameFirst) {
  constexpr int kDests = XLVS_LBLC_MEMBERS + 10;
  Add(Scheduler::kLblcr, kDests, 1);
  SchedulerModel model(Scheduler::kLblcr);
  for (int i = 0; i < kDests; ++i) model.Add(i, 1);
  for (int i = 0; i < 4 * kDests; ++i) {
    const int want = *model.Pick({.caddr = {}, .cport = 0, .vaddr = {}});
    model.Count(want, 1, 0);
    ASSERT_EQ(Pick(), want) << i;
  }
  EXPECT_EQ(Entry().count, XLVS_LBLC_MEMBERS);
}

TEST_F(ByCache, TheMostLoadedOfASetGoesEvenIfItWasRemovedAfterTheTimeNotAtIt) {
  bench.control[0].set.lblcr_expiration = 1;
  Add(Scheduler::kLblcr, 3, 1);
  std::string picks;
  for (int i = 0; i < 5; ++i) picks += static_cast<char>('A' + Pick());
  EXPECT_EQ(picks, "CCBBA");
  const auto members = [this] {
    const xlvs_lblc_entry entry = Entry();
    std::vector<uint32_t> ids;
    for (uint32_t i = 0; i < entry.count; ++i)
      ids.push_back(entry.member[i] & XLVS_CONN_DEST_MASK);
    return ids;
  };
  const std::vector<uint32_t> before = members();
  ASSERT_EQ(before.size(), 3u);  // A, B, C
  bench.loads[before[1]].active += 5;
  bench.DeleteDest(service_, DestOf(1));
  bench.Advance(4);
  Pick();
  bench.Advance(4);
  Pick();
  EXPECT_EQ(members(), before) << "a second old";
  bench.Advance(1);
  Pick();
  EXPECT_THAT(members(), testing::ElementsAre(before[0], before[2]));
}

// Server 1 has too much, server 0 no active connection; but wlc looks at the
// others too.
TEST_F(ByCache, AServerThatIsChosenAnewIsNotAMemberTwice) {
  Add(Scheduler::kLblcr, 2, 2);
  EXPECT_EQ(Pick(), 1);
  const uint32_t id = Entry().member[0] & XLVS_CONN_DEST_MASK;
  for (uint32_t other = 1; other < bench.dests.size(); ++other)
    if (other != id) bench.loads[other].inactive = 10'000;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Pick(), 1);
  EXPECT_EQ(Entry().count, 1u);
}

// Both change the entry, for its servers have too much all the time.
TEST_F(ByCache, TwoCpusLeaveAnEntryWhole) {
  constexpr int kDests = XLVS_LBLC_MEMBERS + 10;
  Add(Scheduler::kLblcr, kDests, 1);
  std::vector<std::thread> senders;
  for (const int cpu : UsableCpus())
    senders.emplace_back([this, cpu] {
      PinToCpu(cpu);
      for (int i = 0; i < 400; ++i)
        bench.RunUncounted(Build(TcpFrame(
            {kClient1.addr, static_cast<uint16_t>(2000 + 400 * cpu + i)},
            kService1, kSyn)));
    });
  for (std::thread& sender : senders) sender.join();
  const xlvs_lblc_entry entry = Entry();
  EXPECT_EQ(entry.version % 2, 0u);
  EXPECT_GT(entry.count, 1u);
  ASSERT_LE(entry.count, XLVS_LBLC_MEMBERS);
  std::set<uint32_t> members;
  for (uint32_t i = 0; i < entry.count; ++i) {
    const uint32_t id = entry.member[i] & XLVS_CONN_DEST_MASK;
    EXPECT_EQ(bench.dests[id].state, XLVS_DEST_available);
    EXPECT_TRUE(members.insert(id).second) << "a server twice";
  }
}

// ---- by hash: slots as the kernel has them

class ByHash : public PacketTest {
 protected:
  void Add(Scheduler scheduler, uint32_t flags, Endpoint vip) {
    vip_ = vip;
    service_ = {.vaddr = ToIpAddr(vip.addr),
                .vport = vip.port,
                .protocol = Protocol::kTcp};
    Must(bench.config().AddService(
        {.key = service_, .scheduler = scheduler, .sched_flags = flags}));
  }
  // The address that a client's connection goes to, "-" if it is refused.
  std::string Pick(Endpoint client) {
    const Frame syn = TcpFrame(client, vip_, kSyn);
    const Outcome outcome = bench.Run(syn);
    if (outcome.step != XLVS_STEP_tx_client_to_dest) return "-";
    const bool v4 = vip_.addr.family == Family::kV4;
    return absl::StrCat(outcome.out[v4 ? 33 : 53]);
  }
  void AddDest(Endpoint dest, uint32_t weight) {
    bench.AddDest(service_, dest, kHop1, weight);
  }

  Endpoint vip_;
  ServiceKey service_;
};

const Endpoint kVip4 = {V4(198, 51, 100, 1), 80};
const uint16_t kPort = 1234;

TEST_F(ByHash, ShTakesTheSlotOfTheClientAndWithAFlagOfItsPort) {
  Add(Scheduler::kSh, 0, kVip4);
  // List: 3, 2, 1 with weights 3, 2, 1; table 333221 333221 ...
  AddDest({V4(10, 2, 0, 1), 80}, 1);
  AddDest({V4(10, 2, 0, 2), 80}, 2);
  AddDest({V4(10, 2, 0, 3), 80}, 3);
  EXPECT_EQ(Pick({V4(192, 0, 2, 1), kPort}), "3");      // 50 % 6 = 2
  EXPECT_EQ(Pick({V4(203, 0, 113, 255), kPort}), "3");  // 55 % 6 = 1
  EXPECT_EQ(Pick({V4(198, 51, 100, 7), kPort}), "2");   // 171 % 6 = 3
  Must(bench.config().EditService({.key = service_,
                                   .scheduler = Scheduler::kSh,
                                   .sched_flags = kSchedFlag2}));
  // Another source address ends up elsewhere by its port alone.
  EXPECT_EQ(Pick({V4(10, 1, 0, 100), kPort}), "1");  // 215 % 6 = 5
}

TEST_F(ByHash, ShRefusesClientsOfAServerOfWeightZeroUnlessItMayFallBack) {
  Add(Scheduler::kSh, 0, kVip4);
  // List: 2, 1; slots 0, 2, 4 ... are 2's.
  AddDest({V4(10, 2, 0, 1), 80}, 1);
  AddDest({V4(10, 2, 0, 2), 80}, 1);
  bench.EditWeight(service_, {V4(10, 2, 0, 2), 80}, 0);
  EXPECT_EQ(Pick({V4(192, 0, 2, 1), kPort}), "-");     // 50
  EXPECT_EQ(Pick({V4(198, 51, 100, 7), kPort}), "1");  // 171
  Must(bench.config().EditService({.key = service_,
                                   .scheduler = Scheduler::kSh,
                                   .sched_flags = kSchedFlag1}));
  EXPECT_EQ(Pick({V4(192, 0, 2, 1), kPort}), "1");
}

TEST_F(ByHash, DhTakesTheSlotOfTheService) {
  Add(Scheduler::kDh, kSchedFlag1, kVip4);
  for (uint8_t i = 1; i <= 3; ++i) AddDest({V4(10, 2, 0, i), 80}, i);
  const std::string all = Pick({V4(192, 0, 2, 1), kPort});
  EXPECT_NE(all, "-");
  EXPECT_EQ(Pick({V4(203, 0, 113, 255), kPort}), all);
  bench.EditWeight(service_,
                   {V4(10, 2, 0, static_cast<uint8_t>(std::stoi(all))), 80}, 0);
  EXPECT_EQ(Pick({V4(10, 1, 0, 100), kPort}), "-");
}

TEST_F(ByHash, MhTakesTheSlotsThatTheKernelDoesOfV6Clients) {
  Add(Scheduler::kMh, 0, {V6("2001:db8::80"), 80});
  const char* dests[] = {"2001:db8:2::11", "2001:db8:2::12", "2001:db8:2::13"};
  for (const char* dest : dests) AddDest({V6(dest), 8080}, 1);
  std::vector<MaglevDest> list;
  for (size_t i = std::size(dests); i-- > 0;)
    list.push_back(
        {FoldedDest(*IpAddr::Parse(dests[i]), /*v4_service=*/false), 8080, 1});
  const std::vector<uint32_t> table = MaglevTable(list);
  const auto owner = [&](uint32_t slot) {
    return absl::StrCat(0x13 - table[slot]);
  };
  EXPECT_EQ(Pick({V6("2001:db8::1"), kPort}), owner(3457));
  EXPECT_EQ(Pick({V6("2001:db8:1::100"), kPort}), owner(1261));
  Must(bench.config().EditService({.key = service_,
                                   .scheduler = Scheduler::kMh,
                                   .sched_flags = kSchedFlag2}));
  EXPECT_EQ(Pick({V6("2001:db8:1::101"), kPort - 1}), owner(3837))
      << "an address one higher, a port one lower";
}

TEST_F(ByHash, MhKeepsTheOthersSlotsWhenAServerIsQuiesced) {
  Add(Scheduler::kMh, 0, kVip4);
  for (uint8_t i = 1; i <= 3; ++i) AddDest({V4(10, 2, 0, i), 80}, 1);
  std::map<uint8_t, std::string> before;
  for (uint8_t i = 1; i < 200; ++i)
    before[i] = Pick({V4(203, 0, 113, i), 1000});
  bench.EditWeight(service_, {V4(10, 2, 0, 2), 80}, 0);
  for (const auto& [client, dest] : before)
    ASSERT_EQ(Pick({V4(203, 0, 113, client), 1001}), dest == "2" ? "-" : dest);
}

// SmallSizes() has room for two tables of each kind.
TEST_F(ByHash, TablesRunOutAndComeBack) {
  for (const Scheduler scheduler : {Scheduler::kSh, Scheduler::kMh}) {
    const auto key = [](uint8_t number) {
      return ServiceKey{.vaddr = ToIpAddr(V4(198, 51, 100, number)),
                        .vport = 80,
                        .protocol = Protocol::kTcp};
    };
    const Dest dest = {.key = {ToIpAddr(V4(10, 2, 0, 1)), 80},
                       .method = Method::kMasq,
                       .weight = 1,
                       .tunnel = {}};
    auto& config = bench.config();
    for (uint8_t i = 1; i <= 3; ++i)
      Must(config.AddService({.key = key(i), .scheduler = scheduler}));
    Must(config.AddDest(key(1), dest));
    Must(config.AddDest(key(2), dest));
    // A change needs the one to spare, again and again.
    for (uint32_t weight = 2; weight < 10; ++weight) {
      Dest edited = dest;
      edited.weight = weight;
      Must(config.EditDest(key(2), edited));
    }
    // The third would leave no room for changes.
    const absl::Status refused = config.AddDest(key(3), dest);
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(refused.message()),
                testing::HasSubstr("no room for more than 2 services with"));
    Must(config.EditDest(key(1), dest));
    // Nor may it come by another way, and it stays as it is.
    Must(config.EditService({.key = key(3), .scheduler = Scheduler::kRr}));
    Must(config.AddDest(key(3), dest));
    EXPECT_EQ(
        config.EditService({.key = key(3), .scheduler = scheduler}).code(),
        absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(Must(config.FindService(key(3))).service.scheduler,
              Scheduler::kRr);
    // What another scheduler does not need, or no service, is free.
    Must(config.EditService({.key = key(1), .scheduler = Scheduler::kWlc}));
    Must(config.EditService({.key = key(3), .scheduler = scheduler}));
    Must(config.DeleteService(key(2)));
    Must(config.EditService({.key = key(1), .scheduler = scheduler}));
    Must(config.Clear());
  }
}

}  // namespace
}  // namespace xlvs
