// SPDX-License-Identifier: Apache-2.0
//
// The packets that other tests are made of (tests/packet/), against bytes that
// were not made by them: from RFCs, or summed up by hand.
#include "tests/packet/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "absl/strings/str_format.h"
#include "tests/packet/checksum.h"
#include "tests/packet/compose.h"
#include "tests/packet/describe.h"

namespace xlvs {
namespace {

using testing::HasSubstr;
using testing::Not;

// "45 00" and blanks wherever they help.
Bytes Hex(std::string_view text) {
  Bytes bytes;
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits += c;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

Bytes AsciiBytes(std::string_view text) {
  return Bytes(text.begin(), text.end());
}

std::string HexText(const Bytes& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) absl::StrAppendFormat(&text, "%02x", byte);
  return text;
}

void ExpectBytes(const Bytes& got, std::string_view want) {
  EXPECT_EQ(HexText(got), HexText(Hex(want)));
}

constexpr Addr kA6 = V6("2001:db8::1"), kB6 = V6("2001:db8::2");
constexpr std::string_view kA6ToB6 =
    "20010db8000000000000000000000001 20010db8000000000000000000000002";

// ---- addresses

TEST(Address, IsReadFromText) {
  EXPECT_EQ(V6("::"), (Addr{.family = Family::kV6}));
  EXPECT_EQ(V6("::1").byte[15], 1);
  EXPECT_EQ(V6("fe80::").byte[0], 0xfe);
  EXPECT_EQ(V6("1:2:3:4:5:6:7:8").byte[14], 0);
  EXPECT_EQ(V6("1:2:3:4:5:6:7:8").byte[15], 8);
  EXPECT_EQ(V6("2001:db8:c::99").ToString(), "2001:db8:c::99");
  EXPECT_EQ(V6("2001:db8::a:0:0:1").ToString(), "2001:db8::a:0:0:1");
  EXPECT_EQ(V4(203, 0, 113, 1).ToString(), "203.0.113.1");
  EXPECT_EQ(AsMapped(V4(192, 0, 2, 1)).ToString(), "::ffff:192.0.2.1");
  EXPECT_NE(AsMapped(V4(192, 0, 2, 1)), V4(192, 0, 2, 1));
}

TEST(Address, IsRefusedWhereMalformed) {
  for (const char* text : {"", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
                           "1::2::3", "::g", "::12345", ":::", "1:"})
    EXPECT_THROW((void)V6(text), std::invalid_argument) << text;
  EXPECT_THROW((void)kA6.v4(), std::logic_error);
}

TEST(Address, CountsOnWithCarry) {
  EXPECT_EQ(V4(10, 0, 0, 255) + 1, V4(10, 0, 1, 0));
  EXPECT_EQ(V6("2001:db8::ffff:ffff") + 1, V6("2001:db8::"));
  EXPECT_EQ(V6("2001:db8::ffff") + 2, V6("2001:db8::1:1"));
}

// ---- checksums

TEST(Checksum, IsThatOfTheRfcs) {
  // RFC 1071, 3.
  EXPECT_EQ(InternetChecksum(Hex("0001 f203 f4f5 f6f7")), 0x220d);
  // An odd byte counts as if 0 followed.
  EXPECT_EQ(InternetChecksum(Hex("01")), 0xfeff);
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(Bytes(32, 0)), 0x8a9136aa);
  EXPECT_EQ(Crc32c(Bytes(32, 0xff)), 0x62a8ab43);
  // The check value of the CRC catalogues.
  EXPECT_EQ(Crc32c(AsciiBytes("123456789")), 0xe3069283);
}

// ---- IPv4

TEST(Packet, OfIpv4HasTheHeaderThatTextbooksShow) {
  Ip ip = {.ttl = 64,
           .protocol = kProtocolUdp,
           .saddr = V4(192, 168, 0, 1),
           .daddr = V4(192, 168, 0, 199),
           .id = 0};
  ip.total_bytes = 0x73;
  ExpectBytes(BuildIp(ip, {}),
              "4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7");
  ip.check_wrong_by = 1;
  ExpectBytes(BuildIp(ip, {}),
              "4500 0073 0000 4000 4011 b860 c0a80001 c0a800c7");
}

TEST(Packet, OfTcpIsWhole) {
  Frame frame =
      TcpFrame({V4(10, 0, 0, 1), 0x1234}, {V4(10, 0, 0, 2), 80}, kSyn);
  frame.payload = {0xab};
  // ip: 4500+0029+1234+4000+4006+0a00+0001+0a00+0002 = eb66
  // tcp: 0a00+0001+0a00+0002 + 0006+0015 + 1234+0050+1020+3040+5060+7080
  //      +5002+faf0+ab00 = 1dd7
  ExpectBytes(Build(frame),
              "00005e005302 00005e005301 0800"
              "4500 0029 1234 4000 4006 1499 0a000001 0a000002"
              "1234 0050 10203040 50607080 5002 faf0 e228 0000 ab");
}

TEST(Packet, CarriesTagsAndOptionsAndPadding) {
  Frame frame = UdpFrame({V4(10, 0, 0, 1), 1}, {V4(10, 0, 0, 2), 2});
  frame.udp_without_check = true;
  frame.vlans = {{kEtherTypeQinq, 0x6001}, {kEtherTypeVlan, 0x0fff}};
  frame.ip.options = {1, 1, 1, 0};
  frame.padding = {0xee, 0xee};
  // ip: 4600+0020+1234+4000+4011+0a00+0001+0a00+0002+0101+0100 = ee69
  ExpectBytes(Build(frame),
              "00005e005302 00005e005301 88a8 6001 8100 0fff 0800"
              "4600 0020 1234 4000 4011 1196 0a000001 0a000002 01010100"
              "0001 0002 0008 0000 eeee");
}

// ---- IPv6

TEST(Packet, OfIpv6HasClassLabelAndHopLimit) {
  Frame frame = UdpFrame({kA6, 1}, {kB6, 2});
  frame.ip.tos = 0xb9;
  frame.ip.flow_label = 0x12345;
  frame.ip.ttl = 3;
  // udp: 2001+0db8+0001 + 2001+0db8+0002 + 0008+0011 + 0001+0002+0008 = 5b99
  ExpectBytes(Build(frame), "00005e005302 00005e005301 86dd" +
                                std::string("6b912345 0008 11 03") +
                                std::string(kA6ToB6) + "0001 0002 0008 a466");
}

TEST(Packet, ChainsExtensionHeaders) {
  Frame frame = UdpFrame({kA6, 1}, {kB6, 2});
  frame.ip.extensions = {HopByHopOptions({5, 2, 0, 0}),
                         Routing(4, 0, Bytes(4, 0)),
                         FragmentHeader(0, false, 0xdeadbeef),
                         Authentication(1, 2, Bytes(12, 9)), DestOptions()};
  const Bytes l3 = BuildL3(frame);
  ExpectBytes(Bytes(l3.begin(), l3.begin() + 8), "60000000 0040 00 40");
  ExpectBytes(Bytes(l3.begin() + 40, l3.end()),
              "2b 00 05020000 0100"   // hop by hop
              "2c 00 04 00 00000000"  // routing
              "33 00 0000 deadbeef"   // fragment
              "3c 04 0000 00000001 00000002 090909090909090909090909"
              "11 00 0104 00000000"  // dest options
              "0001 0002 0008 a466");
}

TEST(Packet, PadsOptionsToEightBytes) {
  EXPECT_EQ(DestOptions(Bytes(5, 0)).rest, Hex("00 0000000000 00"));
  EXPECT_EQ(DestOptions(Bytes(6, 0)).rest, Hex("00 000000000000"));
  EXPECT_EQ(DestOptions(Bytes(7, 0)).rest.size(), 15u);
  EXPECT_THROW(Routing(0, 0, Bytes(8, 0)), std::invalid_argument);
  EXPECT_THROW(Authentication(0, 0, Bytes(8, 0)), std::invalid_argument);
}

TEST(Packet, IsOfOneFamily) {
  Frame frame = UdpFrame(kClient1, kService1);
  frame.ip.daddr = kA6;
  EXPECT_THROW(Build(frame), std::invalid_argument);
}

// ---- SCTP, ICMP

TEST(Packet, OfSctpPadsItsChunksAndWritesTheCrcLowestByteFirst) {
  Frame frame = SctpFrame({kA6, 5}, {kB6, 6},
                          {{.type = kSctpCookieEcho, .flags = 1, .value = {7}},
                           {.type = kSctpAbort}});
  frame.sctp.tag = 0x01020304;
  const std::string before = "0005 0006 01020304",
                    after = "0a 01 0005 07000000 06 00 0004";
  const uint32_t crc = Crc32c(Hex(before + "00000000" + after));
  Bytes want = Hex(before);
  for (int shift = 0; shift < 32; shift += 8) want.push_back(crc >> shift);
  PutAll(want, Hex(after));
  EXPECT_EQ(BuildL4(frame), want);
  frame.l4_check_wrong_by = 1;
  EXPECT_NE(BuildL4(frame), want);
}

TEST(Packet, OfIcmpSumsThePseudoHeaderOnlyInIpv6) {
  Frame v4 = EchoFrame(V4(10, 0, 0, 1), V4(10, 0, 0, 2), 0, 0);
  ExpectBytes(BuildL4(v4), "0800 f7ff 0000 0000");
  // 5b75 (addresses) + 0008 + 003a + 8000 + 1234 + 0005 = edf0
  const Frame v6 = EchoFrame(kA6, kB6, 0x1234, 5);
  ExpectBytes(BuildL4(v6), "8000 120f 1234 0005");
}

TEST(IcmpErrorTest, AnswersTheSenderWithAtMost576BytesOr1280) {
  for (const Family family : kFamilies) {
    const AddressBook& book = BookOf(family);
    const size_t ip_bytes = family == Family::kV4 ? 20 : 40;
    const size_t all_bytes = family == Family::kV4 ? 576 : 1280;
    Frame frame = UdpFrame(book.client1, book.service1, 1400);
    frame.vlans = {{kEtherTypeVlan, 5}};
    frame.ip.tos = 0xff;
    frame.padding = {1, 2, 3};
    const Bytes in = Build(frame);
    const Bytes error = BuildIcmpError(in, TooBig(family, 1300), 77);
    ASSERT_EQ(error.size(), 18 + all_bytes);
    const std::span<const uint8_t> l3 = L3Of(error), quoted = L3Of(in);
    EXPECT_TRUE(
        std::equal(l3.begin() + ip_bytes + 8, l3.end(), quoted.begin()));
    EXPECT_EQ(l3[ip_bytes], family == Family::kV4 ? 3 : 2);
    EXPECT_EQ(Get32(l3, ip_bytes + 4), 1300u);
    EXPECT_EQ(ReadEthernet(error)->vlans, frame.vlans);
    EXPECT_EQ(ReadEthernet(error)->dmac, kRouterMac);
    EXPECT_EQ(IpIdOf(error), family == Family::kV4 ? 77 : 0);
    const std::string text = Describe(error);
    EXPECT_THAT(text, HasSubstr(book.service1.addr.ToString() + " > " +
                                book.client1.addr.ToString()));
    EXPECT_THAT(text,
                HasSubstr(family == Family::kV4 ? "tos 0xde" : "class 0x00"));
    EXPECT_THAT(text, Not(HasSubstr("should be")));

    // No padding in it.
    frame.payload.resize(9);
    const Bytes small =
        BuildIcmpError(Build(frame), PortUnreachable(family), 1);
    EXPECT_EQ(small.size(), 18 + ip_bytes + 8 + ip_bytes + 8 + 9);
  }
}

// ---- tunnels

TEST(Tunnelled, KeepsThePacketAsItIs) {
  for (const Family outer : kFamilies)
    for (const Family inner : kFamilies) {
      const Frame frame =
          UdpFrame(BookOf(inner).client1, BookOf(inner).service1, 5);
      const Bytes packet = BuildL3(frame);
      const auto body = [&](TunnelHeader::Type type, bool with_check) {
        const Frame tunnelled =
            InTunnel(frame, {.type = type,
                             .saddr = BookOf(outer).director,
                             .daddr = BookOf(outer).dest1.addr,
                             .ttl = 9,
                             .sport = 0x8001,
                             .dport = 6080,
                             .with_check = with_check});
        const Bytes l3 = BuildL3(tunnelled);
        EXPECT_EQ(l3[0] >> 4, outer == Family::kV4 ? 4 : 6);
        Bytes rest = BuildL4(tunnelled);
        EXPECT_TRUE(std::equal(packet.begin(), packet.end(),
                               rest.end() - packet.size()));
        EXPECT_EQ(Describe(Build(tunnelled)).find("should be"),
                  std::string::npos);
        rest.resize(rest.size() - packet.size());
        return rest;
      };
      const bool v4 = inner == Family::kV4;
      EXPECT_TRUE(body(TunnelHeader::kIpip, false).empty());
      ExpectBytes(body(TunnelHeader::kGre, false),
                  v4 ? "0000 0800" : "0000 86dd");
      Bytes gre = body(TunnelHeader::kGre, true);
      PutAll(gre, packet);
      EXPECT_EQ(InternetChecksum(gre), 0);
      EXPECT_EQ(gre[0], 0x80);
      Bytes gue = body(TunnelHeader::kGue, false);
      const uint16_t udp_bytes = 12 + packet.size();
      EXPECT_EQ(Get16(gue, 4), udp_bytes);
      Set16(gue, 4, 0);
      ExpectBytes(gue, v4 ? "8001 17c0 0000 0000 00040000"
                          : "8001 17c0 0000 0000 00290000");
      EXPECT_NE(Get16(body(TunnelHeader::kGue, true), 6), 0);
    }
}

// ---- fragments

TEST(Fragment, OfIpv4HasThePacketsIdAndItsCopiedOptions) {
  Frame frame = UdpFrame({V4(10, 0, 0, 1), 1}, {V4(10, 0, 0, 2), 2}, 24);
  frame.ip.options = {7, 3, 4, 0x94, 4, 0, 0, 0};  // record route, router alert
  frame.vlans = {{kEtherTypeVlan, 5}};
  const std::vector<Bytes> fragments = Fragments(frame, {8, 16});
  ASSERT_EQ(fragments.size(), 3u);
  const Bytes body = BuildL4(frame);
  Bytes joined;
  for (size_t i = 0; i < fragments.size(); ++i) {
    const std::span<const uint8_t> l3 = L3Of(fragments[i]);
    EXPECT_EQ(InternetChecksum(l3.first(28)), 0);
    EXPECT_EQ(IpIdOf(fragments[i]), 0x1234);
    joined.insert(joined.end(), l3.begin() + 28, l3.end());
    ExpectBytes(Bytes(l3.begin() + 20, l3.begin() + 28),
                i == 0 ? "070304 94040000 00" : "010101 94040000 00");
  }
  EXPECT_EQ(joined, body);
  EXPECT_EQ(Get16(L3Of(fragments[0]), 6), 0x2000);
  EXPECT_EQ(Get16(L3Of(fragments[1]), 6), 0x2001);
  EXPECT_EQ(Get16(L3Of(fragments[2]), 6), 0x0003);
}

TEST(Fragment, OfIpv6StandsBehindWhatRoutersLookAt) {
  Frame frame = UdpFrame({kA6, 1}, {kB6, 2}, 8);
  frame.ip.extensions = {HopByHopOptions(), DestOptions(),
                         Routing(0, 0, Bytes(4, 0)), DestOptions()};
  const std::vector<Bytes> fragments = Fragments(frame, {16}, 0x01020304);
  ASSERT_EQ(fragments.size(), 2u);
  const std::string kept = "3c00010400000000 2b00010400000000 2c00000000000000";
  ExpectBytes(Bytes(fragments[0].begin() + 54, fragments[0].end()),
              kept + "3c000001 01020304" + "1100010400000000" +
                  "00010002 0010" + "038a");
  const Bytes rest = BuildL4(frame);
  Bytes second = Hex(kept + "3c000010 01020304");
  second.insert(second.end(), rest.begin() + 8, rest.end());
  EXPECT_EQ(HexText(Bytes(fragments[1].begin() + 54, fragments[1].end())),
            HexText(second));
}

TEST(Fragment, IsRefusedWhereItsSizeIsImpossible) {
  const Frame frame = UdpFrame(kClient1, kService1, 24);
  EXPECT_THROW(Fragments(frame, {7}), std::invalid_argument);
  EXPECT_THROW(Fragments(frame, {0}), std::invalid_argument);
  EXPECT_THROW(Fragments(frame, {40}), std::invalid_argument);
  EXPECT_EQ(Fragments(frame, {}).size(), 1u);
}

// ---- describing

TEST(Description, SaysWhichChecksumIsWrongAndWhatItShouldBe) {
  Frame frame = TcpFrame(kClient1V6, kService1V6, kSyn, 5);
  EXPECT_THAT(Describe(Build(frame)), HasSubstr("(right)"));
  frame.l4_check_wrong_by = 5;
  EXPECT_THAT(Describe(Build(frame)), HasSubstr("(should be 0x"));
  frame = SctpFrame(kClient1, kService1, {{.type = kSctpInit}});
  EXPECT_THAT(Describe(Build(frame)), Not(HasSubstr("should be")));
  frame.l4_check_wrong_by = 5;
  EXPECT_THAT(Describe(Build(frame)), HasSubstr("(should be 0x"));
  frame = EchoFrame(kClient1.addr, kService1.addr, 1, 2, 4);
  frame.ip.options = Bytes(4, 1);
  frame.ip.check_wrong_by = 1;
  EXPECT_THAT(Describe(Build(frame)), HasSubstr("protocol 1 check 0x"));
  EXPECT_THAT(Describe(Build(frame)), HasSubstr("(should be 0x"));
}

TEST(Description, JudgesNoChecksumOfWhatIsNotWhole) {
  const Frame frame = UdpFrame(kClient1V6, kService1V6, 100);
  EXPECT_THAT(Describe(Fragments(frame, {48})[0]),
              HasSubstr("(of more than is here)"));
  const Frame error =
      IcmpErrorFrame(kBookV6.client_router, kService1V6.addr,
                     TooBig(Family::kV6, 1280), BuildL3(frame), 60);
  EXPECT_THAT(Describe(Build(error)), HasSubstr("(of more than is here)"));
  EXPECT_THAT(Describe(Build(error)), Not(HasSubstr("should be")));
}

TEST(Description, TakesAnyBytes) {
  const Frame inner = SctpFrame(kClient1V6, kService1V6,
                                {{.type = kSctpData, .value = Pattern(20)}});
  Frame outer = InTunnel(inner, {.type = TunnelHeader::kGue,
                                 .saddr = kBookV4.director,
                                 .daddr = kDest1.addr,
                                 .with_check = true});
  outer.vlans = {{}};
  const Bytes whole = Build(outer);
  for (size_t bytes = 0; bytes <= whole.size(); ++bytes)
    EXPECT_FALSE(Describe(Bytes(whole.begin(), whole.begin() + bytes)).empty());
  for (size_t at = 0; at < whole.size(); ++at)
    for (const uint8_t value : {0x00, 0x7f, 0xff}) {
      Bytes changed = whole;
      changed[at] = value;
      EXPECT_FALSE(Describe(changed).empty());
    }
}

}  // namespace
}  // namespace xlvs
