// SPDX-License-Identifier: Apache-2.0
//
// ipvsadm's command line -> Command. The whole of ipvsadm's grammar is
// understood; what xlvs does not do of it gets a clear refusal (exit code 1),
// never a silent approximation.
#ifndef XLVS_LOADER_CLI_IPVSADM_H_
#define XLVS_LOADER_CLI_IPVSADM_H_

#include <string>
#include <vector>

#include "loader/cli/command.h"
#include "loader/cli/program.h"

namespace xlvs {

// `args[0]` is the program. No arguments: list, as ipvsadm.
Parsed ParseIpvsadm(const Program& program,
                    const std::vector<std::string>& args);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_IPVSADM_H_
