// SPDX-License-Identifier: Apache-2.0
//
// `xlvs mark add|del|list`: which packets have which mark. IPVS leaves that to
// the firewall; xlvs sees packets before it.
#ifndef XLVS_LOADER_CLI_MARK_H_
#define XLVS_LOADER_CLI_MARK_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "loader/cli/command.h"
#include "loader/cli/program.h"
#include "loader/model/director.h"

namespace xlvs {

inline constexpr char kMarkWord[] = "mark";

// `args[0]` is the program, `args[1]` "mark".
Parsed ParseMark(const Program& program, const std::vector<std::string>& args);

// "[tcp|udp|sctp|any] NETWORK[:PORT[-PORT]]", without a mark (0). The message
// of an error says what is wrong with which part.
absl::StatusOr<MarkRule> ParseMarkRule(absl::string_view text);
// As ParseMarkRule() reads it.
std::string MarkRuleText(const MarkRule& rule);

// "tcp", "udp", "sctp" or "any".
absl::string_view MarkProtocolName(Protocol protocol);

void PrintMarks(const std::vector<MarkRule>& rules, std::ostream& out);
// The lines of -S that bring them back, in their order.
void PrintMarkRules(const std::vector<MarkRule>& rules, std::ostream& out);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_MARK_H_
