// SPDX-License-Identifier: Apache-2.0
//
// Runs another program and waits for it.
#ifndef XLVS_LOADER_BASE_SUBPROCESS_H_
#define XLVS_LOADER_BASE_SUBPROCESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace xlvs {

// What it printed, if it ended with 0. Else the status has the first line that
// it said. `words[0]` is looked up in $PATH.
absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& words);

}  // namespace xlvs

#endif  // XLVS_LOADER_BASE_SUBPROCESS_H_
