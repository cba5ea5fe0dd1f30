// SPDX-License-Identifier: Apache-2.0
//
// Packets made of packets: tunnels around them, fragments of them, ICMP errors
// about them.
#ifndef XLVS_TESTS_PACKET_COMPOSE_H_
#define XLVS_TESTS_PACKET_COMPOSE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tests/packet/packet.h"

namespace xlvs {

// ---- tunnels

// What is around a packet, but for what that says itself.
struct TunnelHeader {
  enum Type : uint8_t {
    kIpip,  // RFC 2003, RFC 2473, RFC 4213: any family in any
    kGue,   // draft-ietf-intarea-gue, variant 0, without options
    kGre,   // RFC 2784
  };
  Type type = kIpip;
  Addr saddr = {};
  Addr daddr = {};
  uint8_t tos = 0;
  uint8_t ttl = 64;
  bool dont_fragment = true;  // IPv4 only, as is `id`
  uint16_t id = 0;
  uint16_t sport = 0;  // GUE only, as is `dport`
  uint16_t dport = 6080;
  bool with_check = false;  // GUE: of UDP; GRE: its own
};

// `inner` in a tunnel, in a frame of the same MAC addresses and tags; without
// its padding.
Frame InTunnel(const Frame& inner, const TunnelHeader& tunnel);
// A packet from its IP header on in a tunnel; the frame has no MAC addresses.
Frame InTunnel(std::span<const uint8_t> packet, const TunnelHeader& tunnel);

// ---- fragments

constexpr uint32_t kFragmentId = 0xfedcba98;

// The frames that a host makes of one that is too big: each carries as many
// bytes as `sizes` says (multiples of 8), one more the rest. Fragments of IPv4
// have the packet's id, and its copied options (RFC 791, 3.1; others become
// NOPs, as Linux does it) from the second on; those of IPv6 have `id` and the
// extension headers up to the routing header (RFC 8200, 4.5). None has DF.
std::vector<Bytes> Fragments(const Frame& whole,
                             const std::vector<size_t>& sizes,
                             uint32_t id = kFragmentId);

// ---- ICMP errors

struct IcmpError {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t mtu = 0;
  // Of the packet that carries it; else Linux's rules: of IPv4 that of the
  // packet it is about with precedence 6, without the low bit (icmp_send), of
  // IPv6 zero (icmp6_send).
  std::optional<uint8_t> tos = {};
};

constexpr IcmpError PortUnreachable(Family family) {
  return family == Family::kV4 ? IcmpError{.type = 3, .code = 3}
                               : IcmpError{.type = 1, .code = 4};
}
// Of IPv6: "address unreachable".
constexpr IcmpError HostUnreachable(Family family) {
  return family == Family::kV4 ? IcmpError{.type = 3, .code = 1}
                               : IcmpError{.type = 1, .code = 3};
}
constexpr IcmpError TimeExceeded(Family family) {
  return family == Family::kV4 ? IcmpError{.type = 11} : IcmpError{.type = 3};
}
constexpr IcmpError TooBig(Family family, uint32_t mtu) {
  return family == Family::kV4 ? IcmpError{.type = 3, .code = 4, .mtu = mtu}
                               : IcmpError{.type = 2, .mtu = mtu};
}

// From anybody to anybody of one family, quoting the first `quote_bytes` of a
// packet (from its IP header on).
Frame IcmpErrorFrame(const Addr& from, const Addr& to, const IcmpError& error,
                     std::span<const uint8_t> packet, size_t quote_bytes);

// The error that answers a built frame, whole: sent back by the address that it
// was sent to, to MAC addresses, in tags and with as long a quote as Linux
// would (576 bytes in all, or 1280 of IPv6).
Bytes BuildIcmpError(std::span<const uint8_t> offending, const IcmpError& error,
                     uint16_t ip_id);

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_COMPOSE_H_
