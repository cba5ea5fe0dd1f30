// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/vaddrs.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "loader/base/status.h"
#include "loader/datapath/mapped.h"

namespace xlvs {

absl::StatusOr<IpAddr> Vaddrs::At(uint32_t index) {
  if (buckets_.empty()) XLVS_RETURN_IF_ERROR(Read());
  const uint32_t bucket = index / XLVS_VADDRS_PER_BUCKET;
  if (bucket >= buckets_.size()) return IpAddr();
  return IpAddr(buckets_[bucket].entry[index % XLVS_VADDRS_PER_BUCKET].addr);
}

// Not mapped: it has locks.
absl::Status Vaddrs::Read() {
  XLVS_ASSIGN_OR_RETURN(const UniqueFd map, instance_.OpenPin("vaddrs"));
  const auto info = CheckedMapInfo(map.get(), 4, sizeof(xlvs_vaddr_bucket));
  if (!info.ok()) return info.status();
  buckets_.resize(info->max_entries);
  for (uint32_t i = 0; i < buckets_.size(); ++i)
    if (bpf_map_lookup_elem(map.get(), &i, &buckets_[i]) != 0)
      return ErrnoStatus(errno, "read virtual addresses");
  return absl::OkStatus();
}

}  // namespace xlvs
