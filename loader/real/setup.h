// SPDX-License-Identifier: Apache-2.0
//
// What a real server needs so that a director can forward to it, as a value,
// and the steps that bring it about. Pure: nothing here touches the machine.
#ifndef XLVS_LOADER_REAL_SETUP_H_
#define XLVS_LOADER_REAL_SETUP_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "loader/model/service.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

struct RealSetup {
  Method method = Method::kRoute;
  std::vector<IpAddr> vips;
  // Of kTunnel: where tunnelled packets come from; of kMasq: the way back.
  std::vector<IpAddr> directors;
  std::string device;   // where packets come in; may be empty
  Tunnel tunnel;        // of kTunnel
  uint32_t mtu = 1500;  // between director and real server, IP bytes
  // Of kTunnel: by the kernel's tunnel devices, not by `xlvs decap`.
  bool kernel_tunnel = false;
};

// A program and its arguments.
using Argv = std::vector<std::string>;

// A setting: the old value comes back.
struct SysctlStep {
  std::string path;  // below /proc/sys: "net/ipv4/conf/all/arp_ignore"
  std::string value;
};
// Something that is there or not. It is there if `show` prints all of `shown`.
struct ThingStep {
  Argv add;
  Argv remove;
  Argv show;
  std::vector<std::string> shown;
};
// The default route goes through a director; the old one comes back.
struct GatewayStep {
  IpAddr director;
  std::string device;  // may be empty
};
// The default route tells peers to send segments of no more than this.
struct SegmentStep {
  bool v4 = true;
  uint32_t advmss = 0;
};

struct Step {
  std::string why;  // a line
  std::variant<SysctlStep, ThingStep, GatewayStep, SegmentStep> what;
};

// In the order in which to do them: what hides an address before the address.
std::vector<Step> PlanSteps(const RealSetup& setup);

// The steps as a shell script that one could paste.
std::string ScriptOf(const RealSetup& setup);

}  // namespace xlvs

#endif  // XLVS_LOADER_REAL_SETUP_H_
