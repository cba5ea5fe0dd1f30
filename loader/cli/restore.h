// SPDX-License-Identifier: Apache-2.0
//
// What -R reads: a command a line. All lines are read and checked before the
// first is executed, so that a mistake in the last leaves everything as it was.
// ipvsadm has by then done the lines before it.
#ifndef XLVS_LOADER_CLI_RESTORE_H_
#define XLVS_LOADER_CLI_RESTORE_H_

#include <istream>
#include <variant>
#include <vector>

#include "loader/cli/command.h"
#include "loader/cli/program.h"

namespace xlvs {

// Up to the end, or to a line with -h or -v, from within which ipvsadm exits.
// A Failure is that of the first line that is none; as xlvs it says which.
std::variant<std::vector<Command>, Failure> ReadRules(const Program& program,
                                                      std::istream& in);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_RESTORE_H_
