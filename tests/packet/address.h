// SPDX-License-Identifier: Apache-2.0
//
// Addresses of both families as values, and the address book of the tests:
// documentation ranges only (RFC 5737, RFC 3849, RFC 7042).
#ifndef XLVS_TESTS_PACKET_ADDRESS_H_
#define XLVS_TESTS_PACKET_ADDRESS_H_

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace xlvs {

using Mac = std::array<uint8_t, 6>;

enum class Family : uint8_t { kV4, kV6 };

// The family is apart from the bytes, so that an IPv6 packet may carry what
// looks like a v4-mapped address.
struct Addr {
  Family family = Family::kV4;
  std::array<uint8_t, 16> byte = {};  // IPv4: the first four

  // Only if it is IPv4; host order.
  constexpr uint32_t v4() const {
    if (family != Family::kV4) throw std::logic_error("not an IPv4 address");
    return static_cast<uint32_t>(byte[0]) << 24 | byte[1] << 16 | byte[2] << 8 |
           byte[3];
  }
  // As many bytes as the address has on the wire.
  std::span<const uint8_t> wire() const {
    return std::span(byte).first(family == Family::kV4 ? 4 : 16);
  }
  std::string ToString() const;

  friend constexpr bool operator==(const Addr&, const Addr&) = default;
};

// `host_order`: 10.0.0.1 is 0x0a000001.
constexpr Addr V4(uint32_t host_order) {
  Addr addr = {};
  for (int i = 0; i < 4; ++i) addr.byte[i] = host_order >> (24 - 8 * i) & 0xff;
  return addr;
}
constexpr Addr V4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return V4(a << 24 | b << 16 | c << 8 | d);
}

// RFC 4291, 2.2: "2001:db8::1". No dotted quads. What is malformed does not
// compile where a constant is wanted, and throws elsewhere.
constexpr Addr V6(std::string_view text) {
  Addr addr = {.family = Family::kV6};
  size_t groups = 0;
  size_t gap = 9;  // the group before which "::" stands
  while (!text.empty()) {
    if (text.starts_with("::")) {
      if (gap != 9) throw std::invalid_argument("two gaps");
      gap = groups;
      text.remove_prefix(2);
      continue;
    }
    if (text.starts_with(":")) text.remove_prefix(1);
    const size_t digits =
        text.find(':') == text.npos ? text.size() : text.find(':');
    if (digits < 1 || digits > 4 || groups == 8)
      throw std::invalid_argument("not an IPv6 address");
    uint32_t group = 0;
    for (const char c : text.substr(0, digits)) {
      const uint32_t value = c >= '0' && c <= '9'   ? c - '0'
                             : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                    : 16;
      if (value == 16) throw std::invalid_argument("not a hex digit");
      group = group << 4 | value;
    }
    addr.byte[groups * 2] = group >> 8;
    addr.byte[groups * 2 + 1] = group & 0xff;
    ++groups;
    text.remove_prefix(digits);
  }
  if ((gap == 9) != (groups == 8))
    throw std::invalid_argument("not eight groups");
  if (gap == 9) return addr;
  // What stands behind the gap belongs to the end.
  Addr moved = {.family = Family::kV6};
  for (size_t i = 0; i < gap * 2; ++i) moved.byte[i] = addr.byte[i];
  for (size_t i = gap * 2; i < groups * 2; ++i)
    moved.byte[16 - groups * 2 + i] = addr.byte[i];
  return moved;
}

// RFC 4291, 2.5.5.2: as an IPv6 packet should never carry it.
constexpr Addr AsMapped(const Addr& v4) {
  Addr addr = V6("::ffff:0:0");
  for (int i = 0; i < 4; ++i) addr.byte[12 + i] = v4.byte[i];
  return addr;
}

// The address `count` on, of either family.
constexpr Addr operator+(Addr addr, uint32_t count) {
  const int end = addr.family == Family::kV4 ? 4 : 16;
  uint64_t carry = count;
  for (int i = end - 1; i >= end - 4; --i) {
    carry += addr.byte[i];
    addr.byte[i] = carry & 0xff;
    carry >>= 8;
  }
  return addr;
}

struct Endpoint {
  Addr addr = {};
  uint16_t port = 0;  // host order, like all numbers here
};

// ---- the address book

constexpr Mac kRouterMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x01};
constexpr Mac kDirectorMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x02};
constexpr Mac kInnerMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x03};
constexpr Mac kDest1Mac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x11};
constexpr Mac kDest2Mac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x12};

// Who there is, once in each family: a test that is about both takes a page.
struct AddressBook {
  Endpoint client1;
  Endpoint client2;
  Endpoint service1;
  Endpoint service2;
  Endpoint dest1;
  Endpoint dest2;
  Endpoint stranger;
  Addr director;       // on the network of the dests: the source of tunnels
  Addr client_router;  // somewhere between the clients and the director
  Addr dest_router;    // somewhere between the director and the dests
};
constexpr AddressBook kBookV4 = {
    .client1 = {V4(203, 0, 113, 1), 40001},
    .client2 = {V4(203, 0, 113, 2), 40002},
    .service1 = {V4(198, 51, 100, 1), 80},
    .service2 = {V4(198, 51, 100, 2), 80},
    .dest1 = {V4(192, 0, 2, 1), 8080},
    .dest2 = {V4(192, 0, 2, 2), 8080},
    .stranger = {V4(203, 0, 113, 99), 80},
    .director = V4(192, 0, 2, 254),
    .client_router = V4(203, 0, 113, 254),
    .dest_router = V4(192, 0, 2, 253),
};
constexpr AddressBook kBookV6 = {
    .client1 = {V6("2001:db8:c::1"), 40001},
    .client2 = {V6("2001:db8:c::2"), 40002},
    .service1 = {V6("2001:db8:5::1"), 80},
    .service2 = {V6("2001:db8:5::2"), 80},
    .dest1 = {V6("2001:db8:d::1"), 8080},
    .dest2 = {V6("2001:db8:d::2"), 8080},
    .stranger = {V6("2001:db8:c::99"), 80},
    .director = V6("2001:db8:d::fe"),
    .client_router = V6("2001:db8:c::fe"),
    .dest_router = V6("2001:db8:d::fd"),
};
constexpr const AddressBook& BookOf(Family family) {
  return family == Family::kV4 ? kBookV4 : kBookV6;
}
constexpr Family kFamilies[] = {Family::kV4, Family::kV6};

constexpr Endpoint kClient1 = kBookV4.client1;
constexpr Endpoint kClient2 = kBookV4.client2;
constexpr Endpoint kService1 = kBookV4.service1;
constexpr Endpoint kService2 = kBookV4.service2;
constexpr Endpoint kDest1 = kBookV4.dest1;
constexpr Endpoint kDest2 = kBookV4.dest2;
constexpr Endpoint kStranger = kBookV4.stranger;

constexpr Endpoint kClient1V6 = kBookV6.client1;
constexpr Endpoint kClient2V6 = kBookV6.client2;
constexpr Endpoint kService1V6 = kBookV6.service1;
constexpr Endpoint kService2V6 = kBookV6.service2;
constexpr Endpoint kDest1V6 = kBookV6.dest1;
constexpr Endpoint kDest2V6 = kBookV6.dest2;
constexpr Endpoint kStrangerV6 = kBookV6.stranger;

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_ADDRESS_H_
