// SPDX-License-Identifier: Apache-2.0
//
// How uneven lc becomes when CPUs hold their counts back.
//
// The rules are those of bpf/lib/counts.h and bpf/expire/fold.h: a CPU tells a
// dest's total when it has B changes of it, a tick folds the rest, and a
// scheduler sees the total and what its own CPU holds. Packets come to CPUs by
// their flow's hash, so a connection is made on any CPU, and ended on any other
// if the server ends it, whose packets are another flow.
#ifndef XLVS_TOOLS_SIMULATE_D_SKEW_H_
#define XLVS_TOOLS_SIMULATE_D_SKEW_H_

#include <cstdint>

namespace xlvs::simulate {

struct SkewCase {
  uint32_t cpus = 1;
  uint32_t batch = 1;
  uint32_t dests = 29;
  double per_second = 10'000;  // new connections, on all CPUs
  double lifetime_s = 1;       // on average, exponential
  bool by_load = true;         // lc; else rr, which asks nobody
  double seconds = 2;          // that are looked at
};

struct Skew {
  double conns_per_dest = 0;
  // The most loaded dest less the least loaded, looked at every millisecond.
  double mean = 0;
  uint32_t max = 0;
  // By how much the chosen dest had more than the least loaded one.
  double excess_mean = 0;
  uint32_t excess_max = 0;
  double writes_per_change = 0;  // to totals that all CPUs share
};

Skew SimulateSkew(const SkewCase& the_case);

// Whether, with B = 1, each choice is that of the model of IPVS's lc.
bool ExactIsAsIpvs();

}  // namespace xlvs::simulate

#endif  // XLVS_TOOLS_SIMULATE_D_SKEW_H_
