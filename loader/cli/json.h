// SPDX-License-Identifier: Apache-2.0
//
// The same as the listings, for programs: numbers as numbers, addresses as
// strings, never a name from a resolver. The top level has "v": 1; it changes
// when a member changes its meaning or goes, not when one is added.
#ifndef XLVS_LOADER_CLI_JSON_H_
#define XLVS_LOADER_CLI_JSON_H_

#include <string>
#include <vector>

#include "loader/model/decapsulator.h"
#include "loader/model/director.h"
#include "loader/model/host.h"

namespace xlvs {

// Each returns one document with a newline at its end.
std::string ServicesJson(const TableInfo& table,
                         const std::vector<ServiceView>& services);
std::string ConnsJson(const std::vector<ConnView>& conns);
std::string TimeoutsJson(const Timeouts& timeouts);
std::string DaemonsJson();
std::string SettingsJson(const std::vector<SettingView>& settings);
std::string MarksJson(const std::vector<MarkRule>& rules);
std::string StatusJson(const StatusView& status);
std::string DecapJson(const DecapView& view);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_JSON_H_
