// SPDX-License-Identifier: Apache-2.0
#include "loader/net/devices.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "absl/strings/string_view.h"
#include "loader/base/status.h"
#include "loader/net/netlink.h"

namespace xlvs {
namespace {

std::optional<VlanDevice> ReadVlan(const nlmsghdr& message) {
  const auto find = [&](uint16_t type) {
    return FindAttribute(message, sizeof(ifinfomsg), type);
  };
  const nlattr* info = find(IFLA_LINKINFO);
  const nlattr* below = find(IFLA_LINK);
  if (info == nullptr || below == nullptr || find(IFLA_LINK_NETNSID) != nullptr)
    return std::nullopt;
  const nlattr* kind = FindAttribute(*info, IFLA_INFO_KIND);
  const nlattr* data = FindAttribute(*info, IFLA_INFO_DATA);
  if (kind == nullptr || data == nullptr ||
      absl::string_view(mnl_attr_get_str(kind)) != "vlan")
    return std::nullopt;
  const nlattr* id = FindAttribute(*data, IFLA_VLAN_ID);
  const nlattr* protocol = FindAttribute(*data, IFLA_VLAN_PROTOCOL);
  if (id == nullptr || protocol == nullptr) return std::nullopt;
  return VlanDevice{.below = mnl_attr_get_u32(below),
                    .tpid = ntohs(mnl_attr_get_u16(protocol)),
                    .vlan_id = mnl_attr_get_u16(id)};
}

}  // namespace

NetworkDevice ReadDevice(const nlmsghdr& message) {
  const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  const nlattr* name = FindAttribute(message, sizeof(ifinfomsg), IFLA_IFNAME);
  return {.ifindex = static_cast<uint32_t>(header->ifi_index),
          .name = name != nullptr ? mnl_attr_get_str(name) : "",
          .vlan = ReadVlan(message)};
}

absl::StatusOr<std::vector<NetworkDevice>> ListDevices() {
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP);
  request.Extra<ifinfomsg>();
  std::vector<NetworkDevice> devices;
  const int error = request.Ask([&](const nlmsghdr& message) {
    if (message.nlmsg_type == RTM_NEWLINK)
      devices.push_back(ReadDevice(message));
  });
  if (error != 0) return ErrnoStatus(error, "list the network devices");
  return devices;
}

}  // namespace xlvs
