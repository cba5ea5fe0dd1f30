// SPDX-License-Identifier: Apache-2.0
//
// Prefixes of addresses in the 128 bits that they have inside, where IPv4 is
// the last 32 (maps/addr.h).
#ifndef XLVS_LOADER_NET_PREFIX_H_
#define XLVS_LOADER_NET_PREFIX_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "loader/net/ip_addr.h"
#include "maps/addr.h"

namespace xlvs {

// The first `bits` of 128.
inline xlvs_addr PrefixMask(uint32_t bits) {
  xlvs_addr mask = {};
  for (uint32_t i = 0; i < std::min(bits, 128u); ++i)
    mask.byte[i / 8] |= 0x80 >> i % 8;
  return mask;
}

inline uint32_t PrefixBits(const xlvs_addr& mask) {
  uint32_t bits = 0;
  for (const uint8_t byte : mask.byte) bits += std::popcount(byte);
  return bits;
}

// Without the bits behind the first `bits` of 128.
inline IpAddr NetworkOf(const IpAddr& addr, uint32_t bits) {
  const xlvs_addr mask = PrefixMask(bits);
  xlvs_addr network = addr.raw();
  for (int i = 0; i < 16; ++i) network.byte[i] &= mask.byte[i];
  return IpAddr(network);
}

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_PREFIX_H_
