// SPDX-License-Identifier: Apache-2.0
//
// The texts that ipvsadm prints for -L and -S, to the byte, trailing blanks
// included: scripts cut them at columns. Not JSON: that is json.h.
#ifndef XLVS_LOADER_CLI_PRINT_H_
#define XLVS_LOADER_CLI_PRINT_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "loader/cli/command.h"
#include "loader/cli/names.h"
#include "loader/model/director.h"

namespace xlvs {

// Into ipvsadm's order: services by mark, family, protocol number, address,
// port; the dests of each by address, port. Addresses compare in ipvsadm's odd
// way, see print.cc, and so do marks.
void Sort(std::vector<ServiceView>& services);

// -L, from the title lines on.
void PrintServices(const std::vector<ServiceView>& services,
                   const ListOptions& options, const Names& names,
                   std::ostream& out);
// The line before it when all services are listed.
void PrintTableLine(const TableInfo& table, std::ostream& out);
// -L -c
void PrintConns(const std::vector<ConnView>& conns, const ListOptions& options,
                const Names& names, std::ostream& out);
// -L --timeout
void PrintTimeouts(const Timeouts& timeouts, std::ostream& out);
// The line of -S that brings them back.
void PrintTimeoutRule(const Timeouts& timeouts, std::ostream& out);
// -S: what -R reads. `thresholds`: with -x and -y, which ipvsadm forgets.
void PrintRules(const std::vector<ServiceView>& services, bool thresholds,
                const Names& names, std::ostream& out);

// As -M takes it: "255.255.255.0", "64".
std::string PersistMaskText(const Service& service);

// One number of --stats or --rate, nine columns or more.
std::string CounterText(uint64_t number, bool exact);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_PRINT_H_
