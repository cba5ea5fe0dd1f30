// SPDX-License-Identifier: Apache-2.0
//
// `xlvs set [KEY [VALUE]]`: what IPVS has as sysctls, net.ipv4.vs.KEY. Which
// keys there are the director says.
#ifndef XLVS_LOADER_CLI_SETTING_H_
#define XLVS_LOADER_CLI_SETTING_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "loader/cli/command.h"
#include "loader/cli/program.h"
#include "loader/model/director.h"

namespace xlvs {

inline constexpr char kSetWord[] = "set";

// `args[0]` is the program, `args[1]` "set". Sysctls of IPVS that cannot be
// ours fail here, with the reason.
Parsed ParseSet(const Program& program, const std::vector<std::string>& args);

// nullptr: no such key.
const SettingView* FindSetting(const std::vector<SettingView>& settings,
                               absl::string_view name);
// What to say then: with the key that was meant, probably.
std::string UnknownSetting(const std::vector<SettingView>& settings,
                           absl::string_view name);

// A table of at most 80 columns.
void PrintSettings(const std::vector<SettingView>& settings, std::ostream& out);
// The lines of -S that bring them back.
void PrintSettingRules(const std::vector<SettingView>& settings,
                       std::ostream& out);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_SETTING_H_
