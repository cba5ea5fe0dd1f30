// SPDX-License-Identifier: Apache-2.0
//
// The mask of persistence, as Service and as xlvs_pool have it.
#ifndef XLVS_LOADER_DATAPATH_PERSIST_MASK_H_
#define XLVS_LOADER_DATAPATH_PERSIST_MASK_H_

#include <algorithm>
#include <cstdint>

#include "loader/model/service.h"
#include "loader/net/prefix.h"
#include "maps/addr.h"
#include "maps/pool.h"

namespace xlvs {

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
