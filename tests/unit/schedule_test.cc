// SPDX-License-Identifier: Apache-2.0
//
// The reference model against sequences observed on kernel IPVS, and the rules
// by which a list's position moves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "loader/datapath/chunks.h"
#include "loader/schedule/hash_table.h"
#include "loader/schedule/model.h"
#include "loader/schedule/sequence.h"
#include "maps/slot_hash.h"

namespace xlvs {
namespace {

// Dests A, B, C ... with these weights, added in this order.
SchedulerModel Model(Scheduler scheduler,
                     const std::vector<uint32_t>& weights) {
  SchedulerModel model(scheduler);
  for (size_t i = 0; i < weights.size(); ++i)
    model.Add(static_cast<int>(i), weights[i]);
  return model;
}

// The picks as letters. `held`: every connection stays active.
std::string Picks(SchedulerModel& model, int count, bool held = false) {
  std::string picks;
  for (int i = 0; i < count; ++i) {
    const auto pick = model.Pick();
    picks += pick ? static_cast<char>('A' + *pick) : '-';
    if (pick && held) model.Count(*pick, 1, 0);
  }
  return picks;
}

TEST(RoundRobin, StartsWithTheServerAddedLast) {
  auto model = Model(Scheduler::kRr, {1, 1, 1});
  EXPECT_EQ(Picks(model, 6), "CBACBA");
}

TEST(RoundRobin, GoesOnAfterTheCursorWhenAServerIsAdded) {
  auto model = Model(Scheduler::kRr, {1, 1, 1});
  EXPECT_EQ(Picks(model, 2), "CB");
  model.Add(3, 1);
  EXPECT_EQ(Picks(model, 5), "ADCBA");
}

TEST(RoundRobin, SkipsWeightZeroAndFailsWhereThereIsNoOther) {
  auto model = Model(Scheduler::kRr, {1, 0, 7});
  EXPECT_EQ(Picks(model, 4), "CACA");
  model.Edit(0, 0);
  model.Edit(2, 0);
  EXPECT_EQ(Picks(model, 2), "--");
}

TEST(WeightedRoundRobin, HasTheKernelsSequences) {
  const struct {
    std::vector<uint32_t> weights;
    std::string want;
  } rows[] = {
      {{3, 2, 1}, "CBAABACBAABA"},       {{1, 2, 3}, "CBACCBCBACCB"},
      {{5, 1, 1}, "CBAAAAACBAAAA"},      {{6, 3, 0}, "BAABAA"},
      {{4, 3, 2}, "CBAABACBACBAABACBA"},
  };
  // The first pass serves every server once, then the cycle starts.
  for (const auto& row : rows) {
    auto model = Model(Scheduler::kWrr, row.weights);
    EXPECT_EQ(Picks(model, row.want.size()), row.want);
  }
}

TEST(WeightedRoundRobin, KeepsTheWeightsOverWholeCycles) {
  auto model = Model(Scheduler::kWrr, {4, 3, 2});
  Picks(model, 3);  // the first pass
  const std::string cycle = Picks(model, 9);
  EXPECT_EQ(std::count(cycle.begin(), cycle.end(), 'A'), 4);
  EXPECT_EQ(std::count(cycle.begin(), cycle.end(), 'B'), 3);
  EXPECT_EQ(std::count(cycle.begin(), cycle.end(), 'C'), 2);
}

TEST(WeightedLeastConnection, HasTheKernelsSequencesWithHeldConnections) {
  auto even = Model(Scheduler::kWlc, {1, 1, 1});
  EXPECT_EQ(Picks(even, 6, /*held=*/true), "CBACBA");
  auto weighted = Model(Scheduler::kWlc, {3, 1, 1});
  EXPECT_EQ(Picks(weighted, 14, /*held=*/true), "CBAAACBAAACBAA");
}

TEST(LeastConnection, CountsAnActiveConnectionAs256InactiveOnes) {
  auto model = Model(Scheduler::kLc, {9, 1});
  model.Count(0, 1, 0);
  model.Count(1, 0, 255);
  EXPECT_EQ(Picks(model, 1), "B");
  model.Count(1, 0, 1);  // 256 = 256: the first in the list
  EXPECT_EQ(Picks(model, 1), "B");
  model.Count(1, 0, 1);
  EXPECT_EQ(Picks(model, 1), "A");
}

TEST(ShortestExpectedDelay, HasTheKernelsSequenceWithHeldConnections) {
  auto model = Model(Scheduler::kSed, {4, 2, 1});
  EXPECT_EQ(Picks(model, 14, /*held=*/true), "ABAACBAABAACBA");
}

TEST(ShortestExpectedDelay, IgnoresInactiveConnections) {
  auto model = Model(Scheduler::kSed, {1, 1});
  model.Count(1, 0, 100);
  EXPECT_EQ(Picks(model, 2), "BB");
}

TEST(NeverQueue, HasTheKernelsSequenceWithHeldConnections) {
  auto model = Model(Scheduler::kNq, {4, 2, 1});
  EXPECT_EQ(Picks(model, 14, /*held=*/true), "CBAAABAABAACBA");
}

TEST(NeverQueue, TakesNoIdleServerOfWeightZero) {
  auto model = Model(Scheduler::kNq, {1, 0});
  EXPECT_EQ(Picks(model, 2, /*held=*/true), "AA");
}

TEST(WeightedFailover, StaysWithTheHighestWeightAddedLast) {
  auto model = Model(Scheduler::kFo, {1, 5, 5});
  EXPECT_EQ(Picks(model, 3, /*held=*/true), "CCC");
  model.Edit(2, 0);
  EXPECT_EQ(Picks(model, 2, /*held=*/true), "BB");
}

TEST(Overflow, TakesOneMoreThanTheWeightBeforeItGoesOn) {
  auto model = Model(Scheduler::kOvf, {3, 2, 1});
  EXPECT_EQ(Picks(model, 10, /*held=*/true), "AAAABBBCC-");
}

TEST(PowerOfTwo, GivesTheFirstOfTheListOneTicketMore) {
  // List: B A. Tickets 0 1 2 | 3, the loads alike: whoever is drawn first.
  auto model = Model(Scheduler::kTwos, {1, 2});
  EXPECT_EQ(model.Chances(), (std::map<int, double>{{0, 0.25}, {1, 0.75}}));
}

TEST(PowerOfTwo, PrefersTheLessLoadedOfTheTwo) {
  auto model = Model(Scheduler::kTwos, {1, 2});
  model.Count(1, 1, 0);
  // A wins unless B is drawn twice.
  EXPECT_EQ(model.Chances(), (std::map<int, double>{{0, 0.4375}, {1, 0.5625}}));
  model.Edit(1, 0);
  EXPECT_EQ(model.Chances(), (std::map<int, double>{{0, 1.0}}));
  model.Edit(0, 0);
  EXPECT_TRUE(model.Chances().empty());
}

// ---- thresholds

TEST(Thresholds, LeaveAServerOutFromTheUpperOneOn) {
  for (const Scheduler scheduler :
       {Scheduler::kRr, Scheduler::kWrr, Scheduler::kLc, Scheduler::kWlc,
        Scheduler::kSed, Scheduler::kNq, Scheduler::kFo, Scheduler::kOvf,
        Scheduler::kSh, Scheduler::kDh, Scheduler::kMh}) {
    auto model = Model(scheduler, {5});
    model.SetThresholds(0, 2, 0);
    EXPECT_EQ(Picks(model, 4, /*held=*/true), "AA--") << Name(scheduler);
  }
  auto twos = Model(Scheduler::kTwos, {5});
  twos.SetThresholds(0, 1, 0);
  twos.Count(0, 0, 1);
  EXPECT_TRUE(twos.Chances().empty());
}

// ip_vs_unbind_dest.
TEST(Thresholds, LetItInAgainBelowTheLowerOneOrThreeQuartersOfTheUpper) {
  auto model = Model(Scheduler::kRr, {1});
  model.SetThresholds(0, 4, 0);
  for (int i = 0; i < 4; ++i) model.Count(0, 1, 0);
  model.Count(0, -1, 0);  // 3 of 4 are three quarters
  EXPECT_TRUE(model.overloaded(0));
  model.Count(0, -1, 0);
  EXPECT_FALSE(model.overloaded(0));

  model.SetThresholds(0, 4, 1);
  model.Count(0, 1, 0);
  model.Count(0, 0, 1);
  EXPECT_TRUE(model.overloaded(0)) << "inactive ones count, too";
  for (int i = 0; i < 3; ++i) model.Count(0, -1, 0);
  EXPECT_TRUE(model.overloaded(0));
  model.Count(0, 0, -1);
  EXPECT_FALSE(model.overloaded(0));
}

TEST(Thresholds, WhenEditedGoByTheConnectionsThatItHas) {
  auto model = Model(Scheduler::kRr, {1});
  model.Count(0, 2, 0);
  const auto overloaded_after = [&model](uint32_t upper, uint32_t lower) {
    model.SetThresholds(0, upper, lower);
    return model.overloaded(0);
  };
  EXPECT_FALSE(overloaded_after(3, 0));
  EXPECT_TRUE(overloaded_after(2, 0));
  EXPECT_TRUE(overloaded_after(3, 2));
  EXPECT_FALSE(overloaded_after(3, 0));
  EXPECT_TRUE(overloaded_after(1, 0));
  EXPECT_FALSE(overloaded_after(0, 0));
}

TEST(Thresholds, OfAServerThatWasDeletedComeBackWithItsConnections) {
  auto model = Model(Scheduler::kRr, {1, 1});
  model.SetThresholds(0, 1, 0);
  model.Count(0, 1, 0);
  model.Delete(0);
  model.Add(0, 1);
  EXPECT_EQ(Picks(model, 2), "BB");
}

TEST(WeightedRoundRobin, GoesDownToTheHeaviestThatIsNotOverloaded) {
  auto model = Model(Scheduler::kWrr, {2, 4, 6});
  Picks(model, 3);
  model.SetThresholds(2, 1, 0);
  model.Count(2, 1, 0);  // C is out
  EXPECT_EQ(Picks(model, 6), "BBABBA");
}

TEST(WeightedRoundRobin, StartsAnewAfterItFoundAllOverloaded) {
  auto model = Model(Scheduler::kWrr, {3, 1});
  EXPECT_EQ(Picks(model, 3), "BAA");  // A's third is next
  for (int id = 0; id < 2; ++id) {
    model.SetThresholds(id, 1, 0);
    model.Count(id, 1, 0);
  }
  EXPECT_EQ(Picks(model, 1), "-");
  for (int id = 0; id < 2; ++id) model.Count(id, -1, 0);
  EXPECT_EQ(Picks(model, 4), "AABA");
}

// ---- lblc and lblcr: an address keeps its dest

TEST(LocalityBased, HaveTheKernelsSequencesWithHeldConnections) {
  auto lblc = Model(Scheduler::kLblc, {1, 1, 1});
  EXPECT_EQ(Picks(lblc, 8, /*held=*/true), "CCBBAAAA");
  auto lblcr = Model(Scheduler::kLblcr, {1, 1, 1});
  EXPECT_EQ(Picks(lblcr, 14, /*held=*/true), "CCBBAAABCABCAB");
}

TEST(LocalityBased, KeepADestForEachAddress) {
  for (const Scheduler scheduler : {Scheduler::kLblc, Scheduler::kLblcr}) {
    auto model = Model(scheduler, {5, 5});
    const auto pick = [&model](uint32_t host) {
      const auto dest =
          model.Pick({.caddr = {}, .cport = 0, .vaddr = IpAddr::FromV4(host)});
      model.Count(*dest, 1, 0);
      return *dest;
    };
    EXPECT_EQ(pick(1), 1);
    EXPECT_EQ(pick(2), 0);
    EXPECT_EQ(pick(1), 1);
    EXPECT_EQ(pick(1), 1) << "though the other has less";
    EXPECT_EQ(pick(2), 0);
  }
}

// is_overloaded: more active ones than its weight, and another has less than
// half of its own.
TEST(LocalityBased, LeaveADestThatHasTooMuchWhenAnotherIsHalfIdle) {
  auto model = Model(Scheduler::kLblc, {4, 3});
  model.Count(0, 2, 0);
  EXPECT_EQ(Picks(model, 5, /*held=*/true), "BBBBB") << "2 of 4 is not idle";
  model.Count(0, -1, 0);
  EXPECT_EQ(Picks(model, 2, /*held=*/true), "AA");
}

TEST(LocalityBased, LeaveADestThatIsQuiescedOrGoneAndTakeItAgainWhenItIsBack) {
  auto model = Model(Scheduler::kLblcr, {1, 1});
  EXPECT_EQ(Picks(model, 2), "BB");
  model.Edit(1, 0);
  EXPECT_EQ(Picks(model, 1), "A");
  model.Edit(1, 1);
  EXPECT_EQ(Picks(model, 1), "A") << "of two that are alike the later one";
  model.Delete(0);
  EXPECT_EQ(Picks(model, 1), "B");
  model.Add(0, 1);
  EXPECT_EQ(Picks(model, 1), "A");
}

TEST(LocalityBased, OnlyLblcGoesOnToADestAboveItsThreshold) {
  for (const auto& [scheduler, want] :
       {std::pair{Scheduler::kLblc, "BBB"}, {Scheduler::kLblcr, "BAA"}}) {
    auto model = Model(scheduler, {9, 9});
    model.SetThresholds(1, 1, 0);
    EXPECT_EQ(Picks(model, 3, /*held=*/true), want);
  }
}

TEST(LocalityBased, ForgetAnAddressThatWasNotUsed) {
  auto model = Model(Scheduler::kLblc, {9, 9});
  model.SetExpiration(10);
  EXPECT_EQ(Picks(model, 1, /*held=*/true), "B");
  model.SetNow(9);
  EXPECT_EQ(Picks(model, 1, /*held=*/true), "B");
  model.SetNow(19);
  EXPECT_EQ(Picks(model, 1, /*held=*/true), "A");
}

TEST(LocalityBased, LblcrGivesUpTheMostLoadedOfSeveralWhenNothingChanged) {
  auto model = Model(Scheduler::kLblcr, {1, 1, 1});
  model.SetExpiration(10);
  EXPECT_EQ(Picks(model, 5, /*held=*/true), "CCBBA");
  model.SetNow(9);  // or the address would be forgotten
  EXPECT_EQ(Picks(model, 1), "A");
  model.SetNow(11);
  // B is the first of the two with two: from now on it is A and C.
  EXPECT_EQ(Picks(model, 4, /*held=*/true), "AACA");
}

TEST(NoScheduler, FindsNone) {
  auto model = Model(Scheduler::kNone, {1, 1});
  EXPECT_EQ(Picks(model, 2), "--");
}

// ---- tables of sh, dh and mh

IpAddr Addr(absl::string_view text) {
  return *IpAddr::Parse(text);
}

TEST(SlotHash, IsTheKernels) {
  EXPECT_EQ(xlvs_sip13(0, XLVS_MAGLEV_KEY_START), 0x1d5a77c2u);
  EXPECT_EQ(xlvs_sip13(1, XLVS_MAGLEV_KEY_START), 0x16ec66b2u);
  EXPECT_EQ(xlvs_sip13(0, XLVS_MAGLEV_KEY_STEP), 0xf882433fu);
  const struct {
    const char* client;
    uint32_t folded, sh, sh_port_1234, mh, mh_port_1234;
  } rows[] = {
      {"192.0.2.1", 0xc0000201, 50, 139, 2891, 3359},
      {"198.51.100.7", 0xc6336407, 171, 3, 924, 644},
      {"10.1.0.100", 0x0a010064, 126, 215, 1043, 2913},
      {"203.0.113.255", 0xcb0071ff, 55, 143, 3743, 2361},
      {"2001:db8::1", 0x20010db9, 63, 151, 3457, 584},
      {"2001:db8:1::100", 0x20000cb8, 142, 231, 1261, 3837},
  };
  const auto mh = [](uint32_t word) {
    return xlvs_sip13(word, XLVS_MAGLEV_KEY_START) % XLVS_MAGLEV_SLOTS;
  };
  for (const auto& row : rows) {
    const xlvs_addr addr = Addr(row.client).raw();
    const uint32_t folded = xlvs_fold_addr(&addr);
    EXPECT_EQ(folded, row.folded) << row.client;
    EXPECT_EQ(xlvs_hash_slot(folded), row.sh) << row.client;
    EXPECT_EQ(xlvs_hash_slot(folded + 1234), row.sh_port_1234) << row.client;
    EXPECT_EQ(mh(folded), row.mh) << row.client;
    EXPECT_EQ(mh(folded + 1234), row.mh_port_1234) << row.client;
  }
}

std::string Head(const std::vector<uint32_t>& table, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += static_cast<char>('0' + table[i]);
  return text;
}

std::vector<int> Shares(const std::vector<uint32_t>& table, size_t dests) {
  std::vector<int> shares;
  for (uint32_t i = 0; i < dests; ++i)
    shares.push_back(std::count(table.begin(), table.end(), i));
  return shares;
}

TEST(SourceHashTable, IsTheKernels) {
  const auto table = SourceHashTable({3, 2, 1});
  EXPECT_EQ(Head(table, 12), "000112000112");
  EXPECT_THAT(Shares(table, 3), testing::ElementsAre(129, 85, 42));
  EXPECT_TRUE(SourceHashTable({}).empty());
}

TEST(SourceHashTable, LeavesWeightZeroOneSlot) {
  const auto table = SourceHashTable({0, 2, 1});
  EXPECT_EQ(Head(table, 8), "01120112");
  EXPECT_THAT(Shares(table, 3), testing::ElementsAre(64, 128, 64));
}

TEST(DestHashTable, GoesRoundTheList) {
  EXPECT_EQ(Head(DestHashTable(3), 7), "0120120");
  EXPECT_EQ(DestHashTable(3).size(), 256u);
}

// In list order.
std::vector<MaglevDest> MaglevDests(const std::vector<const char*>& addrs,
                                    uint16_t port,
                                    const std::vector<uint32_t>& weights) {
  std::vector<MaglevDest> dests;
  for (size_t i = 0; i < addrs.size(); ++i) {
    const bool v4 = Addr(addrs[i]).is_v4();
    dests.push_back({FoldedDest(Addr(addrs[i]), v4), port, weights[i]});
  }
  return dests;
}

const std::vector<const char*> kMaglevV4 = {"10.2.0.13", "10.2.0.12",
                                            "10.2.0.11"};
const std::vector<const char*> kMaglevV6 = {"2001:db8:2::13", "2001:db8:2::12",
                                            "2001:db8:2::11"};

// As of zlib, of the owners as bytes.
uint32_t Crc32(const std::vector<uint32_t>& table) {
  uint32_t crc = ~0u;
  for (const uint32_t owner : table) {
    crc ^= owner;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

TEST(MaglevTable, StepsAsTheKernelDoes) {
  const auto steps = [](const std::vector<const char*>& addrs, uint16_t port) {
    std::vector<std::pair<uint32_t, uint32_t>> pairs;
    for (const MaglevDest& dest : MaglevDests(addrs, port, {1, 1, 1})) {
      const MaglevSteps one = MaglevStepsOf(dest);
      pairs.emplace_back(one.start, one.skip);
    }
    return pairs;
  };
  using testing::ElementsAre;
  using testing::Pair;
  EXPECT_THAT(steps(kMaglevV4, 80),
              ElementsAre(Pair(2964, 2203), Pair(1266, 965), Pair(1475, 967)));
  EXPECT_THAT(
      steps(kMaglevV6, 8080),
      ElementsAre(Pair(3031, 1672), Pair(3827, 2521), Pair(3962, 1388)));
}

TEST(MaglevTable, IsTheKernels) {
  const struct {
    std::vector<const char*> addrs;
    uint16_t port;
    std::vector<uint32_t> weights;
    std::vector<int> shares;
    const char* head;
    uint32_t crc;
  } rows[] = {
      {kMaglevV4,
       80,
       {1, 1, 1},
       {1365, 1364, 1364},
       "112002000221",
       0x6c7cfa0e},
      {kMaglevV4, 80, {5, 2, 1}, {2560, 1022, 511}, "110000000021", 0xc2d8bbef},
      {kMaglevV4, 80, {1000, 1, 1}, {3967, 63, 63}, "1000", 0x93364694},
      {{"10.2.0.13", "10.2.0.12"},
       80,
       {1, 1},
       {2047, 2046},
       "110000000101",
       0xa06cab30},
      {kMaglevV6,
       8080,
       {1, 1, 1},
       {1365, 1364, 1364},
       "020122112012",
       0x6ea08cd4},
  };
  for (const auto& row : rows) {
    const auto table =
        MaglevTable(MaglevDests(row.addrs, row.port, row.weights));
    EXPECT_EQ(Shares(table, row.addrs.size()), row.shares);
    EXPECT_EQ(Head(table, std::string(row.head).size()), row.head);
    EXPECT_EQ(Crc32(table), row.crc);
  }
}

TEST(MaglevTable, HasNoSlotsForServersThatNeverHadAWeight) {
  EXPECT_TRUE(MaglevTable(MaglevDests(kMaglevV4, 80, {0, 0, 0})).empty());
  EXPECT_TRUE(MaglevTable({}).empty());
  const auto table = MaglevTable(MaglevDests(kMaglevV4, 80, {0, 1, 1}));
  EXPECT_EQ(Shares(table, 3)[0], 0);
}

TEST(MaglevTable, HashesAnIpv6ServerOfAnIpv4ServiceByItsFirstWord) {
  EXPECT_EQ(FoldedDest(Addr("2001:db8::1"), /*v4_service=*/true), 0x20010db8u);
  EXPECT_EQ(FoldedDest(Addr("2001:db8::1"), /*v4_service=*/false), 0x20010db9u);
  EXPECT_EQ(FoldedDest(Addr("10.1.0.100"), /*v4_service=*/false), 0x0a010064u);
}

// ---- positions of lists that packets walk

std::vector<xlvs_slot> List(const std::vector<uint32_t>& dests) {
  std::vector<xlvs_slot> list;
  for (const uint32_t dest : dests) list.push_back({.dest = dest, .weight = 1});
  return list;
}

uint32_t MovedTo(uint32_t last, const std::vector<uint32_t>& before,
                 const std::vector<uint32_t>& after) {
  return MovedPosition(Scheduler::kRr, {.last = last, .threshold = 0},
                       List(before), List(after))
      .last;
}

TEST(Position, StaysOnItsDest) {
  EXPECT_EQ(MovedTo(1, {3, 2, 1}, {4, 3, 2, 1}), 2u);
  EXPECT_EQ(MovedTo(1, {3, 2, 1}, {2, 1}), 0u);
}

TEST(Position, StepsBackFromADeletedDest) {
  EXPECT_EQ(MovedTo(1, {3, 2, 1}, {3, 1}), 0u);
  EXPECT_EQ(MovedTo(0, {3, 2, 1}, {2, 1}), XLVS_BEFORE_HEAD);
}

TEST(Position, OfAWeightedListIsAtTheHeadWithAStepOfTheNewWeights) {
  std::vector<xlvs_slot> before = {{1, 6}, {2, 8}};
  std::vector<xlvs_slot> after = {{1, 4}, {2, 8}};
  const Thresholds thresholds = ThresholdsOf(after);
  EXPECT_EQ(thresholds.step, 4u);
  EXPECT_EQ(thresholds.max, 5u);
  const xlvs_position moved = MovedPosition(
      Scheduler::kWrr, {.last = 1, .threshold = 7}, before, after);
  EXPECT_EQ(moved.last, XLVS_BEFORE_HEAD);
  EXPECT_EQ(moved.threshold, 5u);
  EXPECT_EQ(
      MovedPosition(Scheduler::kWrr, {.last = 1, .threshold = 3}, before, after)
          .threshold,
      1u);
  EXPECT_EQ(ThresholdsOf({{1, 0}, {2, 0}}).max, 0u);
}

// ---- room for lists

TEST(Position, IsTheSameWhetherServersComeOneByOneOrTogether) {
  const std::vector<xlvs_slot> all = {{7, 9}, {6, 6}, {5, 0}, {4, 12},
                                      {3, 4}, {2, 8}, {1, 6}};
  const auto tail = [&](size_t from) {
    return std::vector<xlvs_slot>(all.begin() + from, all.end());
  };
  for (const Scheduler scheduler : {Scheduler::kRr, Scheduler::kWrr})
    for (size_t added = 1; added <= all.size(); ++added)
      for (const uint32_t threshold : {0u, 1u, 3u, 5u, 7u, 11u}) {
        const xlvs_position start = {.last = 0, .threshold = threshold};
        xlvs_position one_by_one = start;
        for (size_t i = added; i-- > 0;)
          one_by_one =
              MovedPosition(scheduler, one_by_one, tail(i + 1), tail(i));
        const xlvs_position together =
            PositionAfterAdding(scheduler, start, tail(added), all, added);
        EXPECT_EQ(together.last, one_by_one.last);
        EXPECT_EQ(together.threshold, one_by_one.threshold)
            << added << " added at threshold " << threshold;
      }
}

TEST(Chunks, AreReusedOnlyAfterPacketsInFlightAreDone) {
  int waits = 0;
  ChunkAllocator chunks(
      0, 8, 8, 0, [&waits] { ++waits; }, "full");
  EXPECT_EQ(*chunks.Allocate(3, /*replaces=*/false), 0u);
  EXPECT_EQ(*chunks.Allocate(3, /*replaces=*/false), 3u);
  chunks.Free(0);
  EXPECT_EQ(*chunks.Allocate(2, /*replaces=*/false), 6u);
  EXPECT_EQ(waits, 0);
  EXPECT_EQ(*chunks.Allocate(3, /*replaces=*/false), 0u);
  EXPECT_EQ(waits, 1);
  EXPECT_EQ(chunks.Allocate(1, /*replaces=*/false).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Chunks, StayInTheirRoomAndKeepOneRunToSpare) {
  ChunkAllocator chunks(
      4, 12, 1, 0, [] {}, "full");
  EXPECT_EQ(*chunks.Allocate(4, /*replaces=*/false), 4u);
  EXPECT_EQ(chunks.Allocate(4, /*replaces=*/false).status().message(), "full");
  EXPECT_EQ(*chunks.Allocate(4, /*replaces=*/true), 8u);
  chunks.Free(4);
  EXPECT_EQ(*chunks.Allocate(4, /*replaces=*/true), 4u);
  EXPECT_TRUE(chunks.Has(4));
  EXPECT_FALSE(chunks.Has(3));
  EXPECT_FALSE(chunks.Has(12));
}

TEST(Chunks, FindsTheGapBetweenRunsThatPoolsPointTo) {
  ChunkAllocator chunks(
      0, 10, 8, 4, [] {}, "full");
  chunks.Reserve(2, 3);
  chunks.Reserve(6, 2);
  EXPECT_EQ(*chunks.Allocate(2, /*replaces=*/false), 8u);
  EXPECT_EQ(*chunks.Allocate(2, /*replaces=*/false), 0u);
  EXPECT_EQ(*chunks.Allocate(1, /*replaces=*/false), 5u);
}

}  // namespace
}  // namespace xlvs
