// SPDX-License-Identifier: Apache-2.0
//
// Packets as values: a struct whose fields are the headers' fields, and the
// bytes that it stands for. Checksums are computed here the plain way, over the
// whole packet (checksum.h): nothing is shared with the code under test.
//
//   Frame in = TcpFrame(kClient1, kService1, kSyn);
//   in.ip.ttl = 1;
//   const Bytes bytes = Build(in);
//
// One struct serves both families: a packet is IPv6 where its addresses are.
// What is made of whole packets (tunnels, fragments, ICMP errors) is in
// compose.h, their text in describe.h, the address book in address.h.
#ifndef XLVS_TESTS_PACKET_PACKET_H_
#define XLVS_TESTS_PACKET_PACKET_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tests/packet/address.h"
#include "tests/packet/wire.h"

namespace xlvs {

// Bits of the TCP flags byte.
constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08,
                  kAck = 0x10, kUrg = 0x20;

constexpr uint16_t kEtherTypeIp4 = 0x0800, kEtherTypeIp6 = 0x86dd,
                   kEtherTypeVlan = 0x8100, kEtherTypeQinq = 0x88a8;

constexpr uint8_t kProtocolIcmp = 1, kProtocolIp4 = 4, kProtocolTcp = 6,
                  kProtocolUdp = 17, kProtocolIp6 = 41, kProtocolGre = 47,
                  kProtocolIcmp6 = 58, kProtocolSctp = 132;
// IPv6 extension headers.
constexpr uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44,
                  kAuthentication = 51, kDestOptions = 60;

struct VlanTag {
  uint16_t tpid = kEtherTypeVlan;
  uint16_t tci = 0;
  friend bool operator==(const VlanTag&, const VlanTag&) = default;
};

// An IPv6 extension header: all of it but the first byte, which says what
// follows.
struct Extension {
  uint8_t type = 0;
  Bytes rest = {};
};
// RFC 8200, 4.3 and 4.6: padded to a multiple of 8 bytes.
Extension HopByHopOptions(Bytes options = {});
Extension DestOptions(Bytes options = {});
// RFC 8200, 4.4: `data` is what follows segments left, 4 bytes and then a
// multiple of 8.
Extension Routing(uint8_t routing_type, uint8_t segments_left, Bytes data);
// RFC 8200, 4.5: `offset` in units of 8 bytes.
Extension FragmentHeader(uint16_t offset, bool more_fragments, uint32_t id);
// RFC 4302: `icv` is a multiple of 8 bytes and 4.
Extension Authentication(uint32_t spi, uint32_t sequence, Bytes icv);

struct Ip {
  std::optional<uint8_t> version = {};  // else the family's
  uint8_t tos = 0;                      // the traffic class of IPv6
  // All of the packet; else what it is. IPv6 writes 40 less.
  std::optional<uint16_t> total_bytes = {};
  uint8_t ttl = 64;                 // the hop limit of IPv6
  uint8_t protocol = kProtocolTcp;  // behind all extension headers
  Addr saddr = {};
  Addr daddr = {};

  // IPv4 only.
  std::optional<uint8_t> ihl = {};  // else as long as the options are
  uint16_t id = 0x1234;
  bool dont_fragment = true;
  bool more_fragments = false;
  uint16_t offset = 0;  // in units of 8 bytes
  Bytes options = {};
  uint16_t check_wrong_by = 0;  // added to the right sum

  // IPv6 only.
  uint32_t flow_label = 0;
  std::vector<Extension> extensions = {};
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

// RFC 9260, 3.2. Padded to a multiple of 4 bytes on the wire.
struct SctpChunk {
  uint8_t type = 0;
  uint8_t flags = 0;
  Bytes value = {};
  std::optional<uint16_t> length_bytes = {};  // else what it is
};
constexpr uint8_t kSctpData = 0, kSctpInit = 1, kSctpInitAck = 2, kSctpSack = 3,
                  kSctpHeartbeat = 4, kSctpHeartbeatAck = 5, kSctpAbort = 6,
                  kSctpShutdown = 7, kSctpShutdownAck = 8, kSctpError = 9,
                  kSctpCookieEcho = 10, kSctpCookieAck = 11,
                  kSctpShutdownComplete = 14;

struct Sctp {
  uint32_t tag = 0x0a0b0c0d;
  std::vector<SctpChunk> chunks = {};
};

// Of both families.
struct Icmp {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest =
      0;  // id and sequence, MTU, pointer: what the type makes of it
};
constexpr uint8_t kEchoRequest = 8, kEchoReply = 0, kEchoRequest6 = 128,
                  kEchoReply6 = 129;

// `ip.protocol` says which of tcp, sctp and icmp (of the packet's family)
// counts; with another protocol than these and UDP, `payload` follows the IP
// headers.
struct Frame {
  Mac dmac = {};
  Mac smac = {};
  std::vector<VlanTag> vlans = {};         // outermost first
  std::optional<uint16_t> ethertype = {};  // else the family's
  Ip ip = {};
  uint16_t sport = 0;
  uint16_t dport = 0;
  Tcp tcp = {};
  Sctp sctp = {};
  Icmp icmp = {};
  bool udp_without_check = false;
  uint16_t l4_check_wrong_by = 0;  // added to the right one
  Bytes payload = {};
  Bytes padding = {};  // after the IP packet
};

Frame TcpFrame(Endpoint from, Endpoint to, uint8_t flags, size_t payload = 0);
Frame UdpFrame(Endpoint from, Endpoint to, size_t payload = 0);
Frame SctpFrame(Endpoint from, Endpoint to, std::vector<SctpChunk> chunks);
// An echo request of the addresses' family.
Frame EchoFrame(const Addr& from, const Addr& to, uint16_t id,
                uint16_t sequence, size_t payload = 0);

// The family of both addresses.
Family FamilyOf(const Ip& ip);
uint8_t IcmpProtocol(Family family);
uint16_t EtherTypeOf(Family family);

Bytes Build(const Frame& frame);
// From the IP header on, without padding.
Bytes BuildL3(const Frame& frame);
// Its parts: what stands before the IP header, the IP headers before `body`,
// and the body.
Bytes BuildEthernet(const Frame& frame);
Bytes BuildIp(const Ip& ip, std::span<const uint8_t> body);
Bytes BuildL4(const Frame& frame);

// Bytes that are different from one position to the next.
Bytes Pattern(size_t bytes);

// The TCP, UDP or ICMP checksum that the packet should have; its own is left
// out.
uint16_t L4Checksum(const Frame& frame);

// What stands before the IP header of a built frame.
struct Ethernet {
  Mac dmac = {};
  Mac smac = {};
  std::vector<VlanTag> vlans = {};
  uint16_t ethertype = 0;
  size_t bytes = 0;
};
// Nothing if it is shorter than its tags say.
std::optional<Ethernet> ReadEthernet(std::span<const uint8_t> frame);
// From the IP header of a built frame on, as long as that says.
std::span<const uint8_t> L3Of(std::span<const uint8_t> frame);
// The IPv4 id of a built frame, 0 for IPv6.
uint16_t IpIdOf(std::span<const uint8_t> frame);

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_PACKET_H_
