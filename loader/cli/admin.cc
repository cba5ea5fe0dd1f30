// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/admin.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "loader/cli/admin_reader.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

constexpr char kDefaultInstance[] = "xlvs";
constexpr char kInstanceOption[] = "--instance";

constexpr std::pair<absl::string_view, AttachMode> kModes[] = {
    {"auto", AttachMode::kAuto},
    {"native", AttachMode::kNative},
    {"generic", AttachMode::kGeneric},
};

enum Option : int { kMode = 1, kPurge, kFirstSize };

// attach's sizes; the option's number is kFirstSize + its place here.
struct SizeOption {
  const char* name;
  uint32_t AttachOptions::*size;
};
constexpr SizeOption kSizes[] = {
    {"conns", &AttachOptions::conns},
    {"services", &AttachOptions::services},
    {"dests", &AttachOptions::dests},
    {"sh-tables", &AttachOptions::hash_tables},
    {"mh-tables", &AttachOptions::maglev_tables},
    {"count-batch", &AttachOptions::count_batch},
};

std::vector<poptOption> AttachTable() {
  std::vector<poptOption> table = {PoptEntry("mode", POPT_ARG_STRING, kMode)};
  int option = kFirstSize;
  for (const SizeOption& size : kSizes)
    table.push_back(PoptEntry(size.name, POPT_ARG_STRING, option++));
  table.push_back(POPT_TABLEEND);
  return table;
}

std::vector<poptOption> DetachTable() {
  return {PoptEntry("purge", POPT_ARG_NONE, kPurge), POPT_TABLEEND};
}

Parsed ParseAttach(AdminReader& reader) {
  AttachOptions options;
  int option;
  while ((option = reader.Next()) >= 0) {
    const std::string value = reader.Value();
    if (option == kMode) {
      const auto mode = ParseMode(value);
      if (!mode) return reader.Mistake(WrongMode(value));
      options.mode = *mode;
      continue;
    }
    const SizeOption& known = kSizes[option - kFirstSize];
    const auto size = ParseSize(value);
    if (!size)
      return reader.Mistake(absl::StrCat("--", known.name, ": '", value,
                                         "' is not a number (1000000, 64k, "
                                         "1M)"));
    options.*known.size = *size;
  }
  if (option < -1) return reader.OptionError(option);
  options.devices = reader.Words();
  if (options.devices.empty())
    return reader.Mistake("which device? (xlvs attach eth0)");
  return Command(Attach{std::move(options)});
}

Parsed ParseDetach(AdminReader& reader) {
  Detach detach;
  int option;
  while ((option = reader.Next()) >= 0)
    if (option == kPurge) detach.purge = true;
  if (option < -1) return reader.OptionError(option);
  detach.devices = reader.Words();
  if (detach.devices.empty() && !detach.purge)
    return reader.Mistake(
        "which device? (xlvs detach eth0; xlvs detach --purge for all of "
        "them, configuration and connections)");
  return Command(std::move(detach));
}

struct AdminWord {
  absl::string_view name;
  std::vector<poptOption> (*table)();
  Parsed (*parse)(AdminReader&);
};
constexpr AdminWord kWords[] = {
    {"attach", AttachTable, ParseAttach},
    {"detach", DetachTable, ParseDetach},
    {"status", StatusTable, ParseStatus<ShowStatus>}};

const AdminWord* FindWord(absl::string_view name) {
  for (const AdminWord& word : kWords)
    if (word.name == name) return &word;
  return nullptr;
}

bool IsInstanceName(absl::string_view name) {
  return !name.empty() && name.size() <= 32 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-';
         });
}

absl::StatusOr<std::string> CheckInstance(absl::string_view source,
                                          std::string name) {
  if (absl::EndsWith(name, "-decap"))
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": '", name,
        "': the pins of a decapsulator are called so; the instance "
        "is what stands before -decap"));
  if (IsInstanceName(name)) return name;
  return absl::InvalidArgumentError(
      absl::StrCat(source, ": '", name,
                   "' is not an instance name (1 to 32 of A-Z a-z 0-9 _ -)"));
}

