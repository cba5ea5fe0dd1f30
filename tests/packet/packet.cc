// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/packet.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace xlvs {
namespace {

constexpr size_t kEthBytes = 14, kIpBytes = 20, kUdpBytes = 8, kTcpBytes = 20;

void Put8(Bytes& to, uint8_t value) {
  to.push_back(value);
}
void Put16(Bytes& to, uint16_t value) {
  Put8(to, value >> 8);
  Put8(to, value & 0xff);
}
void Put32(Bytes& to, uint32_t value) {
  Put16(to, value >> 16);
  Put16(to, value & 0xffff);
}
template <typename T>
void PutAll(Bytes& to, const T& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
void Set16(Bytes& in, size_t at, uint16_t value) {
  in[at] = value >> 8;
  in[at + 1] = value & 0xff;
}
uint16_t Get16(std::span<const uint8_t> in, size_t at) {
  return in[at] << 8 | in[at + 1];
}
uint32_t Get32(std::span<const uint8_t> in, size_t at) {
  return static_cast<uint32_t>(Get16(in, at)) << 16 | Get16(in, at + 2);
}

uint16_t AddWrong(uint16_t check, uint16_t wrong_by) {
  uint32_t sum = static_cast<uint16_t>(~check) + wrong_by;
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

bool IsTcp(const Frame& frame) {
  return frame.ip.protocol == kProtocolTcp;
}
bool IsUdp(const Frame& frame) {
  return frame.ip.protocol == kProtocolUdp;
}

// The TCP or UDP header and the payload, checksum field 0.
Bytes BuildL4(const Frame& frame) {
  Bytes bytes;
  if (IsTcp(frame) || IsUdp(frame)) {
    Put16(bytes, frame.sport);
    Put16(bytes, frame.dport);
  }
  if (IsTcp(frame)) {
    const Tcp& tcp = frame.tcp;
    Put32(bytes, tcp.seq);
    Put32(bytes, tcp.ack);
    Put8(bytes,
         ((kTcpBytes + tcp.options.size()) / 4) << 4 | (tcp.reserved & 0xf));
    Put8(bytes, tcp.flags);
    Put16(bytes, tcp.window);
    Put16(bytes, 0);
    Put16(bytes, tcp.urgent);
    PutAll(bytes, tcp.options);
  } else if (IsUdp(frame)) {
    Put16(bytes, kUdpBytes + frame.payload.size());
    Put16(bytes, 0);
  }
  PutAll(bytes, frame.payload);
  return bytes;
}

Bytes BuildIp(const Ip4& ip, size_t l4_bytes) {
  Bytes bytes;
  const size_t header_bytes = kIpBytes + ip.options.size();
  Put8(bytes, ip.version << 4 | ip.ihl.value_or(header_bytes / 4));
  Put8(bytes, ip.tos);
  Put16(bytes, ip.total_bytes.value_or(header_bytes + l4_bytes));
  Put16(bytes, ip.id);
  Put16(bytes, ip.dont_fragment << 14 | ip.more_fragments << 13 | ip.offset);
  Put8(bytes, ip.ttl);
  Put8(bytes, ip.protocol);
  Put16(bytes, 0);
  Put32(bytes, ip.saddr);
  Put32(bytes, ip.daddr);
  PutAll(bytes, ip.options);
  Set16(bytes, 10, AddWrong(InternetChecksum(bytes), ip.check_wrong_by));
  return bytes;
}

uint16_t ChecksumWithPseudoHeader(uint32_t saddr, uint32_t daddr,
                                  uint8_t protocol,
                                  std::span<const uint8_t> l4) {
  Bytes bytes;
  Put32(bytes, saddr);
  Put32(bytes, daddr);
  Put8(bytes, 0);
  Put8(bytes, protocol);
  Put16(bytes, l4.size());
  PutAll(bytes, l4);
  return InternetChecksum(bytes);
}

}  // namespace

uint16_t InternetChecksum(std::span<const uint8_t> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
    if (sum > 0xffff) sum = sum - 0x10000 + 1;
  }
  return ~sum;
}

uint16_t L4Checksum(const Frame& frame) {
  return ChecksumWithPseudoHeader(frame.ip.saddr, frame.ip.daddr,
                                  frame.ip.protocol, BuildL4(frame));
}

Bytes Pattern(size_t bytes) {
  Bytes pattern(bytes);
  for (size_t i = 0; i < bytes; ++i) pattern[i] = 7 + i * 11 + (i >> 8) * 3;
  return pattern;
}

Frame TcpFrame(Endpoint from, Endpoint to, uint8_t flags, size_t payload) {
  Frame frame = {.dmac = kDirectorMac, .smac = kRouterMac};
  frame.ip.saddr = from.addr;
  frame.ip.daddr = to.addr;
  frame.sport = from.port;
  frame.dport = to.port;
  frame.tcp.flags = flags;
  frame.payload = Pattern(payload);
  return frame;
}

Frame UdpFrame(Endpoint from, Endpoint to, size_t payload) {
  Frame frame = TcpFrame(from, to, 0, payload);
  frame.ip.protocol = kProtocolUdp;
  return frame;
}

Bytes Build(const Frame& frame) {
  Bytes l4 = BuildL4(frame);
  if (IsTcp(frame) || IsUdp(frame)) {
    uint16_t check = AddWrong(L4Checksum(frame), frame.l4_check_wrong_by);
    if (IsUdp(frame) && check == 0) check = 0xffff;
    if (IsUdp(frame) && frame.udp_without_check) check = 0;
    Set16(l4, IsTcp(frame) ? 16 : 6, check);
  }
  Bytes bytes;
  PutAll(bytes, frame.dmac);
  PutAll(bytes, frame.smac);
  for (const uint16_t type : frame.vlan_types) {
    Put16(bytes, type);
    Put16(bytes, 7);
  }
  Put16(bytes, frame.ethertype);
  PutAll(bytes, BuildIp(frame.ip, l4.size()));
  PutAll(bytes, l4);
  PutAll(bytes, frame.padding);
  return bytes;
}

uint16_t IpIdOf(std::span<const uint8_t> bytes) {
  return bytes.size() < kEthBytes + kIpBytes ? 0 : Get16(bytes, kEthBytes + 4);
}

Bytes BuildIcmpError(std::span<const uint8_t> offending, const IcmpError& error,
                     uint16_t ip_id) {
  const std::span<const uint8_t> packet =
      offending.subspan(kEthBytes, Get16(offending, kEthBytes + 2));
  Frame frame = {};
  std::copy_n(offending.begin(), 6, frame.smac.begin());
  std::copy_n(offending.begin() + 6, 6, frame.dmac.begin());
  frame.ip = {.tos = static_cast<uint8_t>((packet[1] & 0x1e) | 0xc0),
              .id = ip_id,
              .dont_fragment = false,
              .ttl = 64,
              .protocol = kProtocolIcmp,
              .saddr = Get32(packet, 16),
              .daddr = Get32(packet, 12)};
  Bytes& icmp = frame.payload;
  Put8(icmp, error.type);
  Put8(icmp, error.code);
  Put16(icmp, 0);
  Put16(icmp, 0);
  Put16(icmp, error.mtu);
  // 576 bytes in all.
  PutAll(icmp, packet.first(std::min<size_t>(packet.size(), 548)));
  Set16(icmp, 2, InternetChecksum(icmp));
  return Build(frame);
}

// ---- describing

namespace {

std::string MacText(std::span<const uint8_t> mac) {
  std::string text;
  for (size_t i = 0; i < 6; ++i)
    absl::StrAppendFormat(&text, "%s%02x", i == 0 ? "" : ":", mac[i]);
  return text;
}

std::string AddrText(uint32_t addr) {
  return absl::StrCat(addr >> 24, ".", addr >> 16 & 0xff, ".", addr >> 8 & 0xff,
                      ".", addr & 0xff);
}

std::string CheckText(uint16_t is, uint16_t should_be) {
  if (is == should_be) return absl::StrFormat("0x%04x (right)", is);
  return absl::StrFormat("0x%04x (should be 0x%04x)", is, should_be);
}

std::string HexDump(std::span<const uint8_t> bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) absl::StrAppendFormat(&text, "\n  %04x ", i);
    absl::StrAppendFormat(&text, "%s%02x", i % 8 == 0 ? "  " : " ", bytes[i]);
  }
  return text;
}

