// SPDX-License-Identifier: Apache-2.0
//
// The kernel's messages about devices, as it sends them: which are VLAN devices
// and on what.
#include "loader/net/devices.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <array>

namespace xlvs {
namespace {

class LinkMessage {
 public:
  LinkMessage(uint32_t ifindex, const char* name)
      : header_(mnl_nlmsg_put_header(buffer_.data())) {
    header_->nlmsg_type = RTM_NEWLINK;
    auto* info = static_cast<ifinfomsg*>(
        mnl_nlmsg_put_extra_header(header_, sizeof(ifinfomsg)));
    info->ifi_index = static_cast<int>(ifindex);
    mnl_attr_put_strz(header_, IFLA_IFNAME, name);
  }

  LinkMessage& On(uint32_t ifindex) {
    mnl_attr_put_u32(header_, IFLA_LINK, ifindex);
    return *this;
  }
  LinkMessage& InAnotherNamespace() {
    mnl_attr_put_u32(header_, IFLA_LINK_NETNSID, 0);
    return *this;
  }
  LinkMessage& Kind(const char* kind, uint16_t tpid, uint16_t vlan_id) {
    nlattr* info = mnl_attr_nest_start(header_, IFLA_LINKINFO);
    mnl_attr_put_strz(header_, IFLA_INFO_KIND, kind);
    nlattr* data = mnl_attr_nest_start(header_, IFLA_INFO_DATA);
    mnl_attr_put_u16(header_, IFLA_VLAN_ID, vlan_id);
    mnl_attr_put_u16(header_, IFLA_VLAN_PROTOCOL, htons(tpid));
    mnl_attr_nest_end(header_, data);
    mnl_attr_nest_end(header_, info);
    return *this;
  }
  NetworkDevice Read() const { return ReadDevice(*header_); }

 private:
  alignas(nlmsghdr) std::array<char, 512> buffer_ = {};
  nlmsghdr* header_;
};

TEST(ReadDevice, KnowsAVlanDeviceAndWhatItStandsOn) {
  const NetworkDevice device =
      LinkMessage(7, "eth0.100").On(2).Kind("vlan", 0x88a8, 100).Read();
  EXPECT_EQ(device.ifindex, 7u);
  EXPECT_EQ(device.name, "eth0.100");
  EXPECT_EQ(device.vlan, (VlanDevice{2, 0x88a8, 100}));
}

TEST(ReadDevice, OtherDevicesAreNotVlanDevices) {
  EXPECT_EQ(LinkMessage(2, "eth0").Read().vlan, std::nullopt);
  EXPECT_EQ(LinkMessage(3, "mv0").On(2).Kind("macvlan", 0, 1).Read().vlan,
            std::nullopt);
}

// Its index means another device there.
TEST(ReadDevice, ALowerDeviceInAnotherNamespaceIsNoneOfOurs) {
  EXPECT_EQ(LinkMessage(7, "eth0.100")
                .On(2)
                .InAnotherNamespace()
                .Kind("vlan", 0x8100, 100)
                .Read()
                .vlan,
            std::nullopt);
}

TEST(ListDevices, FindsLoopback) {
  const auto devices = ListDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_FALSE(devices->empty());
  EXPECT_EQ(devices->front().ifindex, 1u);
  EXPECT_EQ(devices->front().name, "lo");
}

}  // namespace
}  // namespace xlvs
