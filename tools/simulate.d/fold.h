// SPDX-License-Identifier: Apache-2.0
//
// What it costs to read the counts of all CPUs: measured reads, laid out as the
// kernel lays out xlvs_counters (an array for each CPU, 64 bytes a dest), for
// as many CPUs as one likes.
#ifndef XLVS_TOOLS_SIMULATE_D_FOLD_H_
#define XLVS_TOOLS_SIMULATE_D_FOLD_H_

#include <cstdint>

namespace xlvs::simulate {

// One look at each dest's counters of each CPU, in the fold's order. Nobody
// writes them meanwhile. Nanoseconds a read.
double ReadNs(uint32_t dests, uint32_t cpus);

}  // namespace xlvs::simulate

#endif  // XLVS_TOOLS_SIMULATE_D_FOLD_H_
