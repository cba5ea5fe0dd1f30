// SPDX-License-Identifier: Apache-2.0
//
// Figures by name in a file of the tree, and what has become worse since.
#ifndef XLVS_TOOLS_BENCH_D_RECORDED_H_
#define XLVS_TOOLS_BENCH_D_RECORDED_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace xlvs::bench {

absl::StatusOr<nlohmann::json> ReadRecord(const std::string& path);
absl::Status WriteRecord(const std::string& path, const nlohmann::json& record);

// Compares {"name": number}, a larger one being worse. Prints what grew by more
// than `tolerance` (0.05: 5 %), what became so much smaller, and what is not
// recorded. Returns how many grew or are not recorded.
int CompareWithRecord(const nlohmann::json& recorded, const nlohmann::json& now,
                      double tolerance);

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_RECORDED_H_
