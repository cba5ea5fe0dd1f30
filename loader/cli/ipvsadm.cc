// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/ipvsadm.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "loader/cli/line.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

// What IPVS has and we have not, for the difference between "not yet" and "no
// such scheduler".
bool IsIpvsScheduler(absl::string_view name) {
  static constexpr absl::string_view kNames[] = {"lblc", "lblcr", "none"};
  return std::find(std::begin(kNames), std::end(kNames), name) !=
         std::end(kNames);
}

// What of `line` is beyond us, and what to do about it; nullopt: nothing.
std::optional<std::string> Unsupported(const Line& line) {
  constexpr absl::string_view kNotYet = " is not supported yet";
  const OptionSet& given = line.given;
  const auto not_yet = [&](absl::string_view what) {
    return absl::StrCat(what, kNotYet);
  };
  if (line.command == CommandId::kStartDaemon)
    return not_yet("--start-daemon (connection synchronisation)");
  if (line.command == CommandId::kStopDaemon)
    return not_yet("--stop-daemon (connection synchronisation)");
  if (line.service_kind == Choice::kFwmark)
    return absl::StrCat("-f (firewall marks)", kNotYet,
                        "; use -t, -u or --sctp-service");
  // To us they are the IPv4 addresses, but to IPVS others, which no packet on
  // a wire has.
  for (const auto& [addr, v6] : {std::pair(line.vaddr, line.service_v6),
                                 std::pair(line.daddr, line.server_v6)})
    if (v6 && addr.is_v4())
      return absl::StrCat("IPv4-mapped addresses are not supported; use ",
                          addr.ToString());
  if (given.Has(OptionId::kPersistent)) return not_yet("-p (persistence)");
  if (given.Has(OptionId::kNetmask)) return not_yet("-M (persistence mask)");
  if (given.Has(OptionId::kPe)) return not_yet("--pe (persistence engines)");
  if (given.Has(OptionId::kOps)) return not_yet("-o (one-packet scheduling)");
  if (line.u_threshold != 0) return not_yet("-x (upper threshold)");
  if (line.l_threshold != 0) return not_yet("-y (lower threshold)");
  if (IsIpvsScheduler(line.scheduler))
    return absl::StrCat("-s ", line.scheduler, kNotYet,
                        "; -h names those that are");
  return std::nullopt;
}

Protocol ProtocolOf(Choice service_kind) {
  switch (service_kind) {
    case Choice::kUdp:
      return Protocol::kUdp;
    case Choice::kSctp:
      return Protocol::kSctp;
    default:
      return Protocol::kTcp;
  }
}

Method MethodOf(Choice method) {
  switch (method) {
    case Choice::kMasq:
      return Method::kMasq;
    case Choice::kTunnel:
      return Method::kTunnel;
    default:
      return Method::kRoute;
  }
}

ServiceKey KeyOf(const Line& line) {
  return {line.vaddr, line.vport, ProtocolOf(line.service_kind)};
}

Dest DestOf(const Line& line) {
  return {{line.daddr, line.dport},
          MethodOf(line.method),
          line.weight,
          line.tunnel};
}

ListColumns ColumnsOf(const OptionSet& given) {
  // Of several ipvsadm obeys the first of this list.
  static constexpr std::pair<OptionId, ListColumns> kColumns[] = {
      {OptionId::kStats, ListColumns::kStats},
      {OptionId::kRate, ListColumns::kRate},
      {OptionId::kThresholds, ListColumns::kThresholds},
      {OptionId::kPersistentConn, ListColumns::kPersistentConn},
      {OptionId::kTunInfo, ListColumns::kTunInfo},
  };
  for (const auto& [option, columns] : kColumns)
    if (given.Has(option)) return columns;
  return ListColumns::kPlain;
}

ListWhat SubjectOf(const OptionSet& given) {
  if (given.Has(OptionId::kConnection)) return ListWhat::kConns;
  if (given.Has(OptionId::kTimeout)) return ListWhat::kTimeouts;
  if (given.Has(OptionId::kDaemon)) return ListWhat::kDaemons;
  return ListWhat::kServices;
}

List ListOf(const Line& line) {
  List list;
  list.what = SubjectOf(line.given);
  if (line.given.Has(OptionId::kService)) list.service = KeyOf(line);
  list.options.columns = ColumnsOf(line.given);
  list.options.numeric = line.given.Has(OptionId::kNumeric);
  list.options.exact = line.given.Has(OptionId::kExact);
  list.options.sort = !line.given.Has(OptionId::kNoSort);
  list.json = line.given.Has(OptionId::kJson);
  return list;
}

Parsed ServiceCommand(const Line& line) {
  const std::optional<Scheduler> scheduler = ParseScheduler(line.scheduler);
  // The kernel's answer: ipvsadm passes any name on.
  if (!scheduler)
    return Failure{"Scheduler or persistence engine not found", kExitFailure,
                   /*ends_restore=*/false};
  const Service service = {KeyOf(line), *scheduler,
                           SchedulerFlags(line.sched_flags)};
  if (line.command == CommandId::kAddService)
    return Command(AddService{service});
  return Command(EditService{service});
}

Parsed CommandOf(const Line& line) {
  switch (line.command) {
    case CommandId::kAddService:
    case CommandId::kEditService:
      return ServiceCommand(line);
    case CommandId::kDeleteService:
      return Command(DeleteService{KeyOf(line)});
    case CommandId::kClear:
      return Command(Clear{});
    case CommandId::kAddServer:
      return Command(AddDest{KeyOf(line), DestOf(line)});
    case CommandId::kEditServer:
      return Command(EditDest{KeyOf(line), DestOf(line)});
    case CommandId::kDeleteServer:
      return Command(DeleteDest{KeyOf(line), DestOf(line).key});
    case CommandId::kZero:
      if (!line.given.Has(OptionId::kService)) return Command(Zero{});
      return Command(Zero{KeyOf(line)});
    case CommandId::kSet:
      return Command(SetTimeouts{line.timeouts});
    case CommandId::kSave:
      return Command(Save{line.given.Has(OptionId::kNumeric)});
    case CommandId::kRestore:
      return Command(Restore{});
    case CommandId::kHelp:
      return Command(Help{});
    case CommandId::kVersion:
      return Command(Version{});
    default:  // kList; the daemon commands have been refused
      return Command(ListOf(line));
  }
}

}  // namespace

Parsed ParseIpvsadm(const Program& program,
                    const std::vector<std::string>& args) {
  if (args.size() <= 1) return Command(List{});
  std::variant<Line, Failure> read = ReadLine(program, args);
  if (auto* failure = std::get_if<Failure>(&read)) return std::move(*failure);
  const Line& line = std::get<Line>(read);
  if (const auto text = Unsupported(line))
    return Failure{absl::StrCat(program.name, ": ", *text), kExitRefused,
                   /*ends_restore=*/false};
  return CommandOf(line);
}

}  // namespace xlvs
