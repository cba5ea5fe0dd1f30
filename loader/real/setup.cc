// SPDX-License-Identifier: Apache-2.0
#include "loader/real/setup.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace xlvs {
namespace {

constexpr uint32_t kTcpBytes = 20;

uint32_t IpBytes(bool v4) {
  return v4 ? 20 : 40;
}

const char* FamilyFlag(bool v4) {
  return v4 ? "-4" : "-6";
}

bool HasFamily(const std::vector<IpAddr>& addrs, bool v4) {
  return std::any_of(addrs.begin(), addrs.end(),
                     [v4](const IpAddr& addr) { return addr.is_v4() == v4; });
}

std::string List(const std::vector<IpAddr>& addrs, absl::string_view between) {
  return absl::StrJoin(addrs, between,
                       [](std::string* out, const IpAddr& addr) {
                         out->append(addr.ToString());
                       });
}

// As `xlvs decap status` prints it.
std::string SortedList(std::vector<IpAddr> addrs) {
  std::sort(addrs.begin(), addrs.end());
  return List(addrs, " ");
}

// What a tunnel puts before the inner packet, apart from the outer IP header.
uint32_t TunnelBytes(const Tunnel& tunnel) {
  switch (tunnel.type) {
    case TunnelType::kIpip:
      return 0;
    case TunnelType::kGue:
      return 8 + 4;
    case TunnelType::kGre:
      return tunnel.checksum == TunnelChecksum::kNone ? 4 : 8;
  }
  return 0;
}

class Planner {
 public:
  explicit Planner(const RealSetup& setup) : setup_(setup) {}

  std::vector<Step> Plan() {
    switch (setup_.method) {
      case Method::kMasq:
        Gateways();
        break;
      case Method::kRoute:
        HideAddresses();
        Addresses();
        break;
      case Method::kTunnel:
        HideAddresses();
        if (setup_.kernel_tunnel)
          TunnelDevices();
        else
          Decapsulator();
        Segments();
        Addresses();
        break;
    }
    return std::move(steps_);
  }

 private:
  void Sysctl(absl::string_view why, const std::string& device,
              absl::string_view name, absl::string_view value) {
    steps_.push_back(
        {std::string(why),
         SysctlStep{absl::StrCat("net/ipv4/conf/", device, "/", name),
                    std::string(value)}});
  }

  // Neighbour discovery asks each device for its own addresses only, so IPv6
  // needs nothing of the kind.
  void HideAddresses() {
    if (!HasFamily(setup_.vips, /*v4=*/true)) return;
    std::vector<std::string> devices = {"all"};
    if (!setup_.device.empty()) devices.push_back(setup_.device);
    constexpr absl::string_view kWhy =
        "this host neither answers ARP for the service's address nor asks with "
        "it";
    for (const std::string& device : devices) {
      Sysctl(kWhy, device, "arp_ignore", "1");
      Sysctl(kWhy, device, "arp_announce", "2");
    }
  }

  void Addresses() {
    for (const IpAddr& vip : setup_.vips) {
      const std::string prefix =
          absl::StrCat(vip.ToString(), vip.is_v4() ? "/32" : "/128");
      const std::string flag = FamilyFlag(vip.is_v4());
      ThingStep step = {
          .add = {"ip", flag, "addr", "add", prefix, "dev", "lo"},
          .remove = {"ip", flag, "addr", "del", prefix, "dev", "lo"},
          .show = {"ip", flag, "-o", "addr", "show", "dev", "lo", "to", prefix},
          .shown = {"inet"}};
      // Others have the address, too: looking for them would find them.
      if (!vip.is_v4()) step.add.push_back("nodad");
      steps_.push_back({"requests are for the service's address", step});
    }
  }

  void Gateways() {
    for (const IpAddr& director : setup_.directors)
      steps_.push_back({"replies pass the director, which rewrites them",
                        GatewayStep{director, setup_.device}});
  }

  void LooseSource(const std::string& device) {
    if (HasFamily(setup_.vips, /*v4=*/true))
      Sysctl("clients come in by another device than replies leave by", device,
             "rp_filter", "2");
  }

  void Decapsulator() {
    Argv add = {"xlvs",   "decap",
                "attach", setup_.device,
                "--from", List(setup_.directors, ","),
                "--vip",  List(setup_.vips, ",")};
    // Whom it hears, and for whom, is as much a part of it as the device.
    std::vector<std::string> shown = {
        absl::StrCat(" ", setup_.device, " ("),
        absl::StrCat("from      ", SortedList(setup_.directors), "\n"),
        absl::StrCat("vips      ", SortedList(setup_.vips), "\n")};
    if (setup_.tunnel.type == TunnelType::kGue) {
      const std::string port = absl::StrCat(setup_.tunnel.port);
      add.insert(add.end(), {"--tun-port", port});
      shown.push_back(absl::StrCat("UDP port ", port, "\n"));
    }
    steps_.push_back(
        {"packets from the director are taken out of the tunnel",
         ThingStep{.add = add,
                   .remove = {"xlvs", "decap", "detach", setup_.device},
                   .show = {"xlvs", "decap", "status"},
                   .shown = shown}});
    LooseSource(setup_.device);
  }

