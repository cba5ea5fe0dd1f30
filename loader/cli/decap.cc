// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/decap.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "loader/cli/admin.h"
#include "loader/cli/admin_reader.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

enum Option : int { kFrom = 1, kVip, kTunPort, kMode };

std::vector<poptOption> AttachTable() {
  return {PoptEntry("from", POPT_ARG_STRING, kFrom),
          PoptEntry("vip", POPT_ARG_STRING, kVip),
          PoptEntry("tun-port", POPT_ARG_STRING, kTunPort),
          PoptEntry("mode", POPT_ARG_STRING, kMode), POPT_TABLEEND};
}

std::vector<poptOption> DetachTable() {
  return {POPT_TABLEEND};
}

// Adds a comma-separated list. Returns what is wrong with it.
std::optional<std::string> AddAddrs(absl::string_view option,
                                    const std::string& list,
                                    std::vector<IpAddr>& addrs) {
  for (absl::string_view text : absl::StrSplit(list, ',')) {
    const auto addr = IpAddr::Parse(text);
    if (!addr.ok()) return absl::StrCat(option, ": ", addr.status().message());
    if (!addr->is_unicast())
      return absl::StrCat(option, ": ", text, " is no host's address");
    addrs.push_back(*addr);
  }
  return std::nullopt;
}

// The one device that attach and detach want, and nothing else.
std::optional<std::string> TakeDevice(AdminReader& reader,
                                      absl::string_view example,
                                      std::string& device) {
  const std::vector<std::string> words = reader.Words();
  if (words.empty()) return absl::StrCat("which device? (", example, ")");
  if (words.size() > 1)
    return absl::StrCat("one device at a time, not also ", words[1]);
  device = words.front();
  return std::nullopt;
}

Parsed ParseAttach(AdminReader& reader) {
  DecapOptions options;
  int option;
  while ((option = reader.Next()) >= 0) {
    const std::string value = reader.Value();
    std::optional<std::string> mistake;
    switch (option) {
      case kFrom:
        mistake = AddAddrs("--from", value, options.from);
        break;
      case kVip:
        mistake = AddAddrs("--vip", value, options.vips);
        break;
      case kTunPort:
        if (const auto port = ParseInteger(value, 1, 65535))
          options.tun_port = static_cast<uint16_t>(*port);
        else
          mistake = absl::StrCat("--tun-port: '", value,
                                 "' is not a port (1 to 65535)");
        break;
      case kMode:
        if (const auto mode = ParseMode(value))
          options.mode = *mode;
        else
          mistake = WrongMode(value);
        break;
    }
    if (mistake) return reader.Mistake(*mistake);
  }
  if (option < -1) return reader.OptionError(option);
  if (const auto mistake = TakeDevice(
          reader, "xlvs decap attach eth0 --from 192.0.2.1", options.device))
    return reader.Mistake(*mistake);
  return Command(DecapAttach{std::move(options)});
}

Parsed ParseDetach(AdminReader& reader) {
  DecapDetach detach;
  if (const int option = reader.Next(); option < -1)
    return reader.OptionError(option);
  if (const auto mistake =
          TakeDevice(reader, "xlvs decap detach eth0", detach.device))
    return reader.Mistake(*mistake);
  return Command(std::move(detach));
}

struct DecapWord {
  absl::string_view name;
  std::vector<poptOption> (*table)();
  Parsed (*parse)(AdminReader&);
};
constexpr DecapWord kWords[] = {
    {"attach", AttachTable, ParseAttach},
    {"detach", DetachTable, ParseDetach},
    {"status", StatusTable, ParseStatus<ShowDecapStatus>}};

std::string Text(const std::vector<IpAddr>& addrs) {
  return absl::StrJoin(addrs, " ", [](std::string* out, const IpAddr& addr) {
    out->append(addr.ToString());
  });
}

}  // namespace

Parsed ParseDecap(const Program& program,
                  const std::vector<std::string>& args) {
  const std::string what = absl::StrCat(program.name, " ", args[1]);
  for (const DecapWord& word : kWords) {
    if (args.size() < 3 || args[2] != word.name) continue;
    AdminReader reader(absl::StrCat(what, " ", word.name),
                       {args.begin() + 2, args.end()}, word.table());
    return word.parse(reader);
  }
  return Failure{absl::StrCat(what, ": attach, detach or status?")};
}

void PrintDecapStatus(const DecapView& view, bool all, std::ostream& out) {
  out << absl::StreamFormat("decap     %s (%s)\n", view.instance,
                            view.pin_path);
  PrintDevices(view.devices, "xlvs decap attach DEV", out);
  out << absl::StreamFormat("from      %s\n", Text(view.from));
  out << absl::StreamFormat("vips      %s\n",
                            view.vips.empty() ? "any" : Text(view.vips));
  out << absl::StreamFormat("gue       UDP port %u\n\n", view.tun_port);
  PrintEndings(view.endings, all, out);
  PrintBalance(view.rx_packets, view.endings, out);
}

}  // namespace xlvs
