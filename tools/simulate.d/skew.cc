// SPDX-License-Identifier: Apache-2.0
#include "tools/simulate.d/skew.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "loader/schedule/model.h"
#include "maps/clock.h"

namespace xlvs::simulate {
namespace {

constexpr double kTickS = 1.0 / XLVS_TICKS_PER_SECOND;
constexpr double kLookS = 0.001;
constexpr double kWarmS = 0.5;

class Director {
 public:
  Director(uint32_t cpus, uint32_t dests, int32_t batch)
      : dests_(dests),
        batch_(batch),
        truth_(dests),
        told_(dests),
        untold_(cpus * dests) {}

  // The first in the list among equals (bpf/schedule/by_load.h).
  uint32_t Pick(uint32_t cpu) const {
    const int32_t* own = &untold_[cpu * dests_];
    uint32_t best = 0;
    for (uint32_t dest = 1; dest < dests_; ++dest)
      if (told_[dest] + own[dest] < told_[best] + own[best]) best = dest;
    return best;
  }
  void Count(uint32_t cpu, uint32_t dest, int32_t change) {
    truth_[dest] += change;
    ++changes_;
    int32_t& untold = untold_[cpu * dests_ + dest];
    untold += change;
    if (std::abs(untold) >= batch_) Tell(untold, dest);
  }
  void Fold() {
    for (size_t i = 0; i < untold_.size(); ++i)
      if (untold_[i] != 0) Tell(untold_[i], i % dests_);
  }
  int32_t Skew() const {
    const auto [least, most] =
        std::minmax_element(truth_.begin(), truth_.end());
    return *most - *least;
  }
  int32_t Excess(uint32_t dest) const {
    return truth_[dest] - *std::min_element(truth_.begin(), truth_.end());
  }
  double WritesPerChange() const {
    return static_cast<double>(writes_) / changes_;
  }
  void ForgetWrites() { writes_ = changes_ = 0; }

 private:
  void Tell(int32_t& untold, uint32_t dest) {
    told_[dest] += untold;
    untold = 0;
    ++writes_;
  }

  uint32_t dests_;
  int32_t batch_;
  std::vector<int32_t> truth_, told_, untold_;
  uint64_t writes_ = 0, changes_ = 0;
};

}  // namespace

Skew SimulateSkew(const SkewCase& the_case) {
  std::mt19937_64 random(the_case.cpus * 1'000 + the_case.batch);
  std::exponential_distribution<double> wait(1);
  Director director(the_case.cpus, the_case.dests, the_case.batch);
  const double rate = the_case.per_second;
  const auto any_cpu = [&] { return random() % the_case.cpus; };

  // As many as there are on average, evenly.
  std::vector<uint32_t> conns;  // their dests
  const auto begin = static_cast<uint32_t>(rate * the_case.lifetime_s);
  for (uint32_t i = 0; i < begin; ++i) {
    conns.push_back(i % the_case.dests);
    director.Count(any_cpu(), conns.back(), 1);
  }
  director.Fold();

  Skew result = {.conns_per_dest = rate * the_case.lifetime_s / the_case.dests};
  uint64_t looks = 0, picks = 0;
  double next_tick = kTickS, next_look = kWarmS;
  bool warm = false;
  uint32_t turn = 0;
  for (double now = 0; now < kWarmS + the_case.seconds;) {
    const double ends_rate = conns.size() / the_case.lifetime_s;
    now += wait(random) / (rate + ends_rate);
    for (; next_tick < now; next_tick += kTickS) director.Fold();
    for (; next_look < now; next_look += kLookS, ++looks) {
      if (!std::exchange(warm, true)) director.ForgetWrites();
      const uint32_t skew = director.Skew();
      result.mean += skew;
      result.max = std::max(result.max, skew);
    }
    if (random() % (1ULL << 32) * (rate + ends_rate) < rate * (1ULL << 32)) {
      const auto cpu = static_cast<uint32_t>(any_cpu());
      const uint32_t dest =
          the_case.by_load ? director.Pick(cpu) : turn++ % the_case.dests;
      if (warm) {
        const uint32_t excess = director.Excess(dest);
        result.excess_mean += excess;
        result.excess_max = std::max(result.excess_max, excess);
        ++picks;
      }
      director.Count(cpu, dest, 1);
      conns.push_back(dest);
    } else if (!conns.empty()) {
      std::swap(conns[random() % conns.size()], conns.back());
      director.Count(any_cpu(), conns.back(), -1);
      conns.pop_back();
    }
  }
  result.mean /= looks;
  result.excess_mean /= picks;
  result.writes_per_change = director.WritesPerChange();
  return result;
}

bool ExactIsAsIpvs() {
  constexpr uint32_t kCpus = 4, kDests = 29, kEvents = 50'000;
  std::mt19937_64 random(1);
  Director director(kCpus, kDests, /*batch=*/1);
  SchedulerModel model(Scheduler::kLc);
  // Its list is newest first, ours is from 0 on.
  for (uint32_t dest = kDests; dest-- > 0;) model.Add(dest, /*weight=*/1);
  std::vector<uint32_t> conns;  // their dests
  for (uint32_t i = 0; i < kEvents; ++i) {
    const auto cpu = static_cast<uint32_t>(random() % kCpus);
    if (random() % 100 < 52) {
      const uint32_t dest = director.Pick(cpu);
      if (model.Pick() != static_cast<int>(dest)) return false;
      model.Count(dest, 1, 0);
      director.Count(cpu, dest, 1);
      conns.push_back(dest);
    } else if (!conns.empty()) {
      std::swap(conns[random() % conns.size()], conns.back());
      model.Count(conns.back(), -1, 0);
      director.Count(cpu, conns.back(), -1);
      conns.pop_back();
    }
  }
  return true;
}

}  // namespace xlvs::simulate
