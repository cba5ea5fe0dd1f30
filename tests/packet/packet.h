// SPDX-License-Identifier: Apache-2.0
//
// Packets as values: a struct whose fields are the headers' fields, and the
// bytes that it stands for. Checksums are computed here the plain way, over the
// whole packet: nothing is shared with the code under test.
//
//   Frame in = TcpFrame(kClient1, kService1, kSyn);
//   in.ip.ttl = 1;
//   const Bytes bytes = Build(in);
//
// The address book is at the end: documentation ranges only.
#ifndef XLVS_TESTS_PACKET_PACKET_H_
#define XLVS_TESTS_PACKET_PACKET_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace xlvs {

using Bytes = std::vector<uint8_t>;
using Mac = std::array<uint8_t, 6>;

constexpr uint32_t V4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

struct Endpoint {
  uint32_t addr = 0;  // host order, like all numbers here
  uint16_t port = 0;
};

// Bits of the TCP flags byte.
constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08,
                  kAck = 0x10, kUrg = 0x20;

constexpr uint16_t kEtherTypeIp4 = 0x0800;
constexpr uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolUdp = 17;

struct Ip4 {
  uint8_t version = 4;
  std::optional<uint8_t> ihl = {};  // else as long as the options are
  uint8_t tos = 0;
  std::optional<uint16_t> total_bytes = {};  // else what it is
  uint16_t id = 0x1234;
  bool dont_fragment = true;
  bool more_fragments = false;
  uint16_t offset = 0;  // in units of 8 bytes
  uint8_t ttl = 64;
  uint8_t protocol = kProtocolTcp;
  uint32_t saddr = 0;
  uint32_t daddr = 0;
  Bytes options = {};
  uint16_t check_wrong_by = 0;  // added to the right sum
};

struct Tcp {
  uint32_t seq = 0x10203040;
  uint32_t ack = 0x50607080;
  uint8_t reserved = 0;  // the four bits beside the data offset
  uint8_t flags = kAck;
  uint16_t window = 0xfaf0;
  uint16_t urgent = 0;
  Bytes options = {};
};

// With another protocol than TCP and UDP, `payload` follows the IP header.
struct Frame {
  Mac dmac = {};
  Mac smac = {};
  std::vector<uint16_t> vlan_types = {};  // outermost first
  uint16_t ethertype = kEtherTypeIp4;
  Ip4 ip = {};
  uint16_t sport = 0;
  uint16_t dport = 0;
  Tcp tcp = {};
  bool udp_without_check = false;
  uint16_t l4_check_wrong_by = 0;
  Bytes payload = {};
  Bytes padding = {};  // after the IP packet
};

Frame TcpFrame(Endpoint from, Endpoint to, uint8_t flags, size_t payload = 0);
Frame UdpFrame(Endpoint from, Endpoint to, size_t payload = 0);

Bytes Build(const Frame& frame);

// Bytes that are different from one position to the next.
Bytes Pattern(size_t bytes);

// RFC 1071, over the bytes as they are; a checksum field in them counts.
uint16_t InternetChecksum(std::span<const uint8_t> bytes);
// The TCP or UDP checksum that the packet should have; its own is left out.
uint16_t L4Checksum(const Frame& frame);

// The ICMP error that answers `offending`, whole: IP header, quote, checksums.
struct IcmpError {
  uint8_t type = 0;
  uint8_t code = 0;
  uint16_t mtu = 0;
};
Bytes BuildIcmpError(std::span<const uint8_t> offending, const IcmpError& error,
                     uint16_t ip_id);
// The IP id of a built frame.
uint16_t IpIdOf(std::span<const uint8_t> bytes);

// Field by field, with "(right)" or "(should be ...)" after checksums, then a
// hex dump.
std::string Describe(std::span<const uint8_t> bytes);

// ---- the address book

constexpr Mac kRouterMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x01};
constexpr Mac kDirectorMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x02};
constexpr Mac kInnerMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x03};
constexpr Mac kDest1Mac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x11};
constexpr Mac kDest2Mac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x12};

constexpr Endpoint kClient1 = {V4(203, 0, 113, 1), 40001};
constexpr Endpoint kClient2 = {V4(203, 0, 113, 2), 40002};
constexpr Endpoint kService1 = {V4(198, 51, 100, 1), 80};
constexpr Endpoint kService2 = {V4(198, 51, 100, 2), 80};
constexpr Endpoint kDest1 = {V4(192, 0, 2, 1), 8080};
constexpr Endpoint kDest2 = {V4(192, 0, 2, 2), 8080};
constexpr Endpoint kStranger = {V4(203, 0, 113, 99), 80};

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_PACKET_H_
