// SPDX-License-Identifier: Apache-2.0
//
// `xlvs real-setup`: what a real server needs to be behind a director.
#ifndef XLVS_LOADER_CLI_REAL_SETUP_H_
#define XLVS_LOADER_CLI_REAL_SETUP_H_

#include <string>
#include <vector>

#include "loader/cli/command.h"
#include "loader/cli/program.h"

namespace xlvs {

inline constexpr char kRealSetupWord[] = "real-setup";

// `args[0]` is the program, `args[1]` the word.
Parsed ParseRealSetup(const Program& program,
                      const std::vector<std::string>& args);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_REAL_SETUP_H_
