// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/line.h"

#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/cli/help.h"
#include "loader/cli/popt_reader.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

constexpr int64_t kMaxTimeout = int64_t{31} * 24 * 60 * 60;
constexpr uint32_t kDefaultPersistence = 360;  // its man page says 300
constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxUint = std::numeric_limits<uint32_t>::max();

constexpr OptionSet kTunnelOptions = {OptionId::kTunType, OptionId::kTunPort,
                                      OptionId::kTunNoCsum, OptionId::kTunCsum,
                                      OptionId::kTunRemCsum};

using MaybeFailure = std::optional<Failure>;

Failure Mistake(std::string message) {
  return Failure{std::move(message)};
}

Failure FoundByPopt(std::string message) {
  return Failure{std::move(message), kExitFailure};
}

Failure SeeHelp(const Program& program) {
  return Failure{TryHelpText(program), kExitFailure};
}

// For options whose value only has to be right: `message` if it is not.
MaybeFailure Require(bool right, const char* message) {
  if (right) return std::nullopt;
  return Mistake(message);
}

MaybeFailure RequireInteger(const std::string& text, int64_t min, int64_t max,
                            const char* message) {
  return Require(ParseInteger(text, min, max).has_value(), message);
}

// What the options that take no value say about the tunnel's checksum; that
// there is one of them at most is checked by the tunnel type's rule.
TunnelChecksum ChecksumOf(const OptionSet& given) {
  if (given.Has(OptionId::kTunCsum)) return TunnelChecksum::kFull;
  if (given.Has(OptionId::kTunRemCsum)) return TunnelChecksum::kRemote;
  return TunnelChecksum::kNone;
}

MaybeFailure ReadUnsigned(const std::string& text, const char* message,
                          uint32_t& value) {
  const auto number = ParseInteger(text, 0, kMaxInt);
  if (!number) return Mistake(message);
  value = static_cast<uint32_t>(*number);
  return std::nullopt;
}

Failure InvalidTimeout(const std::string& text) {
  return Mistake(absl::StrFormat("invalid timeout value `%s' specified", text));
}

const char* ProtocolName(Choice service_kind) {
  switch (service_kind) {
    case Choice::kTcp:
    case Choice::kFwmark:  // ports of its real servers may have names, too
      return "tcp";
    case Choice::kUdp:
      return "udp";
    case Choice::kSctp:
      return "sctp";
    default:
      return nullptr;
  }
}

MaybeFailure CheckMcastGroup(const std::string& text) {
  const bool v6 = text.find(':') != std::string::npos;
  const auto group = IpAddr::Parse(text);
  if (group.ok() && group->is_multicast() && group->is_v4() == !v6)
    return std::nullopt;
  return Mistake(
      absl::StrFormat("invalid IPv%c mcast-group `%s'", v6 ? '6' : '4', text));
}

class LineReader {
 public:
  LineReader(const Program& program, const std::vector<std::string>& args)
      : program_(program),
        table_(PoptTable(program)),
        popt_(args, table_.data()) {}

  std::variant<Line, Failure> Read() {
    if (MaybeFailure failure = ReadAll()) return *std::move(failure);
    return line_;
  }

 private:
  MaybeFailure ReadAll();
  MaybeFailure ReadCommand();
  MaybeFailure ReadOptions();
  MaybeFailure ReadOption(const Spelling& spelling);
  MaybeFailure ReadValue(const Spelling& spelling, const std::string& value);
  void SetServiceV6();
  MaybeFailure ReadService(Choice kind, const std::string& value);
  MaybeFailure ReadServer(const std::string& value);
  MaybeFailure ReadTunnelType(const std::string& value);
  MaybeFailure ReadTunnelPort(const std::string& value);
  MaybeFailure ReadPersistence(const std::string& value);
  MaybeFailure ReadNetmask(const std::string& value);
  MaybeFailure ReadTimeouts();
  void Complete();
  MaybeFailure CheckMeaning() const;
  MaybeFailure CheckServiceMeaning() const;
  MaybeFailure CheckServerMeaning() const;
  MaybeFailure CheckListMeaning() const;

  const Program& program_;
  const std::vector<poptOption> table_;
  PoptReader popt_;
  Line line_;
};

MaybeFailure LineReader::ReadAll() {
  if (MaybeFailure failure = ReadCommand()) return failure;
  // ipvsadm answers these without a look at the rest of the line.
  if (line_.command == CommandId::kHelp || line_.command == CommandId::kVersion)
    return std::nullopt;
  if (MaybeFailure failure = ReadOptions()) return failure;
  if (line_.command == CommandId::kSet)
    if (MaybeFailure failure = ReadTimeouts()) return failure;
  if (const auto word = popt_.Word())
    return Mistake(absl::StrCat("unexpected argument ", *word));
  if (const auto text = CheckSchedulerFlags(line_.sched_flags, line_.scheduler))
    return Mistake(*text);
  if (const auto text = CheckCommand(line_.command, line_.given))
    return Mistake(*text);
  if (MaybeFailure failure = CheckMeaning()) return failure;
  Complete();
  return std::nullopt;
}

