// SPDX-License-Identifier: Apache-2.0
//
// Sets a machine up as a real server, and takes back exactly what was done.
//
// A note (Machine::WriteNote) says before each step how to take it back, so
// that a killed process leaves nothing that cannot be taken back. What was so
// already is not noted and stays. What somebody changed since is left as it is.
#ifndef XLVS_LOADER_REAL_APPLY_H_
#define XLVS_LOADER_REAL_APPLY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "loader/real/machine.h"
#include "loader/real/setup.h"

namespace xlvs {

// All steps or none; applying again changes nothing. Returns what was done, a
// line a step.
absl::StatusOr<std::vector<std::string>> ApplySetup(const RealSetup& setup,
                                                    Machine& machine);

// All that was ever applied and not taken back, last first. What cannot be
// taken back stays noted, and the status says why.
absl::StatusOr<std::vector<std::string>> UndoSetup(Machine& machine);

}  // namespace xlvs

#endif  // XLVS_LOADER_REAL_APPLY_H_
