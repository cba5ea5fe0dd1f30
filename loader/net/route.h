// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's routing tables say about an address, for packets of this
// host, in the network namespace that this process is in.
#ifndef XLVS_LOADER_NET_ROUTE_H_
#define XLVS_LOADER_NET_ROUTE_H_

#include <functional>

#include "absl/status/statusor.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

enum class RouteType {
  kNone,       // there is none, or one that refuses
  kUnicast,    // by a next hop or on a network of ours
  kLocal,      // the address is one of this host's own
  kBroadcast,  // or multicast: not the address of one host
};

struct Route {
  RouteType type = RouteType::kNone;
  // Which address of this host its packets would have; zero: none.
  IpAddr source;

  friend bool operator==(const Route&, const Route&) = default;
};

absl::StatusOr<Route> FindRoute(const IpAddr& to);

// Who needs routes takes one of these, so that tests can say what they are.
using RouteFinder = std::function<absl::StatusOr<Route>(const IpAddr& to)>;
// Asks as FindRoute, for many addresses by one socket.
RouteFinder KeptRouteFinder();

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_ROUTE_H_
