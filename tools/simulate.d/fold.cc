// SPDX-License-Identifier: Apache-2.0
#include "tools/simulate.d/fold.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "maps/dest.h"

namespace xlvs::simulate {
namespace {

double NowNs() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void Read(const xlvs_counters& counters) {
  static_cast<void>(
      *const_cast<const volatile __s32*>(&counters.untold_active));
}

}  // namespace

double ReadNs(uint32_t dests, uint32_t cpus) {
  std::vector<std::vector<xlvs_counters>> counters(
      cpus, std::vector<xlvs_counters>(dests));
  const uint64_t reads = static_cast<uint64_t>(dests) * cpus;
  // Enough for the clock, and not too many where there are millions.
  const uint64_t walks = 1 + 100'000 / reads;
  const uint32_t rounds = reads < 1'000'000 ? 21 : 3;
  std::vector<double> ns;
  for (uint32_t round = 0; round < rounds; ++round) {
    const double begun = NowNs();
    for (uint64_t walk = 0; walk < walks; ++walk)
      for (uint32_t dest = 0; dest < dests; ++dest)
        for (uint32_t cpu = 0; cpu < cpus; ++cpu) Read(counters[cpu][dest]);
    ns.push_back((NowNs() - begun) / (walks * reads));
  }
  return Median(std::move(ns));
}

}  // namespace xlvs::simulate
