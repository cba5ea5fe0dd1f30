// SPDX-License-Identifier: Apache-2.0
//
// Help and version texts.
#ifndef XLVS_LOADER_CLI_HELP_H_
#define XLVS_LOADER_CLI_HELP_H_

#include <string>

#include "loader/cli/program.h"

namespace xlvs {

std::string HelpText(const Program& program);
std::string VersionText(const Program& program);
// What ipvsadm says when the first word is no command.
std::string TryHelpText(const Program& program);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_HELP_H_
