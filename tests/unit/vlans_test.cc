// SPDX-License-Identifier: Apache-2.0
//
// Which VLAN devices the packet path learns of, and with which tags.
#include "loader/datapath/vlans.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace xlvs {
namespace {

constexpr uint16_t k8021q = 0x8100;
constexpr uint16_t k8021ad = 0x88a8;

NetworkDevice Plain(uint32_t ifindex) {
  return {ifindex, absl::StrCat("dev", ifindex), std::nullopt};
}

NetworkDevice Vlan(uint32_t ifindex, uint32_t below, uint16_t id,
                   uint16_t tpid = k8021q) {
  return {ifindex, absl::StrCat("dev", ifindex), VlanDevice{below, tpid, id}};
}

// "7 on 2: vlan 100; ..."
std::string Text(const std::vector<NetworkDevice>& devices,
                 const std::set<uint32_t>& attached) {
  std::string text;
  for (const auto& [ifindex, link] : VlansOn(devices, attached))
    absl::StrAppend(&text, text.empty() ? "" : "; ", ifindex, " on ",
                    link.ifindex, ": ", TagsText(link));
  return text;
}

TEST(Vlans, AreThoseOnAttachedDevices) {
  EXPECT_EQ(
      Text({Plain(1), Plain(2), Plain(3), Vlan(7, 2, 100), Vlan(8, 3, 5)}, {2}),
      "7 on 2: vlan 100");
}

TEST(Vlans, OfTwoTagsTheLowerDevicesIsTheOuter) {
  EXPECT_EQ(Text({Vlan(8, 7, 200), Vlan(7, 2, 100, k8021ad), Plain(2)}, {2}),
            "7 on 2: vlan 802.1ad 100; 8 on 2: vlan 802.1ad 100 vlan 200");
}

TEST(Vlans, OfMoreThanTwoTagsAreLeftToTheKernel) {
  EXPECT_EQ(Text({Plain(2), Vlan(7, 2, 1), Vlan(8, 7, 2), Vlan(9, 8, 3)}, {2}),
            "7 on 2: vlan 1; 8 on 2: vlan 1 vlan 2");
}

TEST(Vlans, ThatAreAttachedThemselvesAreDevicesLikeOthers) {
  EXPECT_EQ(Text({Plain(2), Vlan(7, 2, 100), Vlan(8, 7, 200)}, {2, 7}),
            "8 on 7: vlan 200");
}

TEST(Vlans, OnNothingAreNone) {
  EXPECT_EQ(Text({Plain(2), Vlan(7, 99, 100)}, {2}), "");
  EXPECT_EQ(Text({Plain(2), Vlan(7, 2, 100)}, {}), "");
}

}  // namespace
}  // namespace xlvs
