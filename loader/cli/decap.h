// SPDX-License-Identifier: Apache-2.0
//
// `xlvs decap attach|detach|status`: the decapsulator of a real server.
#ifndef XLVS_LOADER_CLI_DECAP_H_
#define XLVS_LOADER_CLI_DECAP_H_

#include <ostream>
#include <string>
#include <vector>

#include "loader/cli/command.h"
#include "loader/cli/program.h"
#include "loader/model/decapsulator.h"

namespace xlvs {

// `args[0]` is the program, `args[1]` "decap".
Parsed ParseDecap(const Program& program, const std::vector<std::string>& args);

// `all`: also endings that no packet met.
void PrintDecapStatus(const DecapView& view, bool all, std::ostream& out);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_DECAP_H_
