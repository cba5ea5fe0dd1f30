// SPDX-License-Identifier: Apache-2.0
//
// How large the maps are made, from what the operator asks for.
#ifndef XLVS_LOADER_DATAPATH_SIZES_H_
#define XLVS_LOADER_DATAPATH_SIZES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "loader/model/host.h"
#include "maps/config.h"

namespace xlvs {

struct Sizes {
  uint32_t conns = 0;  // that surely fit; see XLVS_CONNS_PER_BUCKET_PLANNED
  uint32_t services = 0;
  uint32_t dests = 0;
  uint32_t hash_tables = 0;    // services with sh or dh
  uint32_t maglev_tables = 0;  // services with mh
  uint32_t slot_chunks = 0;
  xlvs_config config = {};  // for the programs; hash_key is random
};

// INVALID_ARGUMENT if a size is out of range.
absl::StatusOr<Sizes> ComputeSizes(const AttachOptions& options, uint32_t cpus);

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_SIZES_H_
