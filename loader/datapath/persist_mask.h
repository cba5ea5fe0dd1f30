// SPDX-License-Identifier: Apache-2.0
//
// Masks of addresses: how many bits of a prefix there are in one, and the mask
// of persistence, of Service and of xlvs_pool.
#ifndef XLVS_LOADER_DATAPATH_PERSIST_MASK_H_
#define XLVS_LOADER_DATAPATH_PERSIST_MASK_H_

#include <algorithm>
#include <bit>
#include <cstdint>

#include "loader/model/service.h"
#include "maps/addr.h"
#include "maps/pool.h"

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

inline xlvs_addr PersistMask(const Service& service) {
  if (!service.key.vaddr.is_v4()) return PrefixMask(service.persist_mask);
  xlvs_addr mask = IpAddr::FromV4(service.persist_mask).raw();
  std::fill_n(mask.byte, 12, 0xff);
  return mask;
}

inline uint32_t PersistMaskOf(const xlvs_pool& pool, bool is_v4) {
  if (!is_v4) return PrefixBits(pool.persist_mask);
  const uint8_t* byte = pool.persist_mask.byte + 12;
  return uint32_t{byte[0]} << 24 | byte[1] << 16 | byte[2] << 8 | byte[3];
}

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_PERSIST_MASK_H_
