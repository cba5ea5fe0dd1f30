// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/real_setup.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "loader/cli/admin_reader.h"
#include "loader/cli/popt_reader.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

constexpr std::pair<absl::string_view, Method> kMethods[] = {
    {"dr", Method::kRoute}, {"tun", Method::kTunnel}, {"nat", Method::kMasq}};
constexpr int kMinMtu = 1280;  // what IPv6 needs, RFC 8200
constexpr int kMaxMtu = 65535;
constexpr size_t kMaxDeviceName = 15;

enum Option : int {
  kDirector = 1,
  kDevice,
  kMtu,
  kTunType,
  kTunPort,
  kTunCsum,
  kKernel,
  kApply,
  kUndo
};

// What is wrong, without the program's name; nullopt: nothing.
using Mistake = std::optional<std::string>;

std::optional<Method> ParseMethod(absl::string_view word) {
  for (const auto& [name, method] : kMethods)
    if (name == word) return method;
  return std::nullopt;
}

Mistake ReadAddr(absl::string_view what, absl::string_view text,
                 std::vector<IpAddr>& addrs) {
  const auto addr = IpAddr::Parse(text);
  if (!addr.ok()) return absl::StrCat(what, ": ", addr.status().message());
  // IpAddr::Parse takes ::ffff:1.2.3.4 for 1.2.3.4.
  if (!addr->is_unicast() || (addr->is_v4() && absl::StrContains(text, ':')))
    return absl::StrCat(what, ": ", text, " is no host's address");
  if (std::find(addrs.begin(), addrs.end(), *addr) != addrs.end())
    return absl::StrCat(what, ": ", text, " is named twice");
  addrs.push_back(*addr);
  return std::nullopt;
}

// It becomes a part of paths and of a script.
bool IsDeviceName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxDeviceName && name != "." &&
         name != ".." && name != "all" && name != "default" &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-' ||
                  c == ':' || c == '@';
         });
}

class Reader {
 public:
  explicit Reader(const std::vector<std::string>& args)
      : popt_({args.begin() + 1, args.end()}, kTable) {}

  Mistake Read();
  SetUpReal Take() { return std::move(command_); }

 private:
  static const poptOption kTable[];

  Mistake ReadOption(int option, const std::string& value);
  Mistake ReadWords();
  Mistake Check() const;
  Mistake CheckTunnel() const;
  Mistake CheckDirectors() const;
  bool Has(int option) const { return (given_ >> option & 1) != 0; }
  bool HasTunnelOption() const {
    return Has(kTunType) || Has(kTunPort) || Has(kTunCsum) || Has(kKernel) ||
           Has(kMtu);
  }

  PoptReader popt_;
  unsigned given_ = 0;
  SetUpReal command_;
};

const poptOption Reader::kTable[] = {
    PoptEntry("director", POPT_ARG_STRING, kDirector),
    PoptEntry("device", POPT_ARG_STRING, kDevice),
    PoptEntry("mtu", POPT_ARG_STRING, kMtu),
    PoptEntry("tun-type", POPT_ARG_STRING, kTunType),
    PoptEntry("tun-port", POPT_ARG_STRING, kTunPort),
    PoptEntry("tun-csum", POPT_ARG_NONE, kTunCsum),
    PoptEntry("kernel", POPT_ARG_NONE, kKernel),
    PoptEntry("apply", POPT_ARG_NONE, kApply),
    PoptEntry("undo", POPT_ARG_NONE, kUndo),
    POPT_TABLEEND};

Mistake Reader::Read() {
  int option;
  while ((option = popt_.Next()) >= 0) {
    if (Has(option)) return absl::StrCat(popt_.Spelling(), " is given twice");
    given_ |= 1u << option;
    if (auto mistake = ReadOption(option, popt_.Value().value_or("")))
      return mistake;
  }
  if (option < -1) return popt_.ErrorText(option);
  if (auto mistake = ReadWords()) return mistake;
  return Check();
}