// The checksum that `l4` should have in the two bytes at `at`.
uint16_t RightL4Check(std::span<const uint8_t> ip, std::span<const uint8_t> l4,
                      size_t at) {
  Bytes without(l4.begin(), l4.end());
  Set16(without, at, 0);
  return ChecksumWithPseudoHeader(Get32(ip, 12), Get32(ip, 16), ip[9], without);
}

std::string DescribeL4(std::span<const uint8_t> ip,
                       std::span<const uint8_t> l4) {
  const uint8_t protocol = ip[9];
  if (protocol == kProtocolTcp && l4.size() >= kTcpBytes) {
    std::string flags;
    for (int bit = 0; bit < 8; ++bit)
      if (l4[13] >> bit & 1) flags += "FSRPAUEC"[bit];
    return absl::StrFormat(
        "\n  tcp   %d > %d seq %#x ack %#x offset %d flags [%s] window %d "
        "urgent %d check %s, %d bytes",
        Get16(l4, 0), Get16(l4, 2), Get32(l4, 4), Get32(l4, 8), l4[12] >> 4,
        flags, Get16(l4, 14), Get16(l4, 18),
        CheckText(Get16(l4, 16), RightL4Check(ip, l4, 16)),
        l4.size() - kTcpBytes);
  }
  if (protocol == kProtocolUdp && l4.size() >= kUdpBytes) {
    const uint16_t right = RightL4Check(ip, l4, 6);
    return absl::StrFormat("\n  udp   %d > %d length %d check %s, %d bytes",
                           Get16(l4, 0), Get16(l4, 2), Get16(l4, 4),
                           CheckText(Get16(l4, 6), right ? right : 0xffff),
                           l4.size() - kUdpBytes);
  }
  if (protocol == kProtocolIcmp && l4.size() >= 8)
    return absl::StrFormat(
        "\n  icmp  type %d code %d mtu %d sum %s, quotes %d bytes", l4[0],
        l4[1], Get16(l4, 6), InternetChecksum(l4) == 0 ? "right" : "wrong",
        l4.size() - 8);
  return absl::StrFormat("\n  protocol %d, %d bytes", protocol, l4.size());
}

}  // namespace