std::string MemoryText(uint64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

absl::StatusOr<std::string> TakeInstance(std::vector<std::string>& args) {
  const bool own_options =
      Program::FromArgv0(args[0]).personality == Personality::kXlvs;
  std::optional<std::string> given;
  for (size_t i = 1; own_options && i < args.size() && args[i] != "--";) {
    absl::string_view rest = args[i];
    if (!absl::ConsumePrefix(&rest, kInstanceOption) ||
        (!rest.empty() && rest.front() != '=')) {
      ++i;
      continue;
    }
    const bool attached = !rest.empty();
    if (!attached && i + 1 == args.size())
      return absl::InvalidArgumentError("--instance: missing argument");
    given = attached ? std::string(rest.substr(1)) : args[i + 1];
    const auto at = args.begin() + static_cast<std::ptrdiff_t>(i);
    args.erase(at, at + (attached ? 1 : 2));
  }
  if (given) return CheckInstance(kInstanceOption, *std::move(given));
  const char* environment = std::getenv("XLVS_INSTANCE");
  if (environment != nullptr && *environment != '\0')
    return CheckInstance("XLVS_INSTANCE", environment);
  return std::string(kDefaultInstance);
}

bool IsAdminWord(absl::string_view word) {
  return FindWord(word) != nullptr;
}

Parsed ParseAdmin(const Program& program,
                  const std::vector<std::string>& args) {
  const AdminWord& word = *FindWord(args[1]);
  AdminReader reader(absl::StrCat(program.name, " ", args[1]),
                     {args.begin() + 1, args.end()}, word.table());
  return word.parse(reader);
}

std::optional<uint32_t> ParseSize(const std::string& text) {
  std::string digits = text;
  uint64_t unit = 1;
  if (absl::EndsWithIgnoreCase(text, "k")) unit = 1'000;
  if (absl::EndsWithIgnoreCase(text, "m")) unit = 1'000'000;
  if (unit != 1) digits.pop_back();
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  const auto number =
      ParseInteger(digits, 1, kMax / static_cast<int64_t>(unit));
  if (!number) return std::nullopt;
  return static_cast<uint32_t>(static_cast<uint64_t>(*number) * unit);
}

std::optional<AttachMode> ParseMode(absl::string_view text) {
  for (const auto& [name, mode] : kModes)
    if (name == text) return mode;
  return std::nullopt;
}

std::string WrongMode(absl::string_view text) {
  return absl::StrCat("--mode is native, generic or auto, not '", text, "'");
}

absl::string_view Name(AttachMode mode) {
  for (const auto& [name, known] : kModes)
    if (known == mode) return name;
  return "?";
}

void PrintAttached(const std::vector<DeviceView>& devices, AttachMode asked,
                   std::ostream& out) {
  const absl::string_view why_generic =
      asked == AttachMode::kGeneric
          ? ": several times slower than native"
          : ": the driver has no native XDP; several times slower";
  for (const DeviceView& device : devices) {
    out << absl::StreamFormat(
        "%s: attached (%s%s)\n", device.name, Name(device.mode),
        device.mode == AttachMode::kGeneric ? why_generic : "");
    if (!device.warning.empty())
      out << absl::StreamFormat("%s: warning: %s\n", device.name,
                                device.warning);
  }
}

void PrintDevices(const std::vector<DeviceView>& devices,
                  absl::string_view how_to_attach, std::ostream& out) {
  if (devices.empty())
    out << absl::StreamFormat("devices   none attached (%s)\n", how_to_attach);
  const char* title = "devices";
  for (const DeviceView& device : devices) {
    out << absl::StreamFormat("%-9s %s (%s)%s\n", title, device.name,
                              Name(device.mode),
                              device.ifindex == 0 ? ", device is gone" : "");
    title = "";
    for (const VlanView& vlan : device.vlans)
      out << absl::StreamFormat("          %s (%s)\n", vlan.name, vlan.tags);
    if (!device.warning.empty())
      out << absl::StreamFormat("          warning: %s\n", device.warning);
  }
}

void PrintEndings(const std::vector<EndingView>& endings, bool all,
                  std::ostream& out) {
  const auto shown = [&](const EndingView& ending) {
    return all || ending.packets != 0;
  };
  size_t name_width = 6;
  size_t packets_width = 7;
  for (const EndingView& ending : endings) {
    if (!shown(ending)) continue;
    name_width = std::max(name_width, ending.name.size());
    packets_width =
        std::max(packets_width, absl::StrCat(ending.packets).size());
  }
  const int names = static_cast<int>(name_width);
  const int numbers = static_cast<int>(packets_width);
  out << absl::StreamFormat("%-*s %*s  %s\n", names, "ending", numbers,
                            "packets", "what happened");
  for (const EndingView& ending : endings)
    if (shown(ending))
      out << absl::StreamFormat("%-*s %*u  %s\n", names, ending.name, numbers,
                                ending.packets, ending.text);
}

void PrintBalance(uint64_t rx_packets, const std::vector<EndingView>& endings,
                  std::ostream& out) {
  constexpr std::array<absl::string_view, 4> kActions = {"tx", "redirect",
                                                         "pass", "drop"};
  std::array<uint64_t, kActions.size()> sums = {};
  uint64_t total = 0;
  for (const EndingView& ending : endings) {
    total += ending.packets;
    for (size_t i = 0; i < kActions.size(); ++i)
      if (ending.action == kActions[i]) sums[i] += ending.packets;
  }
  out << absl::StreamFormat("balance: rx %u", rx_packets);
  for (size_t i = 0; i < kActions.size(); ++i)
    out << absl::StreamFormat(" %s %s %u", i == 0 ? "=" : "+", kActions[i],
                              sums[i]);
  out << (total == rx_packets ? "\n" : " MISMATCH\n");
}

void PrintStatus(const StatusView& status, bool all, std::ostream& out) {
  out << absl::StreamFormat("instance  %s (%s)\n", status.instance,
                            status.pin_path);
  PrintDevices(status.devices, "xlvs attach DEV", out);
  out << absl::StreamFormat("services  %u of %u\n", status.services,
                            status.services_max);
  out << absl::StreamFormat("dests     %u of %u\n", status.dests,
                            status.dests_max);
  const double filled =
      status.conn_slots == 0
          ? 0
          : 100 * static_cast<double>(status.conns + status.templates) /
                static_cast<double>(status.conn_slots);
  out << absl::StreamFormat("conns     %u of %u (%.1f%% of %u slots taken)\n",
                            status.conns, status.conns_planned, filled,
                            status.conn_slots);
  out << absl::StreamFormat("templates %u\n", status.templates);
  out << absl::StreamFormat("embryonic %u of %u\n", status.embryonic,
                            status.embryonic_max);
  out << absl::StreamFormat("tables    sh, dh: %u of %u; mh: %u of %u\n",
                            status.hash_tables, status.hash_tables_max,
                            status.maglev_tables, status.maglev_tables_max);
  out << absl::StreamFormat("marks     %u of %u rules\n", status.marks,
                            status.marks_max);
  const double each = status.conns_planned == 0
                          ? 0
                          : static_cast<double>(status.conn_bytes) /
                                static_cast<double>(status.conns_planned);
  out << absl::StreamFormat("memory    %s; connections %s, %.1f bytes each\n",
                            MemoryText(status.memory_bytes),
                            MemoryText(status.conn_bytes), each);
  out << "expiry    "
      << (status.timer_running
              ? "running\n"
              : "NOT RUNNING: connections never end, the table fills up\n");
  out << absl::StreamFormat("counting  batch %u on %u CPUs\n\n",
                            status.count_batch, status.cpus);
  PrintEndings(status.endings, all, out);
  PrintBalance(status.rx_packets, status.endings, out);
}

}  // namespace xlvs
