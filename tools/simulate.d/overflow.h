// SPDX-License-Identifier: Apache-2.0
//
// How many connections find no room, by how full the connection table is: its
// buckets and groups, its hash (bpf/lib/place.h) and the order in which it
// looks for a free slot (bpf/lookup/conn.h), with random keys, as it has them.
#ifndef XLVS_TOOLS_SIMULATE_D_OVERFLOW_H_
#define XLVS_TOOLS_SIMULATE_D_OVERFLOW_H_

#include <cstdint>
#include <string>
#include <vector>

namespace xlvs::simulate {

struct Overflow {
  std::string flows;        // who the clients are
  double load = 0;          // connections that came, of all slots
  double refused = 0;       // of those that came
  double full_buckets = 0;  // that refused one, of all
  double outside_home = 0;  // not in their home group, of those that have room
};

// The same by Poisson's distribution: what a perfect hash would do.
struct Theory {
  double load = 0;
  double refused = 0;
  double full_buckets = 0;
};

constexpr uint32_t kTableBuckets = 1 << 14;
std::vector<double> Loads();
std::vector<Overflow> SimulateOverflow(uint32_t keys);
Theory TheoryOf(double load);

}  // namespace xlvs::simulate

#endif  // XLVS_TOOLS_SIMULATE_D_OVERFLOW_H_
