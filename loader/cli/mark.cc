// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/mark.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "loader/cli/admin_reader.h"
#include "loader/cli/values.h"
#include "loader/net/prefix.h"

namespace xlvs {
namespace {

constexpr char kRuleForm[] = "[tcp|udp|sctp|any] NETWORK[:PORT[-PORT]]";

constexpr std::pair<absl::string_view, Protocol> kProtocols[] = {
    {"any", Protocol::kIp},
    {"tcp", Protocol::kTcp},
    {"udp", Protocol::kUdp},
    {"sctp", Protocol::kSctp},
};

std::optional<Protocol> ParseProtocol(absl::string_view name) {
  for (const auto& [text, protocol] : kProtocols)
    if (text == name) return protocol;
  return std::nullopt;
}

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

uint32_t AddressBits(const IpAddr& addr) {
  return addr.is_v4() ? 32 : 128;
}

// Inside, an IPv4 address is the last 32 of 128 bits.
uint32_t InsideBits(const IpAddr& network, uint32_t prefix_bits) {
  return prefix_bits + 128 - AddressBits(network);
}

// Whether an IPv6 network has the v4-mapped addresses in it, which inside are
// the IPv4 ones.
bool HoldsV4(const IpAddr& network, uint32_t prefix_bits) {
  return NetworkOf(IpAddr::FromV4(0), std::min(prefix_bits, 96u)) ==
         NetworkOf(network, std::min(prefix_bits, 96u));
}

absl::Status ReadNetwork(absl::string_view text, MarkRule& rule) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  const auto addr = IpAddr::Parse(parts.first);
  if (!addr.ok()) return Wrong("'", parts.first, "' is not an address");
  const bool written_as_v6 = parts.first.find(':') != parts.first.npos;
  if (written_as_v6 && addr->is_v4())
    return Wrong("IPv4-mapped addresses are not supported; use ",
                 addr->ToString());
  rule.prefix_bits = AddressBits(*addr);
  if (parts.first.size() != text.size()) {
    const auto bits = ParseInteger(std::string(parts.second), 0,
                                   static_cast<int64_t>(rule.prefix_bits));
    if (!bits)
      return Wrong("'/", parts.second, "' is not a prefix of IPv",
                   written_as_v6 ? 6 : 4, " (/0 to /", rule.prefix_bits, ")");
    rule.prefix_bits = static_cast<uint32_t>(*bits);
  }
  rule.network = NetworkOf(*addr, InsideBits(*addr, rule.prefix_bits));
  if (rule.network != *addr)
    return Wrong(text, " has bits behind its prefix; the network is ",
                 rule.network.ToString(), "/", rule.prefix_bits);
  if (written_as_v6 && HoldsV4(rule.network, rule.prefix_bits))
    return Wrong(text,
                 " has the IPv4-mapped addresses in it, which are not "
                 "supported; 2000::/3 are the global ones of IPv6");
  return absl::OkStatus();
}

absl::Status ReadPorts(absl::string_view text, MarkRule& rule) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('-', 1));
  const bool range = text.find('-') != text.npos;
  const auto port = [](absl::string_view word) {
    return ParseInteger(std::string(word), 1, 65535);
  };
  const auto first = port(parts.first);
  if (!first)
    return Wrong("'", parts.first,
                 "' is not a port (1 to 65535; without one: "
                 "all)");
  const auto last = range ? port(parts.second) : first;
  if (!last) return Wrong("'", parts.second, "' is not a port (1 to 65535)");
  if (*first > *last)
    return Wrong("ports ", text, " are the wrong way round; ", *last, "-",
                 *first);
  rule.port_first = static_cast<uint16_t>(*first);
  rule.port_last = static_cast<uint16_t>(*last);
  return absl::OkStatus();
}

// "NETWORK[:PORTS]"; an IPv6 network with ports stands in brackets.
absl::Status ReadTarget(absl::string_view text, MarkRule& rule) {
  absl::string_view network = text;
  absl::string_view ports;
  bool has_ports = false;
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == text.npos) return Wrong("'", text, "' lacks a ]");
    network = text.substr(1, close - 1);
    ports = text.substr(close + 1);
    has_ports = !ports.empty();
    if (has_ports && ports.front() != ':')
      return Wrong("'", ports, "' behind ] is not :PORT");
    if (has_ports) ports.remove_prefix(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const size_t colon = text.find(':');
    network = text.substr(0, colon);
    ports = text.substr(colon + 1);
    has_ports = true;
  }
  if (absl::Status status = ReadNetwork(network, rule); !status.ok())
    return status;
  return has_ports ? ReadPorts(ports, rule) : absl::OkStatus();
}

std::string NetworkText(const MarkRule& rule) {
  const std::string addr = rule.network.ToString();
  if (rule.prefix_bits == AddressBits(rule.network)) return addr;
  return absl::StrCat(addr, "/", rule.prefix_bits);
}

std::string TargetText(const MarkRule& rule) {
  const std::string network = NetworkText(rule);
  if (rule.port_first == 0 && rule.port_last == 65535) return network;
  std::string text =
      rule.network.is_v4() ? network : absl::StrCat("[", network, "]");
  absl::StrAppend(&text, ":", rule.port_first);
  if (rule.port_last != rule.port_first)
    absl::StrAppend(&text, "-", rule.port_last);
  return text;
}

enum Option : int { kMatch = 1, kJson };

