// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/compose.h"

#include <algorithm>
#include <stdexcept>

#include "tests/packet/checksum.h"

namespace xlvs {
namespace {

constexpr size_t kIp4Bytes = 20, kIp6Bytes = 40, kIcmpBytes = 8;

uint8_t TunnelProtocol(Family inner) {
  return inner == Family::kV4 ? kProtocolIp4 : kProtocolIp6;
}

// RFC 2784, 2.1.
Bytes BuildGre(uint16_t ethertype, bool with_check,
               std::span<const uint8_t> inner) {
  Bytes gre;
  Put16(gre, with_check ? 0x8000 : 0);
  Put16(gre, ethertype);
  if (with_check) Put32(gre, 0);
  PutAll(gre, inner);
  if (with_check) Set16(gre, 4, InternetChecksum(gre));
  return gre;
}

// What the second and later fragments have of a packet's options.
Bytes CopiedOptions(Bytes options) {
  constexpr uint8_t kEnd = 0, kNop = 1, kCopied = 0x80;
  for (size_t i = 0; i < options.size() && options[i] != kEnd;) {
    const size_t bytes = options[i] == kNop       ? 1
                         : i + 1 < options.size() ? options[i + 1]
                                                  : 0;
    if (bytes == 0 || i + bytes > options.size()) break;  // malformed
    if (!(options[i] & kCopied)) std::fill_n(options.begin() + i, bytes, kNop);
    i += bytes;
  }
  return options;
}

// How many of the extension headers are in every fragment: those that routers
// on the way look at.
size_t UnfragmentableExtensions(const std::vector<Extension>& extensions) {
  size_t count = 0;
  for (size_t i = 0; i < extensions.size(); ++i)
    if (extensions[i].type == kHopByHop || extensions[i].type == kRouting)
      count = i + 1;
  return count;
}

// The packet's IP headers as fragments have them, and what is cut.
struct Uncut {
  Ip ip;
  Bytes body;
};

Uncut UncutOf(const Frame& whole) {
  Uncut uncut = {.ip = whole.ip, .body = {}};
  std::vector<Extension>& extensions = uncut.ip.extensions;
  const size_t kept = UnfragmentableExtensions(extensions);
  for (size_t i = kept; i < extensions.size(); ++i) {
    Put8(uncut.body, i + 1 < extensions.size() ? extensions[i + 1].type
                                               : whole.ip.protocol);
    PutAll(uncut.body, extensions[i].rest);
  }
  if (kept < extensions.size()) uncut.ip.protocol = extensions[kept].type;
  extensions.resize(kept);
  PutAll(uncut.body, BuildL4(whole));
  return uncut;
}

Ip FragmentIp(Ip ip, size_t at_bytes, bool more_fragments, uint32_t id) {
  if (FamilyOf(ip) == Family::kV6) {
    ip.extensions.push_back(FragmentHeader(at_bytes / 8, more_fragments, id));
    return ip;
  }
  ip.dont_fragment = false;
  ip.offset = at_bytes / 8;
  ip.more_fragments = more_fragments;
  if (at_bytes > 0) ip.options = CopiedOptions(std::move(ip.options));
  return ip;
}

}  // namespace

Frame InTunnel(const Frame& inner, const TunnelHeader& tunnel) {
  Frame frame = InTunnel(BuildL3(inner), tunnel);
  frame.dmac = inner.dmac;
  frame.smac = inner.smac;
  frame.vlans = inner.vlans;
  return frame;
}

Frame InTunnel(std::span<const uint8_t> packet, const TunnelHeader& tunnel) {
  const Family family = packet[0] >> 4 == 4 ? Family::kV4 : Family::kV6;
  Frame frame;
  frame.ip.tos = tunnel.tos;
  frame.ip.ttl = tunnel.ttl;
  frame.ip.saddr = tunnel.saddr;
  frame.ip.daddr = tunnel.daddr;
  frame.ip.id = tunnel.id;
  frame.ip.dont_fragment = tunnel.dont_fragment;
  switch (tunnel.type) {
    case TunnelHeader::kIpip:
      frame.ip.protocol = TunnelProtocol(family);
      PutAll(frame.payload, packet);
      break;
    case TunnelHeader::kGue:
      frame.ip.protocol = kProtocolUdp;
      frame.sport = tunnel.sport;
      frame.dport = tunnel.dport;
      frame.udp_without_check = !tunnel.with_check;
      frame.payload = {0, TunnelProtocol(family), 0, 0};
      PutAll(frame.payload, packet);
      break;
    case TunnelHeader::kGre:
      frame.ip.protocol = kProtocolGre;
      frame.payload = BuildGre(EtherTypeOf(family), tunnel.with_check, packet);
      break;
  }
  return frame;
}

std::vector<Bytes> Fragments(const Frame& whole,
                             const std::vector<size_t>& sizes, uint32_t id) {
  const Uncut uncut = UncutOf(whole);
  const std::span<const uint8_t> body = uncut.body;
  std::vector<Bytes> fragments;
  for (size_t at = 0; at < body.size();) {
    const bool last = fragments.size() == sizes.size();
    const size_t bytes = last ? body.size() - at : sizes[fragments.size()];
    if ((!last && bytes % 8 != 0) || bytes == 0 || at + bytes > body.size())
      throw std::invalid_argument("a fragment of no possible size");
    const bool more = at + bytes < body.size();
    Bytes fragment = BuildEthernet(whole);
    PutAll(fragment, BuildIp(FragmentIp(uncut.ip, at, more, id),
                             body.subspan(at, bytes)));
    fragments.push_back(std::move(fragment));
    at += bytes;
  }
  return fragments;
}

Frame IcmpErrorFrame(const Addr& from, const Addr& to, const IcmpError& error,
                     std::span<const uint8_t> packet, size_t quote_bytes) {
  const bool v4 = from.family == Family::kV4;
  const uint8_t packet_tos = packet.size() < 2 ? 0 : packet[1];
  Frame frame = {.dmac = kDirectorMac, .smac = kRouterMac};
  frame.ip.tos = error.tos.value_or(v4 ? (packet_tos & 0x1e) | 0xc0 : 0);
  frame.ip.dont_fragment = false;
  frame.ip.protocol = IcmpProtocol(from.family);
  frame.ip.saddr = from;
  frame.ip.daddr = to;
  frame.icmp = {.type = error.type, .code = error.code, .rest = error.mtu};
  PutAll(frame.payload, packet.first(std::min(packet.size(), quote_bytes)));
  return frame;
}

Bytes BuildIcmpError(std::span<const uint8_t> offending, const IcmpError& error,
                     uint16_t ip_id) {
  const Ethernet ethernet = ReadEthernet(offending).value();
  const std::span<const uint8_t> packet = L3Of(offending);
  const bool v4 = ethernet.ethertype == kEtherTypeIp4;
  const Family family = v4 ? Family::kV4 : Family::kV6;
  const auto addr_at = [&](size_t at) {
    Addr addr = {.family = family};
    std::copy_n(packet.begin() + at, v4 ? 4 : 16, addr.byte.begin());
    return addr;
  };
  const size_t quote_bytes =
      v4 ? 576 - kIp4Bytes - kIcmpBytes : 1280 - kIp6Bytes - kIcmpBytes;
  Frame frame = IcmpErrorFrame(addr_at(v4 ? 16 : 24), addr_at(v4 ? 12 : 8),
                               error, packet, quote_bytes);
  frame.dmac = ethernet.smac;
  frame.smac = ethernet.dmac;
  frame.vlans = ethernet.vlans;
  frame.ip.id = ip_id;
  return Build(frame);
}

}  // namespace xlvs
