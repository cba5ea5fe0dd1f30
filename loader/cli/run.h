// SPDX-License-Identifier: Apache-2.0
//
// Runs one command line from its words to its exit code. Everything that
// main.cc leaves is here; everything that touches the kernel is behind `host`
// and `decapsulator`.
#ifndef XLVS_LOADER_CLI_RUN_H_
#define XLVS_LOADER_CLI_RUN_H_

#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "loader/model/decapsulator.h"
#include "loader/model/host.h"

namespace xlvs {

// `args[0]` says who we are: ipvsadm, ipvsadm-save, ipvsadm-restore, and else
// xlvs. Returns the exit code. `in` is read by -R only. Options that name the
// instance must be gone (TakeInstance in admin.h).
int RunCommandLine(const std::vector<std::string>& args, Host& host,
                   Decapsulator& decapsulator, std::istream& in,
                   std::ostream& out, std::ostream& err);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_RUN_H_
