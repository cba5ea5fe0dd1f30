// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/describe.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/packet/checksum.h"
#include "tests/packet/packet.h"

namespace xlvs {

namespace {

using Span = std::span<const uint8_t>;

constexpr size_t kIp4Bytes = 20, kIp6Bytes = 40, kTcpBytes = 20, kUdpBytes = 8,
                 kSctpBytes = 12, kIcmpBytes = 8, kGueBytes = 4, kGreBytes = 4;

std::string MacText(Span mac) {
  std::string text;
  for (size_t i = 0; i < 6; ++i)
    absl::StrAppendFormat(&text, "%s%02x", i == 0 ? "" : ":", mac[i]);
  return text;
}

Addr AddrAt(Span in, size_t at, Family family) {
  Addr addr = {.family = family};
  std::copy_n(in.begin() + at, addr.wire().size(), addr.byte.begin());
  return addr;
}

std::string HexDump(Span bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) absl::StrAppendFormat(&text, "\n  %04x ", i);
    absl::StrAppendFormat(&text, "%s%02x", i % 8 == 0 ? "  " : " ", bytes[i]);
  }
  return text;
}

// One line a header, the headers of what is inside indented further.
class Description {
 public:
  void AddFrame(Span frame);
  std::string text() const { return text_; }

 private:
  // What is known of a packet when its L4 is looked at.
  struct Packet {
    Addr saddr;
    Addr daddr;
    bool whole = true;  // neither a fragment nor cut, as quotes are
  };

  void Line(const std::string& what) {
    absl::StrAppend(&text_, "\n", std::string(2 + 2 * depth_, ' '), what);
  }
  void Rest(Span bytes) {
    if (!bytes.empty()) Line(absl::StrCat(bytes.size(), " bytes"));
  }
  void Inside(Span packet) {
    ++depth_;
    AddIp(packet);
    --depth_;
  }

  void AddIp(Span packet);
  void AddIp4(Span packet);
  void AddIp6(Span packet);
  void AddL4(const Packet& packet, uint8_t protocol, Span l4);
  void AddTcp(const Packet& packet, Span l4);
  void AddUdp(const Packet& packet, Span l4);
  void AddSctp(const Packet& packet, Span l4);
  void AddIcmp(const Packet& packet, uint8_t protocol, Span l4);
  void AddGre(const Packet& packet, Span l4);

  std::string text_;
  int depth_ = 0;
};

std::string CheckText(bool known, uint32_t is, uint32_t should_be,
                      int digits = 4) {
  const std::string text = absl::StrFormat("check 0x%0*x", digits, is);
  if (!known) return text + " (of more than is here)";
  if (is == should_be) return text + " (right)";
  return absl::StrFormat("%s (should be 0x%0*x)", text, digits, should_be);
}

// `bytes` without the checksum in `count` bytes at `at`.
Bytes Without(Span bytes, size_t at, size_t count = 2) {
  Bytes without(bytes.begin(), bytes.end());
  std::fill_n(without.begin() + at, count, 0);
  return without;
}

void Description::AddFrame(Span frame) {
  text_ = absl::StrCat(frame.size(), " bytes");
  const std::optional<Ethernet> ethernet = ReadEthernet(frame);
  if (!ethernet) return;
  std::string tags;
  for (const VlanTag& tag : ethernet->vlans)
    absl::StrAppendFormat(&tags, " tag 0x%04x:0x%04x", tag.tpid, tag.tci);
  Line(absl::StrFormat("eth   %s > %s%s type 0x%04x", MacText(ethernet->smac),
                       MacText(ethernet->dmac), tags, ethernet->ethertype));
  const Span packet = frame.subspan(ethernet->bytes);
  if (ethernet->ethertype == kEtherTypeIp4)
    AddIp4(packet);
  else if (ethernet->ethertype == kEtherTypeIp6)
    AddIp6(packet);
}

// By its version.
void Description::AddIp(Span packet) {
  const int version = packet.empty() ? 0 : packet[0] >> 4;
  if (version == 4)
    AddIp4(packet);
  else if (version == 6)
    AddIp6(packet);
  else
    Rest(packet);
}

