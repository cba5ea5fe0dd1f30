// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/packet.h"

#include <algorithm>
#include <stdexcept>

#include "tests/packet/checksum.h"

namespace xlvs {
namespace {

constexpr size_t kEthBytes = 14, kIp4Bytes = 20, kIp6Bytes = 40, kUdpBytes = 8,
                 kTcpBytes = 20;

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
bool IsSctp(const Frame& frame) {
  return frame.ip.protocol == kProtocolSctp;
}
bool IsIcmp(const Frame& frame) {
  return frame.ip.protocol == IcmpProtocol(FamilyOf(frame.ip));
}

void PutTcp(Bytes& to, const Frame& frame) {
  const Tcp& tcp = frame.tcp;
  Put16(to, frame.sport);
  Put16(to, frame.dport);
  Put32(to, tcp.seq);
  Put32(to, tcp.ack);
  Put8(to, ((kTcpBytes + tcp.options.size()) / 4) << 4 | (tcp.reserved & 0xf));
  Put8(to, tcp.flags);
  Put16(to, tcp.window);
  Put16(to, 0);
  Put16(to, tcp.urgent);
  PutAll(to, tcp.options);
}

void PutUdp(Bytes& to, const Frame& frame) {
  Put16(to, frame.sport);
  Put16(to, frame.dport);
  Put16(to, kUdpBytes + frame.payload.size());
  Put16(to, 0);
}

void PutSctp(Bytes& to, const Frame& frame) {
  Put16(to, frame.sport);
  Put16(to, frame.dport);
  Put32(to, frame.sctp.tag);
  Put32(to, 0);
  for (const SctpChunk& chunk : frame.sctp.chunks) {
    Put8(to, chunk.type);
    Put8(to, chunk.flags);
    Put16(to, chunk.length_bytes.value_or(4 + chunk.value.size()));
    PutAll(to, chunk.value);
    to.resize((to.size() + 3) / 4 * 4);
  }
}

void PutIcmp(Bytes& to, const Icmp& icmp) {
  Put8(to, icmp.type);
  Put8(to, icmp.code);
  Put16(to, 0);
  Put32(to, icmp.rest);
}

// The L4 header and the payload, checksum field 0.
Bytes L4WithoutCheck(const Frame& frame) {
  Bytes bytes;
  if (IsTcp(frame))
    PutTcp(bytes, frame);
  else if (IsUdp(frame))
    PutUdp(bytes, frame);
  else if (IsSctp(frame))
    PutSctp(bytes, frame);
  else if (IsIcmp(frame))
    PutIcmp(bytes, frame.icmp);
  PutAll(bytes, frame.payload);
  return bytes;
}

Bytes BuildIp4(const Ip& ip, std::span<const uint8_t> body) {
  Bytes bytes;
  const size_t header_bytes = kIp4Bytes + ip.options.size();
  Put8(bytes, ip.version.value_or(4) << 4 | ip.ihl.value_or(header_bytes / 4));
  Put8(bytes, ip.tos);
  Put16(bytes, ip.total_bytes.value_or(header_bytes + body.size()));
  Put16(bytes, ip.id);
  Put16(bytes, ip.dont_fragment << 14 | ip.more_fragments << 13 | ip.offset);
  Put8(bytes, ip.ttl);
  Put8(bytes, ip.protocol);
  Put16(bytes, 0);
  PutAll(bytes, ip.saddr.wire());
  PutAll(bytes, ip.daddr.wire());
  PutAll(bytes, ip.options);
  Set16(bytes, 10, AddWrong(InternetChecksum(bytes), ip.check_wrong_by));
  PutAll(bytes, body);
  return bytes;
}

Bytes BuildIp6(const Ip& ip, std::span<const uint8_t> body) {
  const std::vector<Extension>& extensions = ip.extensions;
  const auto type_at = [&](size_t i) {
    return i < extensions.size() ? extensions[i].type : ip.protocol;
  };
  Bytes rest;
  for (size_t i = 0; i < extensions.size(); ++i) {
    Put8(rest, type_at(i + 1));
    PutAll(rest, extensions[i].rest);
  }
  PutAll(rest, body);

  Bytes bytes;
  Put32(bytes, static_cast<uint32_t>(ip.version.value_or(6)) << 28 |
                   ip.tos << 20 | (ip.flow_label & 0xfffff));
  Put16(bytes, ip.total_bytes.value_or(kIp6Bytes + rest.size()) - kIp6Bytes);
  Put8(bytes, type_at(0));
  Put8(bytes, ip.ttl);
  PutAll(bytes, ip.saddr.wire());
  PutAll(bytes, ip.daddr.wire());
  PutAll(bytes, rest);
  return bytes;
}

Extension Options(uint8_t type, Bytes options) {
  const size_t pad = (8 - (2 + options.size()) % 8) % 8;
  if (pad == 1) {
    Put8(options, 0);  // Pad1
  } else if (pad > 1) {
    Put8(options, 1);  // PadN
    Put8(options, pad - 2);
    options.resize(options.size() + pad - 2);
  }
  Extension extension = {.type = type};
  Put8(extension.rest, (2 + options.size()) / 8 - 1);
  PutAll(extension.rest, options);
  return extension;
}

Frame FrameBetween(const Addr& from, const Addr& to, uint8_t protocol) {
  Frame frame = {.dmac = kDirectorMac, .smac = kRouterMac};
  frame.ip.protocol = protocol;
  frame.ip.saddr = from;
  frame.ip.daddr = to;
  return frame;
}

Frame FrameBetween(Endpoint from, Endpoint to, uint8_t protocol) {
  Frame frame = FrameBetween(from.addr, to.addr, protocol);
  frame.sport = from.port;
  frame.dport = to.port;
  return frame;
}

}  // namespace

// ---- extension headers

Extension HopByHopOptions(Bytes options) {
  return Options(kHopByHop, std::move(options));
}

Extension DestOptions(Bytes options) {
  return Options(kDestOptions, std::move(options));
}

Extension Routing(uint8_t routing_type, uint8_t segments_left, Bytes data) {
  if (data.size() % 8 != 4)
    throw std::invalid_argument("a routing header of 4 bytes more or less");
  Extension extension = {.type = kRouting};
  Put8(extension.rest, (4 + data.size()) / 8 - 1);
  Put8(extension.rest, routing_type);
  Put8(extension.rest, segments_left);
  PutAll(extension.rest, data);
  return extension;
}

Extension FragmentHeader(uint16_t offset, bool more_fragments, uint32_t id) {
  Extension extension = {.type = kFragment};
  Put8(extension.rest, 0);
  Put16(extension.rest, offset << 3 | more_fragments);
  Put32(extension.rest, id);
  return extension;
}

Extension Authentication(uint32_t spi, uint32_t sequence, Bytes icv) {
  if (icv.size() % 8 != 4)
    throw std::invalid_argument("an authentication header of odd words");
  Extension extension = {.type = kAuthentication};
  // In units of 4 bytes, minus 2, unlike all others.
  Put8(extension.rest, (12 + icv.size()) / 4 - 2);
  Put16(extension.rest, 0);
  Put32(extension.rest, spi);
  Put32(extension.rest, sequence);
  PutAll(extension.rest, icv);
  return extension;
}

// ---- frames

Bytes Pattern(size_t bytes) {
  Bytes pattern(bytes);
  for (size_t i = 0; i < bytes; ++i) pattern[i] = 7 + i * 11 + (i >> 8) * 3;
  return pattern;
}

Frame TcpFrame(Endpoint from, Endpoint to, uint8_t flags, size_t payload) {
  Frame frame = FrameBetween(from, to, kProtocolTcp);
  frame.tcp.flags = flags;
  frame.payload = Pattern(payload);
  return frame;
}

Frame UdpFrame(Endpoint from, Endpoint to, size_t payload) {
  Frame frame = FrameBetween(from, to, kProtocolUdp);
  frame.payload = Pattern(payload);
  return frame;
}

Frame SctpFrame(Endpoint from, Endpoint to, std::vector<SctpChunk> chunks) {
  Frame frame = FrameBetween(from, to, kProtocolSctp);
  frame.sctp.chunks = std::move(chunks);
  return frame;
}

Frame EchoFrame(const Addr& from, const Addr& to, uint16_t id,
                uint16_t sequence, size_t payload) {
  const bool v4 = from.family == Family::kV4;
  Frame frame = FrameBetween(from, to, IcmpProtocol(from.family));
  frame.icmp = {.type = v4 ? kEchoRequest : kEchoRequest6,
                .rest = static_cast<uint32_t>(id) << 16 | sequence};
  frame.payload = Pattern(payload);
  return frame;
}

Family FamilyOf(const Ip& ip) {
  if (ip.saddr.family != ip.daddr.family)
    throw std::invalid_argument("a packet from one family to the other");
  return ip.saddr.family;
}

uint8_t IcmpProtocol(Family family) {
  return family == Family::kV4 ? kProtocolIcmp : kProtocolIcmp6;
}

uint16_t EtherTypeOf(Family family) {
  return family == Family::kV4 ? kEtherTypeIp4 : kEtherTypeIp6;
}

uint16_t L4Checksum(const Frame& frame) {
  const Bytes l4 = L4WithoutCheck(frame);
  return frame.ip.protocol == kProtocolIcmp
             ? InternetChecksum(l4)
             : ChecksumWithPseudoHeader(frame.ip.saddr, frame.ip.daddr,
                                        frame.ip.protocol, l4);
}

Bytes BuildL4(const Frame& frame) {
  Bytes l4 = L4WithoutCheck(frame);
  if (IsSctp(frame)) {
    const uint32_t crc = Crc32c(l4) + frame.l4_check_wrong_by;
    for (int i = 0; i < 4; ++i) l4[8 + i] = crc >> (8 * i) & 0xff;
  } else if (IsTcp(frame) || IsUdp(frame) || IsIcmp(frame)) {
    uint16_t check = AddWrong(L4Checksum(frame), frame.l4_check_wrong_by);
    if (IsUdp(frame) && check == 0) check = 0xffff;
    if (IsUdp(frame) && frame.udp_without_check) check = 0;
    Set16(l4, IsTcp(frame) ? 16 : IsUdp(frame) ? 6 : 2, check);
  }
  return l4;
}

Bytes BuildIp(const Ip& ip, std::span<const uint8_t> body) {
  return FamilyOf(ip) == Family::kV4 ? BuildIp4(ip, body) : BuildIp6(ip, body);
}

Bytes BuildEthernet(const Frame& frame) {
  Bytes bytes;
  PutAll(bytes, frame.dmac);
  PutAll(bytes, frame.smac);
  for (const VlanTag& tag : frame.vlans) {
    Put16(bytes, tag.tpid);
    Put16(bytes, tag.tci);
  }
  Put16(bytes, frame.ethertype.value_or(EtherTypeOf(FamilyOf(frame.ip))));
  return bytes;
}

Bytes BuildL3(const Frame& frame) {
  return BuildIp(frame.ip, BuildL4(frame));
}

Bytes Build(const Frame& frame) {
  Bytes bytes = BuildEthernet(frame);
  PutAll(bytes, BuildL3(frame));
  PutAll(bytes, frame.padding);
  return bytes;
}

// ---- reading

std::optional<Ethernet> ReadEthernet(std::span<const uint8_t> frame) {
  if (frame.size() < kEthBytes) return std::nullopt;
  Ethernet ethernet = {.ethertype = Get16(frame, 12), .bytes = kEthBytes};
  std::copy_n(frame.begin(), 6, ethernet.dmac.begin());
  std::copy_n(frame.begin() + 6, 6, ethernet.smac.begin());
  while (ethernet.ethertype == kEtherTypeVlan ||
         ethernet.ethertype == kEtherTypeQinq) {
    if (frame.size() < ethernet.bytes + 4) return std::nullopt;
    ethernet.vlans.push_back(
        {.tpid = ethernet.ethertype, .tci = Get16(frame, ethernet.bytes)});
    ethernet.ethertype = Get16(frame, ethernet.bytes + 2);
    ethernet.bytes += 4;
  }
  return ethernet;
}

std::span<const uint8_t> L3Of(std::span<const uint8_t> frame) {
  const std::optional<Ethernet> ethernet = ReadEthernet(frame);
  if (!ethernet) return {};
  const std::span<const uint8_t> l3 = frame.subspan(ethernet->bytes);
  size_t bytes = 0;
  if (ethernet->ethertype == kEtherTypeIp4 && l3.size() >= kIp4Bytes)
    bytes = Get16(l3, 2);
  if (ethernet->ethertype == kEtherTypeIp6 && l3.size() >= kIp6Bytes)
    bytes = kIp6Bytes + Get16(l3, 4);
  return l3.first(std::min(bytes, l3.size()));
}

uint16_t IpIdOf(std::span<const uint8_t> frame) {
  const std::span<const uint8_t> l3 = L3Of(frame);
  return l3.size() >= kIp4Bytes && l3[0] >> 4 == 4 ? Get16(l3, 4) : 0;
}

}  // namespace xlvs
