// SPDX-License-Identifier: Apache-2.0
#include "loader/net/forwarding.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "loader/net/netlink.h"

namespace xlvs {

std::string ForwardingWarning(const std::string& device, Family family) {
  const bool v4 = family == Family::kV4;
  std::ifstream setting(absl::StrCat("/proc/sys/net/", v4 ? "ipv4" : "ipv6",
                                     "/conf/", device, "/forwarding"));
  std::string value;
  if (!std::getline(setting, value) || value != "0") return "";
  return v4 ? "IPv4 forwarding is off, nothing will be balanced: "
              "sysctl -w net.ipv4.ip_forward=1"
            : "IPv6 forwarding is off, no IPv6 service will be balanced: "
              "sysctl -w net.ipv6.conf.all.forwarding=1";
}

bool HasV6Address(uint32_t ifindex) {
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
  request.Extra<ifaddrmsg>().ifa_family = AF_INET6;
  bool has = false;
  request.Ask([&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWADDR) return;
    const auto* found = static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
    has = has || (found->ifa_index == ifindex &&
                  found->ifa_scope == RT_SCOPE_UNIVERSE);
  });
  return has;
}

}  // namespace xlvs
