// SPDX-License-Identifier: Apache-2.0
//
// ipvsadm's grammar as tables: how commands and options are spelled, and which
// option goes with which command. Parsing and checking both read them, so an
// option is added in one place. What values mean is line.cc's business.
#ifndef XLVS_LOADER_CLI_GRAMMAR_H_
#define XLVS_LOADER_CLI_GRAMMAR_H_

#include <popt.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "loader/cli/program.h"
#include "loader/model/service.h"

namespace xlvs {

enum class CommandId {
  kAddService,
  kEditService,
  kDeleteService,
  kClear,
  kList,
  kAddServer,
  kDeleteServer,
  kEditServer,
  kSet,
  kStartDaemon,
  kStopDaemon,
  kRestore,
  kSave,
  kZero,
  kHelp,
  kVersion,
};

// In the order in which ipvsadm looks for mistakes: of two it names the first.
enum class OptionId {
  kNumeric,
  kConnection,
  kService,
  kScheduler,
  kPersistent,
  kNetmask,
  kServer,
  kMethod,
  kWeight,
  kUThreshold,
  kLThreshold,
  kMcastInterface,
  kTimeout,
  kDaemon,
  kStats,
  kRate,
  kThresholds,
  kPersistentConn,
  kNoSort,
  kSyncId,
  kExact,
  kOps,
  kPe,
  kSchedFlags,
  kMcastGroup,
  kMcastPort,
  kMcastTtl,
  kSyncMaxlen,
  kTunInfo,
  kTunType,
  kTunPort,
  kTunNoCsum,
  kTunCsum,
  kTunRemCsum,
  kJson,
  // Not checked: they may be repeated and stand anywhere.
  kIpv6,
  kSort,
};
inline constexpr size_t kOptionCount = static_cast<size_t>(OptionId::kSort) + 1;

class OptionSet {
 public:
  constexpr OptionSet() = default;
  constexpr OptionSet(std::initializer_list<OptionId> ids) {
    for (OptionId id : ids) Add(id);
  }
  constexpr void Add(OptionId id) { bits_ |= Bit(id); }
  constexpr bool Has(OptionId id) const { return (bits_ & Bit(id)) != 0; }
  constexpr bool HasAny(const OptionSet& other) const {
    return (bits_ & other.bits_) != 0;
  }

 private:
  static constexpr uint64_t Bit(OptionId id) {
    return uint64_t{1} << static_cast<unsigned>(id);
  }
  uint64_t bits_ = 0;
};

// The options that name the service, or the method, are one option each to
// ipvsadm ("multiple 'service-address' options").
enum class Choice { kNone, kTcp, kUdp, kSctp, kFwmark, kMasq, kTunnel, kRoute };

// One way to spell something.
struct Spelling {
  const char* long_name;  // or nullptr
  char short_name;        // or 0
  int argument;           // of popt: POPT_ARG_*
  std::variant<CommandId, OptionId> meaning;
  Choice choice = Choice::kNone;
};

// popt's table of all spellings that `program` knows. `val` - 1 is the index
// for SpellingAt().
std::vector<poptOption> PoptTable(const Program& program);
const Spelling& SpellingAt(int val);

absl::string_view Name(OptionId option);

// Which options something (a command, a tunnel type) must, may and may only
// alone have.
struct Rule {
  const char* name;
  OptionSet required;
  OptionSet allowed;
  OptionSet exclusive;  // at most one of these; they are allowed
};

const Rule& TunnelRule(TunnelType type);

// What is wrong with `given`, in ipvsadm's words; nullopt: nothing.
std::optional<std::string> CheckCommand(CommandId command,
                                        const OptionSet& given);
std::optional<std::string> CheckTunnel(const Rule& type,
                                       const OptionSet& given);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_GRAMMAR_H_
