// SPDX-License-Identifier: Apache-2.0
//
// What two CPUs cannot show, by simulation: prints one JSON object with the
// lists `skew`, `fold` and `overflow`. docs/simulation.md says what they mean.
#include <cstdio>
#include <cstring>
#include <iostream>

#include "maps/clock.h"
#include "maps/conn.h"
#include "nlohmann/json.hpp"
#include "tools/simulate.d/fold.h"
#include "tools/simulate.d/overflow.h"
#include "tools/simulate.d/skew.h"

namespace xlvs::simulate {
namespace {

using nlohmann::json;

constexpr uint32_t kCpus[] = {1, 2, 4, 8, 16, 32, 64, 128};
constexpr uint32_t kBatches[] = {1, 2, 4, 8, 16, 32, 64};
constexpr uint32_t kDests[] = {29, 1'000, 16'384, 100'000};

void Progress(const char* text) {
  std::fprintf(stderr, "  .. %s\n", text);
}

// Busy: as many connections as make each CPU busy. Idle: many CPUs, few
// connections.
struct Traffic {
  const char* name;
  double per_second;
  bool times_cpus;
};
constexpr Traffic kTraffic[] = {{"busy", 10'000, true},
                                {"idle", 20'000, false}};

json SkewRows(double seconds) {
  Progress("lc, with counts held back");
  json rows = json::array();
  for (const Traffic& traffic : kTraffic)
    for (const uint32_t cpus : kCpus)
      for (const uint32_t batch : kBatches) {
        const double per_second =
            traffic.per_second * (traffic.times_cpus ? cpus : 1);
        SkewCase the_case = {.cpus = cpus,
                             .batch = batch,
                             .per_second = per_second,
                             .seconds = seconds};
        const Skew skew = SimulateSkew(the_case);
        the_case.by_load = false;
        const Skew in_turn = SimulateSkew(the_case);
        rows.push_back({{"traffic", traffic.name},
                        {"per_second", per_second},
                        {"cpus", cpus},
                        {"batch", batch},
                        {"conns_per_dest", skew.conns_per_dest},
                        {"skew_mean", skew.mean},
                        {"skew_max", skew.max},
                        {"excess_mean", skew.excess_mean},
                        {"excess_max", skew.excess_max},
                        {"seen_wrong_by_at_most", (batch - 1) * (cpus - 1)},
                        {"writes_per_change", skew.writes_per_change},
                        {"writes_per_change_rr", in_turn.writes_per_change}});
      }
  return rows;
}

json FoldRows() {
  Progress("reading the counts of all CPUs");
  json rows = json::array();
  for (const uint32_t dests : kDests)
    for (const uint32_t cpus : kCpus)
      rows.push_back(
          {{"dests", dests}, {"cpus", cpus}, {"read_ns", ReadNs(dests, cpus)}});
  return rows;
}

json OverflowRows(uint32_t keys) {
  Progress("the connection table, filled");
  json rows = json::array();
  for (const Overflow& result : SimulateOverflow(keys))
    rows.push_back({{"flows", result.flows},
                    {"load", result.load},
                    {"refused", result.refused},
                    {"full_buckets", result.full_buckets},
                    {"outside_home", result.outside_home}});
  return rows;
}

json TheoryRows() {
  json rows = json::array();
  for (const double load : Loads()) {
    const Theory theory = TheoryOf(load);
    rows.push_back({{"load", theory.load},
                    {"refused", theory.refused},
                    {"full_buckets", theory.full_buckets}});
  }
  return rows;
}

int Main(bool quick) {
  if (!ExactIsAsIpvs()) {
    std::fputs("simulate: with B = 1 lc chooses otherwise than IPVS's\n",
               stderr);
    return 1;
  }
  const uint32_t keys = quick ? 2 : 64;
  json result = {
      {"skew", SkewRows(quick ? 0.1 : 2)},
      {"fold", FoldRows()},
      {"overflow", OverflowRows(keys)},
      {"overflow_theory", TheoryRows()},
      {"keys", keys},
      {"buckets", kTableBuckets},
      {"planned_load", static_cast<double>(XLVS_CONNS_PER_BUCKET_PLANNED) /
                           XLVS_CONNS_PER_BUCKET},
      {"ticks_per_second", XLVS_TICKS_PER_SECOND}};
  std::cout << result.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace xlvs::simulate

int main(int argc, char** argv) {
  const bool quick = argc == 2 && std::strcmp(argv[1], "--quick") == 0;
  if (argc > 1 && !quick) {
    std::fputs("usage: xlvs_simulate [--quick]\n", stderr);
    return 2;
  }
  return xlvs::simulate::Main(quick);
}
