// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/grammar.h"

#include <array>

#include "absl/strings/str_format.h"

namespace xlvs {
namespace {

using C = CommandId;
using O = OptionId;

constexpr int kNone = POPT_ARG_NONE;
constexpr int kValue = POPT_ARG_STRING;
constexpr int kMayHaveValue = POPT_ARG_STRING | POPT_ARGFLAG_OPTIONAL;

constexpr Spelling kSpellings[] = {
    {"add-service", 'A', kNone, C::kAddService},
    {"edit-service", 'E', kNone, C::kEditService},
    {"delete-service", 'D', kNone, C::kDeleteService},
    {"clear", 'C', kNone, C::kClear},
    {"list", 'L', kNone, C::kList},
    {nullptr, 'l', kNone, C::kList},
    {"zero", 'Z', kNone, C::kZero},
    {"add-server", 'a', kNone, C::kAddServer},
    {"edit-server", 'e', kNone, C::kEditServer},
    {"delete-server", 'd', kNone, C::kDeleteServer},
    {"set", 0, kNone, C::kSet},
    {"start-daemon", 0, kValue, C::kStartDaemon},
    {"stop-daemon", 0, kValue, C::kStopDaemon},
    {"restore", 'R', kNone, C::kRestore},
    {"save", 'S', kNone, C::kSave},
    {"help", 'h', kNone, C::kHelp},
    {"version", 'v', kNone, C::kVersion},

    {"tcp-service", 't', kValue, O::kService, Choice::kTcp},
    {"udp-service", 'u', kValue, O::kService, Choice::kUdp},
    {"sctp-service", 0, kValue, O::kService, Choice::kSctp},
    {"fwmark-service", 'f', kValue, O::kService, Choice::kFwmark},
    {"ipv6", '6', kNone, O::kIpv6},
    {"scheduler", 's', kValue, O::kScheduler},
    {"persistent", 'p', kMayHaveValue, O::kPersistent},
    {"netmask", 'M', kValue, O::kNetmask},
    {"ops", 'o', kNone, O::kOps},
    {"pe", 0, kValue, O::kPe},
    {"sched-flags", 'b', kValue, O::kSchedFlags},

    {"real-server", 'r', kValue, O::kServer},
    {"masquerading", 'm', kNone, O::kMethod, Choice::kMasq},
    {"ipip", 'i', kNone, O::kMethod, Choice::kTunnel},
    {"gatewaying", 'g', kNone, O::kMethod, Choice::kRoute},
    {"weight", 'w', kValue, O::kWeight},
    {"u-threshold", 'x', kValue, O::kUThreshold},
    {"l-threshold", 'y', kValue, O::kLThreshold},
    {"tun-type", 0, kValue, O::kTunType},
    {"tun-port", 0, kValue, O::kTunPort},
    {"tun-nocsum", 0, kNone, O::kTunNoCsum},
    {"tun-csum", 0, kNone, O::kTunCsum},
    {"tun-remcsum", 0, kNone, O::kTunRemCsum},

    {"numeric", 'n', kNone, O::kNumeric},
    {"connection", 'c', kNone, O::kConnection},
    {"timeout", 0, kNone, O::kTimeout},
    {"daemon", 0, kNone, O::kDaemon},
    {"stats", 0, kNone, O::kStats},
    {"rate", 0, kNone, O::kRate},
    {"thresholds", 0, kNone, O::kThresholds},
    {"persistent-conn", 0, kNone, O::kPersistentConn},
    {"tun-info", 0, kNone, O::kTunInfo},
    {"nosort", 0, kNone, O::kNoSort},
    {"sort", 0, kNone, O::kSort},
    {"exact", 'X', kNone, O::kExact},
    {"json", 0, kNone, O::kJson},

    {"mcast-interface", 0, kValue, O::kMcastInterface},
    {"syncid", 0, kValue, O::kSyncId},
    {"sync-maxlen", 0, kValue, O::kSyncMaxlen},
    {"mcast-group", 0, kValue, O::kMcastGroup},
    {"mcast-port", 0, kValue, O::kMcastPort},
    {"mcast-ttl", 0, kValue, O::kMcastTtl},
};

// By OptionId; the order is that of ipvsadm's checks.
constexpr std::array<const char*, kOptionCount> kOptionNames = {
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "mcast-interface",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "syncid",
    "exact",
    "ops",
    "pe",
    "sched-flags",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sync-maxlen",
    "tun-info",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
    "json",
    "ipv6",
    "sort",
};

constexpr OptionSet kServiceOptions = {O::kScheduler, O::kPersistent,
                                       O::kNetmask,   O::kOps,
                                       O::kPe,        O::kSchedFlags};
constexpr OptionSet kServerOptions = {
    O::kMethod,  O::kWeight,    O::kUThreshold, O::kLThreshold, O::kTunType,
    O::kTunPort, O::kTunNoCsum, O::kTunCsum,    O::kTunRemCsum};
// --syncid: ipvsadm takes it and ignores it.
constexpr OptionSet kListOptions = {
    O::kNumeric, O::kStats,   O::kRate,   O::kThresholds, O::kPersistentConn,
    O::kSyncId,  O::kTunInfo, O::kNoSort, O::kExact,      O::kJson};
constexpr OptionSet kListSubjects = {O::kConnection, O::kService, O::kTimeout,
                                     O::kDaemon};
constexpr OptionSet kDaemonOptions = {O::kMcastInterface, O::kSyncId,
                                      O::kMcastGroup,     O::kMcastPort,
                                      O::kMcastTtl,       O::kSyncMaxlen};

// By CommandId.
constexpr Rule kCommandRules[] = {
    {"add-service", {O::kService}, kServiceOptions, {}},
    {"edit-service", {O::kService}, kServiceOptions, {}},
    {"delete-service", {O::kService}, {}, {}},
    {"flush", {}, {}, {}},
    {"list", {}, kListOptions, kListSubjects},
    {"add-server", {O::kService, O::kServer}, kServerOptions, {}},
    {"delete-server", {O::kService, O::kServer}, {}, {}},
    {"edit-server", {O::kService, O::kServer}, kServerOptions, {}},
    {"set", {}, {}, {}},
    {"start-daemon", {}, kDaemonOptions, {}},
    {"stop-daemon", {}, {O::kSyncId}, {}},
    {"restore", {}, {}, {}},
    {"save", {}, {O::kNumeric}, {}},
    {"zero", {}, {O::kService}, {}},
};

// By TunnelType.
constexpr Rule kTunnelRules[] = {
    {"ipip", {}, {}, {}},
    {"gue", {O::kTunPort}, {}, {O::kTunNoCsum, O::kTunCsum, O::kTunRemCsum}},
    {"gre", {}, {}, {O::kTunNoCsum, O::kTunCsum}},
};

// Walks the options from `first` to `last`; `kind` is what `rule` is a rule of.
std::optional<std::string> Check(const Rule& rule, const char* kind,
                                 const OptionSet& given, OptionId first,
                                 OptionId last) {
  std::optional<OptionId> alone;
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    const OptionId id = static_cast<OptionId>(i);
    const std::string name(Name(id));
    if (!given.Has(id)) {
      if (rule.required.Has(id))
        return absl::StrFormat(
            "You need to supply the '%s' option for the '%s' %s", name,
            rule.name, kind);
      continue;
    }
    if (rule.exclusive.Has(id)) {
      if (alone.has_value())
        return absl::StrFormat(
            "The option '%s' conflicts with the '%s' option in the '%s' %s",
            name, Name(*alone), rule.name, kind);
      alone = id;
    } else if (!rule.required.Has(id) && !rule.allowed.Has(id)) {
      return absl::StrFormat("Illegal '%s' option with the '%s' %s", name,
                             rule.name, kind);
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<poptOption> PoptTable(const Program& program) {
  std::vector<poptOption> table;
  int val = 0;
  for (const Spelling& spelling : kSpellings) {
    ++val;
    const bool ours = spelling.meaning.index() == 1 &&
                      std::get<OptionId>(spelling.meaning) == O::kJson;
    if (ours && program.personality != Personality::kXlvs) continue;
    table.push_back({spelling.long_name, spelling.short_name,
                     static_cast<unsigned>(spelling.argument), nullptr, val,
                     nullptr, nullptr});
  }
  table.push_back(POPT_TABLEEND);
  return table;
}

const Spelling& SpellingAt(int val) {
  return kSpellings[val - 1];
}

absl::string_view Name(OptionId option) {
  return kOptionNames[static_cast<size_t>(option)];
}

const Rule& TunnelRule(TunnelType type) {
  return kTunnelRules[static_cast<size_t>(type)];
}

std::optional<std::string> CheckCommand(CommandId command,
                                        const OptionSet& given) {
  return Check(kCommandRules[static_cast<size_t>(command)], "command", given,
               O::kNumeric, O::kJson);
}

std::optional<std::string> CheckTunnel(const Rule& type,
                                       const OptionSet& given) {
  return Check(type, "tunnel type", given, O::kTunPort, O::kTunRemCsum);
}

}  // namespace xlvs