  void TunnelDevices() {
    if (setup_.tunnel.type == TunnelType::kGue)
      for (const bool v4 : {true, false})
        if (HasFamily(setup_.directors, v4)) UdpPort(v4);
    int number = 0;
    for (const IpAddr& director : setup_.directors) {
      for (const char* type : TypesOfDevices(director.is_v4()))
        TunnelDevice(director, type, number);
      ++number;
    }
  }

  void UdpPort(bool v4) {
    const std::string port = absl::StrCat(setup_.tunnel.port);
    Argv add = {"ip", "fou", "add", "port", port, "gue"};
    Argv remove = {"ip", "fou", "del", "port", port};
    if (!v4) {
      add.push_back("-6");
      remove.push_back("-6");
    }
    steps_.push_back(
        {"the kernel takes packets of this port out of UDP (module fou)",
         ThingStep{.add = add,
                   .remove = remove,
                   .show = {"ip", FamilyFlag(v4), "fou", "show"},
                   .shown = {absl::StrCat("port ", port,
                                          v4 ? " gue\n" : " gue -6")}}});
  }

  // A device for each family inside, unless one does for both.
  std::vector<const char*> TypesOfDevices(bool outer_v4) const {
    if (setup_.tunnel.type == TunnelType::kGre)
      return {outer_v4 ? "gre" : "ip6gre"};
    if (!outer_v4) return {"ip6tnl"};
    std::vector<const char*> types;
    if (HasFamily(setup_.vips, /*v4=*/true)) types.push_back("ipip");
    if (HasFamily(setup_.vips, /*v4=*/false)) types.push_back("sit");
    return types;
  }

  void TunnelDevice(const IpAddr& director, absl::string_view type,
                    int number) {
    const std::string name = absl::StrCat("xlvs-", type, number);
    const std::string remote = director.ToString();
    Argv add = {"ip",     "link", "add", name, "up", "type", std::string(type),
                "remote", remote};
    if (type == "ip6tnl") add.insert(add.end(), {"mode", "any"});
    if (setup_.tunnel.type == TunnelType::kGre &&
        setup_.tunnel.checksum != TunnelChecksum::kNone)
      add.push_back("icsum");
    steps_.push_back(
        {"packets from the director are taken out of the tunnel",
         ThingStep{.add = add,
                   .remove = {"ip", "link", "del", name},
                   .show = {"ip", "-o", "-d", "link", "show", "dev", name},
                   .shown = {absl::StrCat("remote ", remote, " ")}}});
    if (type != "sit") LooseSource(name);
  }

  void Segments() {
    const bool outer_v4 = !HasFamily(setup_.directors, /*v4=*/false);
    for (const bool v4 : {true, false}) {
      if (!HasFamily(setup_.vips, v4)) continue;
      const uint32_t advmss = setup_.mtu - IpBytes(outer_v4) -
                              TunnelBytes(setup_.tunnel) - IpBytes(v4) -
                              kTcpBytes;
      steps_.push_back({"clients leave room for the tunnel's headers",
                        SegmentStep{v4, advmss}});
    }
  }

  const RealSetup& setup_;
  std::vector<Step> steps_;
};

std::string ShellText(const SysctlStep& step) {
  // With slashes a device's name may have dots.
  std::string name = step.path;
  if (!absl::StrContains(name, '.'))
    std::replace(name.begin(), name.end(), '/', '.');
  return absl::StrCat("sysctl -w ", name, "=", step.value);
}

std::string ShellText(const ThingStep& step) {
  return absl::StrJoin(step.add, " ");
}

std::string ShellText(const GatewayStep& step) {
  return absl::StrCat("ip ", FamilyFlag(step.director.is_v4()),
                      " route replace default via ", step.director.ToString(),
                      step.device.empty() ? "" : " dev ", step.device);
}

std::string ShellText(const SegmentStep& step) {
  const char* flag = FamilyFlag(step.v4);
  return absl::StrCat("ip ", flag, " route change $(ip ", flag,
                      " route show default | head -n 1) advmss ", step.advmss);
}

}  // namespace

std::vector<Step> PlanSteps(const RealSetup& setup) {
  return Planner(setup).Plan();
}

std::string ScriptOf(const RealSetup& setup) {
  // As a comment it does no harm where the script is pasted.
  std::string script = "#!/bin/sh -e\n";
  std::string last;
  for (const Step& step : PlanSteps(setup)) {
    if (step.why != last) absl::StrAppend(&script, "# ", step.why, "\n");
    last = step.why;
    absl::StrAppend(
        &script,
        std::visit([](const auto& what) { return ShellText(what); }, step.what),
        "\n");
  }
  return script;
}

}  // namespace xlvs
