// SPDX-License-Identifier: Apache-2.0
#include "loader/net/route.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/net/netlink.h"

namespace xlvs {
namespace {

RouteType TypeOf(uint8_t rtm_type) {
  switch (rtm_type) {
    case RTN_UNICAST:
      return RouteType::kUnicast;
    case RTN_LOCAL:
      return RouteType::kLocal;
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
      return RouteType::kBroadcast;
    default:
      return RouteType::kNone;
  }
}

// What the kernel answers where no packet could go.
bool IsNoRoute(int error) {
  return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES ||
         error == EINVAL;
}

absl::StatusOr<Route> Ask(NetlinkSocket& socket, const IpAddr& to) {
  NetlinkRequest request(RTM_GETROUTE, 0);
  rtmsg& header = request.Extra<rtmsg>();
  header.rtm_family = to.is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = to.is_v4() ? 32 : 128;
  request.Put(RTA_DST, to);
  Route route;
  const int error = request.Ask(socket, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWROUTE) return;
    const auto* found = static_cast<const rtmsg*>(NLMSG_DATA(&message));
    route.type = TypeOf(found->rtm_type);
    if (const nlattr* source =
            FindAttribute(message, sizeof(rtmsg), RTA_PREFSRC))
      route.source = AddressOf(*source);
  });
  if (IsNoRoute(error)) return Route();
  if (error != 0)
    return ErrnoStatus(error,
                       absl::StrCat("ask for the route to ", to.ToString()));
  return route;
}

}  // namespace

absl::StatusOr<Route> FindRoute(const IpAddr& to) {
  NetlinkSocket socket;
  return Ask(socket, to);
}

RouteFinder KeptRouteFinder() {
  return [socket = std::make_shared<NetlinkSocket>()](const IpAddr& to) {
    return Ask(*socket, to);
  };
}

}  // namespace xlvs