std::string Describe(std::span<const uint8_t> bytes) {
  std::string text = absl::StrCat(bytes.size(), " bytes");
  if (bytes.size() < kEthBytes) return text + HexDump(bytes);
  const uint16_t ethertype = Get16(bytes, 12);
  absl::StrAppendFormat(&text, "\n  eth   %s > %s type 0x%04x",
                        MacText(bytes.subspan(6)), MacText(bytes), ethertype);
  if (ethertype != kEtherTypeIp4 || bytes.size() < kEthBytes + kIpBytes)
    return text + HexDump(bytes);
  std::span<const uint8_t> ip = bytes.subspan(kEthBytes);
  const size_t header_bytes = (ip[0] & 0xf) * 4;
  const uint16_t total_bytes = Get16(ip, 2);
  Bytes header(ip.begin(), ip.begin() + kIpBytes);
  Set16(header, 10, 0);
  absl::StrAppendFormat(
      &text,
      "\n  ip    %s > %s version %d ihl %d tos 0x%02x length %d id 0x%04x "
      "fragment 0x%04x ttl %d protocol %d check %s",
      AddrText(Get32(ip, 12)), AddrText(Get32(ip, 16)), ip[0] >> 4, ip[0] & 0xf,
      ip[1], total_bytes, Get16(ip, 4), Get16(ip, 6), ip[8], ip[9],
      CheckText(Get16(ip, 10), InternetChecksum(header)));
  if (header_bytes == kIpBytes && total_bytes >= kIpBytes &&
      total_bytes <= ip.size())
    text += DescribeL4(ip, ip.subspan(kIpBytes, total_bytes - kIpBytes));
  return text + HexDump(bytes);
}

}  // namespace xlvs
