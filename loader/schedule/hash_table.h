// SPDX-License-Identifier: Apache-2.0
//
// The tables of sh, dh and mh: which dest owns which slot, as ip_vs_sh.c,
// ip_vs_dh.c and ip_vs_mh.c of Linux 6.12 fill them. Pure. A table has the
// index in IPVS's list order for each slot; it is empty if there is nobody to
// own one.
#ifndef XLVS_LOADER_SCHEDULE_HASH_TABLE_H_
#define XLVS_LOADER_SCHEDULE_HASH_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "loader/net/ip_addr.h"

namespace xlvs {

// sh: each dest as many slots in a row as its weight, one if that is 0.
std::vector<uint32_t> SourceHashTable(const std::vector<uint32_t>& weights);

// dh: each dest one slot after the other, whatever its weight.
std::vector<uint32_t> DestHashTable(size_t dests);

// mh. `last_weight`: the last one that was not 0, unless it was added with 0.
struct MaglevDest {
  uint32_t folded_addr = 0;
  uint16_t dport = 0;
  uint32_t last_weight = 0;
};
// A dest's address as a service of this family hashes it.
uint32_t FoldedDest(const IpAddr& daddr, bool v4_service);
// Where a dest begins and how far it goes each time.
struct MaglevSteps {
  uint32_t start = 0;
  uint32_t skip = 0;
};
MaglevSteps MaglevStepsOf(const MaglevDest& dest);
// At most XLVS_MAGLEV_SLOTS dests.
std::vector<uint32_t> MaglevTable(const std::vector<MaglevDest>& dests);

}  // namespace xlvs

#endif  // XLVS_LOADER_SCHEDULE_HASH_TABLE_H_
