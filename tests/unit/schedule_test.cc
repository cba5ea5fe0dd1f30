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
#include "loader/schedule/model.h"
#include "loader/schedule/sequence.h"

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

TEST(Chunks, AreReusedOnlyAfterPacketsInFlightAreDone) {
  int waits = 0;
  ChunkAllocator chunks(8, 0, [&waits] { ++waits; });
  EXPECT_EQ(*chunks.Allocate(3), 0u);
  EXPECT_EQ(*chunks.Allocate(3), 3u);
  chunks.Free(0);
  EXPECT_EQ(*chunks.Allocate(2), 6u);
  EXPECT_EQ(waits, 0);
  EXPECT_EQ(*chunks.Allocate(3), 0u);
  EXPECT_EQ(waits, 1);
  EXPECT_EQ(chunks.Allocate(1).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Chunks, FindsTheGapBetweenRunsThatPoolsPointTo) {
  ChunkAllocator chunks(10, 4, [] {});
  chunks.Reserve(2, 3);
  chunks.Reserve(6, 2);
  EXPECT_EQ(*chunks.Allocate(2), 8u);
  EXPECT_EQ(*chunks.Allocate(2), 0u);
  EXPECT_EQ(*chunks.Allocate(1), 5u);
}

}  // namespace
}  // namespace xlvs
