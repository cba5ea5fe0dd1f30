// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about addresses, asked of the kernel itself.
#include "loader/net/route.h"

#include <gtest/gtest.h>
#include <sched.h>

namespace xlvs {
namespace {

Route Find(absl::string_view to) {
  const auto route = FindRoute(*IpAddr::Parse(to));
  EXPECT_TRUE(route.ok()) << route.status();
  return route.ok() ? *route : Route();
}

TEST(FindRoute, KnowsTheHostsOwnAddresses) {
  const Route route = Find("127.0.0.1");
  if (route.type == RouteType::kNone) GTEST_SKIP() << "loopback is down";
  EXPECT_EQ(route.type, RouteType::kLocal);
  EXPECT_EQ(route.source.ToString(), "127.0.0.1");
  EXPECT_EQ(Find("127.255.255.255").type, RouteType::kBroadcast);
}

TEST(FindRoute, KnowsTheHostsOwnV6Addresses) {
  const Route route = Find("::1");
  if (route.type == RouteType::kNone) GTEST_SKIP() << "no IPv6";
  EXPECT_EQ(route.type, RouteType::kLocal);
  EXPECT_EQ(route.source.ToString(), "::1");
}

TEST(FindRoute, NoRouteIsNoError) {
  if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "only root may";
  for (const char* to : {"192.0.2.1", "2001:db8::1"})
    EXPECT_EQ(Find(to), Route()) << to;
}

}  // namespace
}  // namespace xlvs
