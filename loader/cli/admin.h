// SPDX-License-Identifier: Apache-2.0
//
// xlvs's own words: attach, detach, status. They manage the instance that
// ipvsadm's commands configure.
#ifndef XLVS_LOADER_CLI_ADMIN_H_
#define XLVS_LOADER_CLI_ADMIN_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "loader/cli/command.h"
#include "loader/cli/program.h"
#include "loader/model/host.h"

namespace xlvs {

// The instance's name: `--instance NAME` or `--instance=NAME`, wherever it
// stands before a `--`, which it takes out of `args`; else $XLVS_INSTANCE; else
// "xlvs". As ipvsadm only the environment counts. Host is made for one
// instance, so main.cc calls this before anything else.
absl::StatusOr<std::string> TakeInstance(std::vector<std::string>& args);

// Whether `word`, the first of a command line, is one for ParseAdmin().
bool IsAdminWord(absl::string_view word);
// `args[0]` is the program, `args[1]` the word.
Parsed ParseAdmin(const Program& program, const std::vector<std::string>& args);

// "1000000", "64k", "1M": k is 1,000, M 1,000,000. At least 1.
std::optional<uint32_t> ParseSize(const std::string& text);

absl::string_view Name(AttachMode mode);
std::optional<AttachMode> ParseMode(absl::string_view text);
// What is wrong with a mode that ParseMode() does not know.
std::string WrongMode(absl::string_view text);

// attach's answer, a line a device and one more for a warning. `asked` is the
// mode that the user wanted.
void PrintAttached(const std::vector<DeviceView>& devices, AttachMode asked,
                   std::ostream& out);
// `all`: also endings that no packet met.
void PrintStatus(const StatusView& status, bool all, std::ostream& out);

// Parts of it that other listings have, too.
void PrintDevices(const std::vector<DeviceView>& devices,
                  absl::string_view how_to_attach, std::ostream& out);
void PrintEndings(const std::vector<EndingView>& endings, bool all,
                  std::ostream& out);
// Every packet that came in ended in exactly one way, so the sums are equal;
// while packets arrive they may differ by those on their way.
void PrintBalance(uint64_t rx_packets, const std::vector<EndingView>& endings,
                  std::ostream& out);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_ADMIN_H_