void Description::AddIp4(Span packet) {
  if (packet.size() < kIp4Bytes) return Rest(packet);
  const size_t header_bytes = (packet[0] & 0xf) * 4;
  const uint16_t total_bytes = Get16(packet, 2), fragment = Get16(packet, 6);
  const bool header_whole =
      header_bytes >= kIp4Bytes && header_bytes <= packet.size();
  const Span header = packet.first(header_whole ? header_bytes : kIp4Bytes);
  const Packet what = {
      .saddr = AddrAt(packet, 12, Family::kV4),
      .daddr = AddrAt(packet, 16, Family::kV4),
      .whole = total_bytes <= packet.size() && (fragment & 0x3fff) == 0};
  Line(absl::StrFormat(
      "ip    %s > %s version %d ihl %d tos 0x%02x length %d id 0x%04x "
      "fragment 0x%04x ttl %d protocol %d %s",
      what.saddr.ToString(), what.daddr.ToString(), packet[0] >> 4,
      packet[0] & 0xf, packet[1], total_bytes, Get16(packet, 4), fragment,
      packet[8], packet[9],
      CheckText(header_whole, Get16(packet, 10),
                InternetChecksum(Without(header, 10)))));
  if (!header_whole || total_bytes < header_bytes) return;
  if (header_bytes > kIp4Bytes)
    Line(absl::StrCat("options, ", header_bytes - kIp4Bytes, " bytes"));
  const Span l4 = packet.first(std::min<size_t>(total_bytes, packet.size()))
                      .subspan(header_bytes);
  if ((fragment & 0x1fff) != 0) return Rest(l4);
  AddL4(what, packet[9], l4);
}

void Description::AddIp6(Span packet) {
  if (packet.size() < kIp6Bytes) return Rest(packet);
  const uint32_t first = Get32(packet, 0);
  const size_t total_bytes = kIp6Bytes + Get16(packet, 4);
  Packet what = {.saddr = AddrAt(packet, 8, Family::kV6),
                 .daddr = AddrAt(packet, 24, Family::kV6),
                 .whole = total_bytes <= packet.size()};
  uint8_t next = packet[6];
  Line(absl::StrFormat(
      "ip6   %s > %s version %d class 0x%02x label 0x%05x length %d next %d "
      "hops %d",
      what.saddr.ToString(), what.daddr.ToString(), first >> 28,
      first >> 20 & 0xff, first & 0xfffff, Get16(packet, 4), next, packet[7]));
  Span rest =
      packet.first(std::min(total_bytes, packet.size())).subspan(kIp6Bytes);
  while (next == kHopByHop || next == kRouting || next == kFragment ||
         next == kAuthentication || next == kDestOptions) {
    if (rest.size() < 8) return Rest(rest);
    const size_t bytes = next == kFragment         ? 8
                         : next == kAuthentication ? (rest[1] + 2) * 4
                                                   : (rest[1] + 1) * 8;
    if (rest.size() < bytes) return Rest(rest);
    const bool is_fragment = next == kFragment;
    const uint16_t fragment = Get16(rest, 2);
    if (is_fragment)
      Line(absl::StrFormat("fragment at %d%s id 0x%08x next %d", fragment & ~7,
                           fragment & 1 ? " of more" : "", Get32(rest, 4),
                           rest[0]));
    else
      Line(absl::StrFormat("extension %d, %d bytes, next %d", next, bytes,
                           rest[0]));
    next = rest[0];
    rest = rest.subspan(bytes);
    if (is_fragment && (fragment & ~6) != 0) what.whole = false;
    if (is_fragment && (fragment & ~7) != 0) return Rest(rest);
  }
  AddL4(what, next, rest);
}

void Description::AddL4(const Packet& packet, uint8_t protocol, Span l4) {
  if (protocol == kProtocolTcp && l4.size() >= kTcpBytes)
    AddTcp(packet, l4);
  else if (protocol == kProtocolUdp && l4.size() >= kUdpBytes)
    AddUdp(packet, l4);
  else if (protocol == kProtocolSctp && l4.size() >= kSctpBytes)
    AddSctp(packet, l4);
  else if ((protocol == kProtocolIcmp || protocol == kProtocolIcmp6) &&
           l4.size() >= kIcmpBytes)
    AddIcmp(packet, protocol, l4);
  else if (protocol == kProtocolIp4 || protocol == kProtocolIp6)
    Inside(l4);
  else if (protocol == kProtocolGre && l4.size() >= kGreBytes)
    AddGre(packet, l4);
  else if (l4.size() >= 4)  // at least the ports, if it has any
    Line(absl::StrFormat("protocol %d, %d bytes: %d > %d ...", protocol,
                         l4.size(), Get16(l4, 0), Get16(l4, 2)));
  else
    Line(absl::StrFormat("protocol %d, %d bytes", protocol, l4.size()));
}

