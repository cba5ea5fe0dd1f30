// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/mapped.h"

namespace xlvs {

absl::StatusOr<bpf_map_info> CheckedMapInfo(int fd, uint32_t key_bytes,
                                            uint32_t value_bytes) {
  bpf_map_info info = {};
  uint32_t info_bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) != 0)
    return ErrnoStatus(errno, "read map's description");
  if (info.key_size != key_bytes || info.value_size != value_bytes)
    return absl::InternalError(
        absl::StrCat("map ", info.name, ": this program expects ", key_bytes,
                     "+", value_bytes, " bytes, the kernel has ", info.key_size,
                     "+", info.value_size));
  return info;
}

}  // namespace xlvs