// What follows from the line as a whole.
void LineReader::Complete() {
  line_.tunnel.checksum = ChecksumOf(line_.given);
  const bool changes_server = line_.command == CommandId::kAddServer ||
                              line_.command == CommandId::kEditServer;
  // Only masquerading rewrites ports: the others keep the service's, whatever
  // the line says. With a firewall mark there is none to keep.
  if (changes_server && line_.method != Choice::kMasq &&
      line_.service_kind != Choice::kFwmark)
    line_.dport = line_.vport;
}

MaybeFailure LineReader::ReadCommand() {
  const int val = popt_.Next();
  if (val < 0) return SeeHelp(program_);
  const auto* command = std::get_if<CommandId>(&SpellingAt(val).meaning);
  if (command == nullptr) return SeeHelp(program_);
  line_.command = *command;
  const std::string value = popt_.Value().value_or("");
  const bool role = value == "master" || value == "backup";
  if (*command == CommandId::kStartDaemon)
    return Require(role, "illegal start-daemon parameter specified");
  if (*command == CommandId::kStopDaemon)
    return Require(role, "illegal start_daemon specified");
  return std::nullopt;
}

MaybeFailure LineReader::ReadOptions() {
  int val;
  while ((val = popt_.Next()) >= 0)
    if (MaybeFailure failure = ReadOption(SpellingAt(val))) return failure;
  if (val < -1) return FoundByPopt(popt_.ErrorText(val));
  return std::nullopt;
}

MaybeFailure LineReader::ReadOption(const Spelling& spelling) {
  const auto* option = std::get_if<OptionId>(&spelling.meaning);
  if (option == nullptr)
    return Mistake(absl::StrFormat("invalid option `%s'", popt_.Spelling()));
  if (*option == OptionId::kSort) return std::nullopt;
  if (*option == OptionId::kIpv6) {
    if (line_.service_kind != Choice::kFwmark)
      return Mistake("-6 used before -f\n");
    SetServiceV6();
    return std::nullopt;
  }
  if (line_.given.Has(*option))
    return Mistake(
        absl::StrFormat("multiple '%s' options specified", Name(*option)));
  line_.given.Add(*option);
  if (*option == OptionId::kMethod) line_.method = spelling.choice;
  if (*option == OptionId::kPersistent)
    line_.persistent_s = kDefaultPersistence;
  const std::optional<std::string> value = popt_.Value();
  if (!value) return std::nullopt;
  return ReadValue(spelling, *value);
}

MaybeFailure LineReader::ReadValue(const Spelling& spelling,
                                   const std::string& value) {
  switch (std::get<OptionId>(spelling.meaning)) {
    case OptionId::kService:
      return ReadService(spelling.choice, value);
    case OptionId::kScheduler:
      if (!value.empty()) line_.scheduler = value;
      return std::nullopt;
    case OptionId::kPersistent:
      return ReadPersistence(value);
    case OptionId::kNetmask:
      return ReadNetmask(value);
    case OptionId::kPe:
      line_.engine = value;
      return std::nullopt;
    case OptionId::kSchedFlags:
      line_.sched_flags = value;  // -s may still come
      return std::nullopt;
    case OptionId::kServer:
      return ReadServer(value);
    case OptionId::kWeight:
      return ReadUnsigned(value, "illegal weight specified", line_.weight);
    case OptionId::kUThreshold:
      return ReadUnsigned(value, "illegal u_threshold specified",
                          line_.u_threshold);
    case OptionId::kLThreshold:
      return ReadUnsigned(value, "illegal l_threshold specified",
                          line_.l_threshold);
    case OptionId::kTunType:
      return ReadTunnelType(value);
    case OptionId::kTunPort:
      return ReadTunnelPort(value);
    case OptionId::kSyncId:
      return RequireInteger(value, 0, 255, "illegal syncid specified");
    case OptionId::kSyncMaxlen:
      return RequireInteger(value, 1, 65535 - 28,
                            "illegal sync-maxlen specified");
    case OptionId::kMcastGroup:
      return CheckMcastGroup(value);
    case OptionId::kMcastPort:
      return RequireInteger(value, 1, 65535, "illegal mcast-port specified");
    case OptionId::kMcastTtl:
      return RequireInteger(value, 1, 255, "illegal mcast-ttl specified");
    default:  // --mcast-interface: any name
      return std::nullopt;
  }
}

// As ipvsadm, which forgets a mask that was given before.
void LineReader::SetServiceV6() {
  line_.service_v6 = true;
  line_.persist_mask = FullMask(/*is_v4=*/false);
}

MaybeFailure LineReader::ReadService(Choice kind, const std::string& value) {
  line_.service_kind = kind;
  if (kind == Choice::kFwmark) {
    const auto fwmark = ParseInteger(value, 1, kMaxUint);
    if (!fwmark)
      return Mistake(
          absl::StrFormat("invalid fwmark value `%s' specified", value));
    line_.fwmark = static_cast<uint32_t>(*fwmark);
    return std::nullopt;
  }
  const auto endpoint = ParseEndpoint(value, ProtocolName(kind));
  if (!endpoint)
    return Mistake("illegal virtual server address[:port] specified");
  line_.vaddr = endpoint->addr;
  line_.vport = endpoint->port.value_or(0);
  if (endpoint->v6) SetServiceV6();
  return std::nullopt;
}