// The mark of add and del, and their rules.
struct Marking {
  uint32_t fwmark = 0;
  std::vector<MarkRule> rules;
};

std::variant<Marking, Failure> ReadMarking(AdminReader& reader) {
  Marking marking;
  int option;
  while ((option = reader.Next()) >= 0) {
    const std::string text = reader.Value();
    auto rule = ParseMarkRule(text);
    if (!rule.ok())
      return reader.Mistake(
          absl::StrCat("--match '", text, "': ", rule.status().message()));
    marking.rules.push_back(*rule);
  }
  if (option < -1) return reader.OptionError(option);
  const std::vector<std::string> words = reader.Words();
  if (words.empty()) return reader.Mistake("which mark? (a number from 1 on)");
  if (words.size() > 1)
    return reader.Mistake(absl::StrCat("unexpected argument ", words[1]));
  const auto fwmark =
      ParseInteger(words[0], 1, std::numeric_limits<uint32_t>::max());
  if (!fwmark)
    return reader.Mistake(
        absl::StrCat("'", words[0], "' is not a mark (1 to 4294967295)"));
  marking.fwmark = static_cast<uint32_t>(*fwmark);
  for (MarkRule& rule : marking.rules) rule.fwmark = marking.fwmark;
  return marking;
}

Parsed ParseAdd(AdminReader& reader) {
  auto read = ReadMarking(reader);
  if (auto* failure = std::get_if<Failure>(&read)) return std::move(*failure);
  Marking& marking = std::get<Marking>(read);
  if (marking.rules.empty())
    return reader.Mistake(
        absl::StrCat("which packets? (--match '", kRuleForm, "')"));
  return Command(AddMarks{std::move(marking.rules)});
}

Parsed ParseDelete(AdminReader& reader) {
  auto read = ReadMarking(reader);
  if (auto* failure = std::get_if<Failure>(&read)) return std::move(*failure);
  Marking& marking = std::get<Marking>(read);
  return Command(DeleteMarks{marking.fwmark, std::move(marking.rules)});
}

Parsed ParseList(AdminReader& reader) {
  ListMarks list;
  int option;
  while ((option = reader.Next()) >= 0) list.json = true;
  if (option < -1) return reader.OptionError(option);
  const std::vector<std::string> words = reader.Words();
  if (!words.empty())
    return reader.Mistake(absl::StrCat("unexpected argument ", words[0]));
  return Command(list);
}

std::vector<poptOption> MarkingTable() {
  return {PoptEntry("match", POPT_ARG_STRING, kMatch), POPT_TABLEEND};
}

std::vector<poptOption> ListTable() {
  return {PoptEntry("json", POPT_ARG_NONE, kJson), POPT_TABLEEND};
}

struct MarkVerb {
  absl::string_view name;
  std::vector<poptOption> (*table)();
  Parsed (*parse)(AdminReader&);
};
constexpr MarkVerb kVerbs[] = {{"add", MarkingTable, ParseAdd},
                               {"del", MarkingTable, ParseDelete},
                               {"list", ListTable, ParseList}};

}  // namespace

Parsed ParseMark(const Program& program, const std::vector<std::string>& args) {
  const std::string what = absl::StrCat(program.name, " ", args[1]);
  // Alone it lists.
  const bool alone = args.size() == 2 || args[2] == "--json";
  const absl::string_view name = alone ? "list" : absl::string_view(args[2]);
  for (const MarkVerb& verb : kVerbs) {
    if (name != verb.name) continue;
    AdminReader reader(absl::StrCat(what, " ", verb.name),
                       {args.begin() + (alone ? 1 : 2), args.end()},
                       verb.table());
    return verb.parse(reader);
  }
  return Failure{absl::StrCat(what, ": add, del or list?")};
}

absl::StatusOr<MarkRule> ParseMarkRule(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  MarkRule rule;
  const auto protocol = words.empty() ? std::nullopt : ParseProtocol(words[0]);
  if (protocol) rule.protocol = *protocol;
  const size_t targets = words.size() - (protocol ? 1 : 0);
  if (targets == 0) return Wrong("which network? (", kRuleForm, ")");
  if (words.size() == 2 && !protocol)
    return Wrong("'", words[0], "' is not a protocol (tcp, udp, sctp or any)");
  if (targets > 1)
    return Wrong("'", words.back(), "' is too much (", kRuleForm, ")");
  if (absl::Status status = ReadTarget(words.back(), rule); !status.ok())
    return status;
  return rule;
}

std::string MarkRuleText(const MarkRule& rule) {
  return absl::StrCat(MarkProtocolName(rule.protocol), " ", TargetText(rule));
}

absl::string_view MarkProtocolName(Protocol protocol) {
  for (const auto& [text, known] : kProtocols)
    if (known == protocol) return text;
  return "?";
}

void PrintMarks(const std::vector<MarkRule>& rules, std::ostream& out) {
  out << absl::StreamFormat("%-10s %-8s %s\n", "mark", "protocol",
                            "network:ports");
  for (const MarkRule& rule : rules)
    out << absl::StreamFormat("%-10u %-8s %s\n", rule.fwmark,
                              MarkProtocolName(rule.protocol),
                              TargetText(rule));
}

void PrintMarkRules(const std::vector<MarkRule>& rules, std::ostream& out) {
  for (const MarkRule& rule : rules)
    out << absl::StreamFormat("%s add %u --match '%s'\n", kMarkWord,
                              rule.fwmark, MarkRuleText(rule));
}

}  // namespace xlvs
