// SPDX-License-Identifier: Apache-2.0
//
// Addresses as values: text <-> struct xlvs_addr (IPv4 stored v4-mapped).
#ifndef XLVS_LOADER_NET_IP_ADDR_H_
#define XLVS_LOADER_NET_IP_ADDR_H_

#include <compare>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "maps/addr.h"

namespace xlvs {

class IpAddr {
 public:
  IpAddr() = default;
  explicit IpAddr(const xlvs_addr& raw) : raw_(raw) {}

  // `host_order`: 10.0.0.1 is 0x0a000001.
  static IpAddr FromV4(uint32_t host_order);
  // As they are on the wire: 4 bytes, 16 bytes.
  static IpAddr FromV4Bytes(const uint8_t* bytes);
  static IpAddr FromV6Bytes(const uint8_t* bytes);
  // Numeric only ("10.0.0.1", "2001:db8::1"); never asks a resolver.
  static absl::StatusOr<IpAddr> Parse(absl::string_view text);

  bool is_v4() const;
  uint32_t v4_host_order() const;  // only if is_v4()
  bool is_zero() const;            // 0.0.0.0 or ::
  bool is_multicast() const;
  // An address that one host may have: not zero (0.0.0.0/8, ::), not multicast,
  // not 255.255.255.255. What is a broadcast only on some network is not known
  // here.
  bool is_unicast() const;
  bool is_v6_link_local() const;  // fe80::/10
  std::string ToString() const;   // "10.0.0.1", "2001:db8::1"; no brackets
  const xlvs_addr& raw() const { return raw_; }

  friend bool operator==(const IpAddr& a, const IpAddr& b) {
    return std::memcmp(&a.raw_, &b.raw_, sizeof(xlvs_addr)) == 0;
  }
  friend std::strong_ordering operator<=>(const IpAddr& a, const IpAddr& b) {
    return std::memcmp(&a.raw_, &b.raw_, sizeof(xlvs_addr)) <=> 0;
  }
  template <typename H>
  friend H AbslHashValue(H h, const IpAddr& a) {
    return H::combine_contiguous(std::move(h), a.raw_.byte, 16);
  }

 private:
  xlvs_addr raw_ = {};
};

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_IP_ADDR_H_