MaybeFailure LineReader::ReadServer(const std::string& value) {
  const auto endpoint = ParseEndpoint(value, ProtocolName(line_.service_kind));
  if (!endpoint) return Mistake("illegal real server address[:port] specified");
  line_.daddr = endpoint->addr;
  // The service's port if it was given already: ipvsadm looks no further.
  line_.dport = endpoint->port.value_or(line_.vport);
  line_.server_v6 = endpoint->v6;
  return std::nullopt;
}

MaybeFailure LineReader::ReadTunnelType(const std::string& value) {
  const auto type = ParseTunnelType(value);
  if (!type) return Mistake("illegal tunnel type specified");
  line_.tunnel.type = *type;
  return std::nullopt;
}

MaybeFailure LineReader::ReadTunnelPort(const std::string& value) {
  const auto port = ParseInteger(value, 1, 65535);
  if (!port) return Mistake("illegal tunnel port specified");
  line_.tunnel.port = static_cast<uint16_t>(*port);
  return std::nullopt;
}

MaybeFailure LineReader::ReadPersistence(const std::string& value) {
  const auto seconds = ParseInteger(value, 1, kMaxTimeout);
  if (!seconds) return InvalidTimeout(value);
  line_.persistent_s = static_cast<uint32_t>(*seconds);
  return std::nullopt;
}

MaybeFailure LineReader::ReadNetmask(const std::string& value) {
  if (line_.service_v6) {
    const int prefix = std::atoi(value.c_str());  // as ipvsadm: "64x" is 64
    if (prefix < 1 || prefix > 128)
      return Mistake("illegal ipv6 netmask specified");
    line_.persist_mask = static_cast<uint32_t>(prefix);
    return std::nullopt;
  }
  const auto mask = ParseV4(value);
  if (!mask) return Mistake("illegal virtual server persistent mask specified");
  line_.persist_mask = mask->v4_host_order();
  return std::nullopt;
}

MaybeFailure LineReader::ReadTimeouts() {
  for (uint32_t* timeout : {&line_.timeouts.tcp_s, &line_.timeouts.tcp_fin_s,
                            &line_.timeouts.udp_s}) {
    const auto word = popt_.Word();
    if (!word) return Mistake("--set option requires 3 timeout values");
    const auto seconds = ParseInteger(*word, 0, kMaxTimeout);
    if (!seconds) return InvalidTimeout(*word);
    *timeout = static_cast<uint32_t>(*seconds);
  }
  return std::nullopt;
}

MaybeFailure LineReader::CheckMeaning() const {
  switch (line_.command) {
    case CommandId::kAddService:
    case CommandId::kEditService:
      return CheckServiceMeaning();
    case CommandId::kAddServer:
    case CommandId::kEditServer:
      return CheckServerMeaning();
    case CommandId::kList:
      return CheckListMeaning();
    default:
      return std::nullopt;
  }
}

MaybeFailure LineReader::CheckServiceMeaning() const {
  const bool fwmark = line_.service_kind == Choice::kFwmark;
  if (!fwmark && line_.vport == 0 && !line_.given.Has(OptionId::kPersistent))
    return Mistake("Zero port specified for non-persistent service");
  if (line_.given.Has(OptionId::kOps) && !fwmark &&
      line_.service_kind != Choice::kUdp)
    return Mistake("One-Packet Scheduling is only for UDP virtual services");
  return std::nullopt;
}

MaybeFailure LineReader::CheckServerMeaning() const {
  const bool tunnel = line_.method == Choice::kTunnel;
  if (line_.service_v6 != line_.server_v6 && !tunnel)
    return Mistake(
        "Different address family is allowed only for tunneling servers");
  if (!tunnel)
    return Require(!line_.given.HasAny(kTunnelOptions),
                   "Tunnel options conflict with forward method");
  if (const auto text = CheckTunnel(TunnelRule(line_.tunnel.type), line_.given))
    return Mistake(*text);
  return std::nullopt;
}

MaybeFailure LineReader::CheckListMeaning() const {
  constexpr OptionSet kNotServices = {OptionId::kConnection, OptionId::kTimeout,
                                      OptionId::kDaemon};
  constexpr OptionSet kNotConns = {OptionId::kTimeout, OptionId::kDaemon};
  constexpr OptionSet kCounters = {OptionId::kStats, OptionId::kRate,
                                   OptionId::kThresholds};
  const OptionSet& given = line_.given;
  const bool conflict =
      (given.HasAny(kNotServices) && given.HasAny(kCounters)) ||
      (given.HasAny(kNotConns) && given.Has(OptionId::kPersistentConn));
  return Require(!conflict, "options conflicts in the list command");
}

}  // namespace

std::variant<Line, Failure> ReadLine(const Program& program,
                                     const std::vector<std::string>& args) {
  return LineReader(program, args).Read();
}

}  // namespace xlvs