void Description::AddTcp(const Packet& packet, Span l4) {
  std::string flags;
  for (int bit = 0; bit < 8; ++bit)
    if (l4[13] >> bit & 1) flags += "FSRPAUEC"[bit];
  Line(absl::StrFormat(
      "tcp   %d > %d seq %#x ack %#x offset %d flags [%s] window %d urgent %d "
      "%s, %d bytes",
      Get16(l4, 0), Get16(l4, 2), Get32(l4, 4), Get32(l4, 8), l4[12] >> 4,
      flags, Get16(l4, 14), Get16(l4, 18),
      CheckText(packet.whole, Get16(l4, 16),
                ChecksumWithPseudoHeader(packet.saddr, packet.daddr,
                                         kProtocolTcp, Without(l4, 16))),
      l4.size() - kTcpBytes));
}

void Description::AddUdp(const Packet& packet, Span l4) {
  const uint16_t right = ChecksumWithPseudoHeader(packet.saddr, packet.daddr,
                                                  kProtocolUdp, Without(l4, 6));
  const Span payload = l4.subspan(kUdpBytes);
  const uint16_t is = Get16(l4, 6);
  Line(absl::StrFormat(
      "udp   %d > %d length %d %s, %d bytes", Get16(l4, 0), Get16(l4, 2),
      Get16(l4, 4),
      is == 0 ? "check 0 (none)"
              : CheckText(packet.whole, is, right != 0 ? right : 0xffff),
      payload.size()));
  // GUE has no port of its own: what looks like it is it.
  if (payload.size() <= kGueBytes || payload[0] != 0 || Get16(payload, 2) != 0)
    return;
  const int version = payload[kGueBytes] >> 4;
  if ((payload[1] == kProtocolIp4 && version == 4) ||
      (payload[1] == kProtocolIp6 && version == 6)) {
    Line(absl::StrFormat("gue   protocol %d", payload[1]));
    Inside(payload.subspan(kGueBytes));
  }
}

void Description::AddSctp(const Packet& packet, Span l4) {
  uint32_t is = 0;
  for (int i = 0; i < 4; ++i) is |= static_cast<uint32_t>(l4[8 + i]) << 8 * i;
  Line(absl::StrFormat(
      "sctp  %d > %d tag 0x%08x %s", Get16(l4, 0), Get16(l4, 2), Get32(l4, 4),
      CheckText(packet.whole, is, Crc32c(Without(l4, 8, 4)), 8)));
  for (Span rest = l4.subspan(kSctpBytes); rest.size() >= 4;) {
    const size_t bytes = Get16(rest, 2);
    Line(absl::StrFormat("chunk %d flags 0x%02x length %d", rest[0], rest[1],
                         bytes));
    const size_t padded = (std::max<size_t>(bytes, 4) + 3) / 4 * 4;
    rest = rest.subspan(std::min(padded, rest.size()));
  }
}

void Description::AddIcmp(const Packet& packet, uint8_t protocol, Span l4) {
  const bool v4 = protocol == kProtocolIcmp;
  const Bytes without = Without(l4, 2);
  const uint16_t right =
      v4 ? InternetChecksum(without)
         : ChecksumWithPseudoHeader(packet.saddr, packet.daddr, protocol,
                                    without);
  Line(absl::StrFormat("%s type %d code %d rest 0x%08x %s, %d bytes",
                       v4 ? "icmp " : "icmp6", l4[0], l4[1], Get32(l4, 4),
                       CheckText(packet.whole, Get16(l4, 2), right),
                       l4.size() - kIcmpBytes));
  const bool is_error =
      v4 ? l4[0] == 3 || l4[0] == 4 || l4[0] == 11 || l4[0] == 12 : l4[0] < 128;
  if (is_error) Inside(l4.subspan(kIcmpBytes));
}

void Description::AddGre(const Packet& packet, Span l4) {
  const bool with_check = l4[0] & 0x80;
  std::string check = "no check";
  if (with_check && l4.size() >= 8)
    check =
        CheckText(packet.whole, Get16(l4, 4), InternetChecksum(Without(l4, 4)));
  Line(absl::StrFormat("gre   flags 0x%04x type 0x%04x %s", Get16(l4, 0),
                       Get16(l4, 2), check));
  Inside(l4.subspan(std::min<size_t>(with_check ? 8 : 4, l4.size())));
}

}  // namespace

std::string Describe(std::span<const uint8_t> frame) {
  Description description;
  description.AddFrame(frame);
  return description.text() + HexDump(frame);
}

}  // namespace xlvs
