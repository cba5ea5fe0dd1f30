// SPDX-License-Identifier: Apache-2.0
//
// The network devices of the namespace that this process is in, and which of
// them are VLAN devices on top of which.
#ifndef XLVS_LOADER_NET_DEVICES_H_
#define XLVS_LOADER_NET_DEVICES_H_

#include <linux/netlink.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace xlvs {

struct VlanDevice {
  uint32_t below = 0;    // index of the device that its frames leave by
  uint16_t tpid = 0;     // host order: 0x8100, 0x88a8
  uint16_t vlan_id = 0;  // 0 to 4095

  friend bool operator==(const VlanDevice&, const VlanDevice&) = default;
};

struct NetworkDevice {
  uint32_t ifindex = 0;
  std::string name;
  // Not of a VLAN device whose lower one is in another namespace.
  std::optional<VlanDevice> vlan;
};

absl::StatusOr<std::vector<NetworkDevice>> ListDevices();

// One RTM_NEWLINK message of the kernel's.
NetworkDevice ReadDevice(const nlmsghdr& message);

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_DEVICES_H_
