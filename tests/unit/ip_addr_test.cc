// SPDX-License-Identifier: Apache-2.0
#include "loader/net/ip_addr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace xlvs {
namespace {

TEST(IpAddr, StoresV4AsMappedV6) {
  const IpAddr addr = IpAddr::FromV4(0x0a000001);
  const uint8_t expected[16] = {0, 0, 0,    0,    0,  0, 0, 0,
                                0, 0, 0xff, 0xff, 10, 0, 0, 1};
  EXPECT_THAT(addr.raw().byte, testing::ElementsAreArray(expected));
  EXPECT_TRUE(addr.is_v4());
  EXPECT_EQ(addr.v4_host_order(), 0x0a000001u);
}

TEST(IpAddr, PrintsWhatItParsed) {
  for (const char* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255",
                           "::", "2001:db8::1", "fe80::1"}) {
    const auto addr = IpAddr::Parse(text);
    ASSERT_TRUE(addr.ok()) << text;
    EXPECT_EQ(addr->ToString(), text);
  }
}

TEST(IpAddr, NeverAsksAResolver) {
  for (const char* text : {"", "localhost", "10.1", "1.2.3.4:80", "256.0.0.1",
                           "[::1]", " 1.2.3.4"}) {
    const auto addr = IpAddr::Parse(text);
    EXPECT_EQ(addr.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(IpAddr, KnowsWhatOneHostMayHave) {
  for (const char* text : {"10.0.0.1", "127.0.0.1", "240.0.0.1", "10.0.0.255",
                           "::1", "2001:db8::1", "fe80::1"})
    EXPECT_TRUE(IpAddr::Parse(text)->is_unicast()) << text;
  for (const char* text : {"0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255",
                           "255.255.255.255", "::", "ff02::1"})
    EXPECT_FALSE(IpAddr::Parse(text)->is_unicast()) << text;
}

TEST(IpAddr, KnowsLinkLocalAddresses) {
  for (const char* text : {"fe80::1", "febf::1"})
    EXPECT_TRUE(IpAddr::Parse(text)->is_v6_link_local()) << text;
  for (const char* text : {"fec0::1", "fe00::1", "::1", "169.254.0.1"})
    EXPECT_FALSE(IpAddr::Parse(text)->is_v6_link_local()) << text;
}

TEST(IpAddr, TakesBytesAsOnTheWire) {
  const uint8_t v4[] = {10, 0, 0, 1};
  EXPECT_EQ(IpAddr::FromV4Bytes(v4).ToString(), "10.0.0.1");
  const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0,
                          0,    0, 0,   0,    0, 0, 0, 1};
  EXPECT_EQ(IpAddr::FromV6Bytes(v6).ToString(), "2001:db8::1");
}

TEST(IpAddr, SaysWhatItCouldNotParse) {
  EXPECT_EQ(IpAddr::Parse("1.2.3").status().message(),
            "'1.2.3' is not an IP address");
}

TEST(IpAddr, KnowsZeroOfBothFamilies) {
  EXPECT_TRUE(IpAddr().is_zero());
  EXPECT_TRUE(IpAddr::FromV4(0).is_zero());
  EXPECT_FALSE(IpAddr::FromV4(1).is_zero());
  EXPECT_FALSE(IpAddr::Parse("::1")->is_zero());
}

TEST(IpAddr, KnowsMulticastOfBothFamilies) {
  EXPECT_TRUE(IpAddr::Parse("224.0.0.1")->is_multicast());
  EXPECT_TRUE(IpAddr::Parse("239.255.255.255")->is_multicast());
  EXPECT_FALSE(IpAddr::Parse("240.0.0.1")->is_multicast());
  EXPECT_FALSE(IpAddr::Parse("223.255.255.255")->is_multicast());
  EXPECT_TRUE(IpAddr::Parse("ff02::1")->is_multicast());
  EXPECT_FALSE(IpAddr::Parse("fe80::1")->is_multicast());
}

TEST(IpAddr, TakesAMappedAddressForV4) {
  EXPECT_EQ(*IpAddr::Parse("::ffff:1.2.3.4"), IpAddr::FromV4(0x01020304));
  EXPECT_EQ(IpAddr::Parse("::ffff:1.2.3.4")->ToString(), "1.2.3.4");
}

TEST(IpAddr, OrdersByBytes) {
  EXPECT_LT(IpAddr::FromV4(0x0a000001), IpAddr::FromV4(0x0a000002));
  EXPECT_LT(IpAddr::FromV4(0x0a000001), IpAddr::FromV4(0xc0a80001));
}

}  // namespace
}  // namespace xlvs