Mistake Reader::ReadOption(int option, const std::string& value) {
  RealSetup& setup = command_.setup;
  switch (option) {
    case kDirector:
      for (absl::string_view text : absl::StrSplit(value, ','))
        if (auto mistake = ReadAddr("--director", text, setup.directors))
          return mistake;
      return std::nullopt;
    case kDevice:
      setup.device = value;
      if (IsDeviceName(value)) return std::nullopt;
      return absl::StrCat("--device: '", value, "' is no device's name");
    case kMtu: {
      const auto mtu = ParseInteger(value, kMinMtu, kMaxMtu);
      if (!mtu)
        return absl::StrCat("--mtu: '", value, "' is not a number from ",
                            kMinMtu, " to ", kMaxMtu);
      setup.mtu = static_cast<uint32_t>(*mtu);
      return std::nullopt;
    }
    case kTunType: {
      const auto type = ParseTunnelType(value);
      if (!type)
        return absl::StrCat("--tun-type is ipip, gue or gre, not '", value,
                            "'");
      setup.tunnel.type = *type;
      return std::nullopt;
    }
    case kTunPort: {
      const auto port = ParseInteger(value, 1, 65535);
      if (!port)
        return absl::StrCat("--tun-port: '", value,
                            "' is not a port (1 to 65535)");
      setup.tunnel.port = static_cast<uint16_t>(*port);
      return std::nullopt;
    }
    case kTunCsum:
      setup.tunnel.checksum = TunnelChecksum::kFull;
      return std::nullopt;
    case kKernel:
      setup.kernel_tunnel = true;
      return std::nullopt;
    case kApply:
      command_.action = RealAction::kApply;
      return std::nullopt;
    default:
      command_.action = RealAction::kUndo;
      return std::nullopt;
  }
}

Mistake Reader::ReadWords() {
  const auto method = popt_.Word();
  if (Has(kUndo)) {
    if (!method && given_ == 1u << kUndo) return std::nullopt;
    return "--undo takes back all that was applied, and stands alone";
  }
  const auto parsed = ParseMethod(method.value_or(""));
  if (!parsed)
    return absl::StrCat("dr, tun or nat?",
                        method ? absl::StrCat(" Not '", *method, "'.") : "",
                        " (xlvs real-setup dr 192.0.2.1)");
  command_.setup.method = *parsed;
  while (const auto word = popt_.Word())
    if (auto mistake = ReadAddr("VIP", *word, command_.setup.vips))
      return mistake;
  return std::nullopt;
}

Mistake Reader::Check() const {
  if (command_.action == RealAction::kUndo) return std::nullopt;
  const RealSetup& setup = command_.setup;
  if (setup.method != Method::kMasq && setup.vips.empty())
    return "which service's address? (xlvs real-setup dr 192.0.2.1)";
  if (setup.method == Method::kTunnel) return CheckTunnel();
  if (HasTunnelOption())
    return "--tun-type, --tun-port, --tun-csum, --kernel and --mtu are for tun";
  if (setup.method == Method::kMasq) return CheckDirectors();
  if (Has(kDirector))
    return "--director is for tun and nat: with dr packets are not from it";
  return std::nullopt;
}

Mistake Reader::CheckTunnel() const {
  const RealSetup& setup = command_.setup;
  if (setup.directors.empty())
    return "--director: which address do tunnelled packets come from?";
  if (setup.device.empty() && !setup.kernel_tunnel)
    return "--device: by which do tunnelled packets come in? (or --kernel)";
  const bool gue = setup.tunnel.type == TunnelType::kGue;
  if (gue && !Has(kTunPort))
    return "--tun-port: which UDP port? The one that the director has for gue";
  if (!gue && Has(kTunPort)) return "--tun-port is for --tun-type gue";
  if (setup.tunnel.type == TunnelType::kIpip && Has(kTunCsum))
    return "--tun-csum is for --tun-type gue and gre";
  return std::nullopt;
}

// One for each family.
Mistake Reader::CheckDirectors() const {
  const RealSetup& setup = command_.setup;
  if (setup.directors.empty())
    return "--director: which address of it is on this server's network?";
  const auto with_family = [](const std::vector<IpAddr>& addrs, bool v4) {
    return std::count_if(addrs.begin(), addrs.end(), [v4](const IpAddr& addr) {
      return addr.is_v4() == v4;
    });
  };
  for (const bool v4 : {true, false}) {
    const auto directors = with_family(setup.directors, v4);
    if (directors > 1)
      return "--director: replies go one way, so one address of each family";
    if (directors == 0 && with_family(setup.vips, v4) > 0)
      return absl::StrCat("--director: an IPv", v4 ? 4 : 6,
                          " service needs the director's IPv", v4 ? 4 : 6,
                          " address");
  }
  return std::nullopt;
}

}  // namespace

Parsed ParseRealSetup(const Program& program,
                      const std::vector<std::string>& args) {
  Reader reader(args);
  if (const auto mistake = reader.Read())
    return Failure{absl::StrCat(program.name, " ", args[1], ": ", *mistake)};
  return Command(reader.Take());
}

}  // namespace xlvs
