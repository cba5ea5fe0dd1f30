// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/ipvsadm.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "loader/cli/line.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

// What of `line` is beyond us, and what to do about it; nullopt: nothing.
std::optional<std::string> Unsupported(const Line& line) {
  if (line.command == CommandId::kStartDaemon)
    return "connections are not synchronised with other directors: there is "
           "no --start-daemon";
  // To us they are the IPv4 addresses, but to IPVS others, which no packet on
  // a wire has.
  for (const auto& [addr, v6] : {std::pair(line.vaddr, line.service_v6),
                                 std::pair(line.daddr, line.server_v6)})
    if (v6 && addr.is_v4())
      return absl::StrCat("IPv4-mapped addresses are not supported; use ",
                          addr.ToString());
  if (line.engine == "sip")
    return "--pe sip (persistence by SIP's Call-ID) is not supported";
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
  if (line.service_kind == Choice::kFwmark)
    return {line.service_v6 ? IpAddr() : IpAddr::FromV4(0), 0, Protocol::kIp,
            line.fwmark};
  return {line.vaddr, line.vport, ProtocolOf(line.service_kind)};
}

Dest DestOf(const Line& line) {
  return {
      {line.daddr, line.dport}, MethodOf(line.method), line.weight, line.tunnel,
      line.u_threshold,         line.l_threshold};
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
  const bool adds = line.command == CommandId::kAddService;
  const std::optional<Scheduler> scheduler = ParseScheduler(line.scheduler);
  // ipvsadm passes any name on; the kernel knows which there are.
  if (!scheduler || !line.engine.empty())
    return Command(
        Refused{adds ? Refused::Of::kAddService : Refused::Of::kEditService,
                KeyOf(line), "Scheduler or persistence engine not found"});
  const Service service = {KeyOf(line),
                           *scheduler,
                           SchedulerFlags(line.sched_flags),
                           line.given.Has(OptionId::kOps),
                           line.persistent_s,
                           line.persist_mask};
  if (adds) return Command(AddService{service});
  return Command(EditService{service});
}

Parsed ServerCommand(const Line& line) {
  if (line.l_threshold > line.u_threshold)
    return Command(Refused{Refused::Of::kDest, KeyOf(line),
                           "Numerical result out of range"});
  if (line.command == CommandId::kAddServer)
    return Command(AddDest{KeyOf(line), DestOf(line)});
  return Command(EditDest{KeyOf(line), DestOf(line)});
}

Parsed CommandOf(const Program& program, const Line& line) {
  switch (line.command) {
    case CommandId::kAddService:
    case CommandId::kEditService:
      return ServiceCommand(line);
    case CommandId::kDeleteService:
      return Command(DeleteService{KeyOf(line)});
    case CommandId::kClear:
      return Command(Clear{});
    case CommandId::kAddServer:
    case CommandId::kEditServer:
      return ServerCommand(line);
    case CommandId::kDeleteServer:
      return Command(DeleteDest{KeyOf(line), DestOf(line).key});
    case CommandId::kZero:
      if (!line.given.Has(OptionId::kService)) return Command(Zero{});
      return Command(Zero{KeyOf(line)});
    case CommandId::kSet:
      return Command(SetTimeouts{line.timeouts});
    case CommandId::kSave:
      return Command(Save{line.given.Has(OptionId::kNumeric),
                          program.personality == Personality::kXlvs});
    case CommandId::kRestore:
      return Command(Restore{});
    case CommandId::kHelp:
      return Command(Help{});
    case CommandId::kVersion:
      return Command(Version{});
    case CommandId::kStopDaemon:
      return Command(StopDaemon{});
    default:  // kList; kStartDaemon has been refused
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
    return Failure{absl::StrCat(program.name, ": ", *text), kExitRefused};
  return CommandOf(program, line);
}

}  // namespace xlvs
