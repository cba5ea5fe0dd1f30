// SPDX-License-Identifier: Apache-2.0
//
// How much is measured.
#ifndef XLVS_TOOLS_BENCH_D_PLAN_H_
#define XLVS_TOOLS_BENCH_D_PLAN_H_

#include <cstdint>
#include <vector>

namespace xlvs::bench {

struct Plan {
  bool quick = false;
  uint32_t warm_rounds = 0;  // where the connections fit into a cache: cheap
  uint32_t cold_rounds = 0;
  // Only established connections, so many; empty: the usual ones, and all else.
  std::vector<uint32_t> flows;
};

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_PLAN_H_
