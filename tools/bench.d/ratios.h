// SPDX-License-Identifier: Apache-2.0
//
// What a path costs above the floor, divided by what R does in the same rounds:
// comparable with what was recorded, on a machine much like that one.
#ifndef XLVS_TOOLS_BENCH_D_RATIOS_H_
#define XLVS_TOOLS_BENCH_D_RATIOS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench.d/report.h"

namespace xlvs::bench {

absl::Status RecordRatios(const std::string& path,
                          const std::vector<Row>& rows);
// FAILED_PRECONDITION if any is too far above; prints which.
absl::Status CheckRatios(const std::string& path, const std::vector<Row>& rows);

// What the paths are to cost, and whether they do.
void PrintTargets(const std::vector<Row>& rows);
nlohmann::json TargetsToJson(const std::vector<Row>& rows);

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_RATIOS_H_
