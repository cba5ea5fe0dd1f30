// SPDX-License-Identifier: Apache-2.0
//
// The virtual addresses of connections of services by mark (maps/mark.h), read
// when the first one is asked for.
#ifndef XLVS_LOADER_DATAPATH_VADDRS_H_
#define XLVS_LOADER_DATAPATH_VADDRS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "loader/datapath/instance.h"
#include "loader/net/ip_addr.h"
#include "maps/mark.h"

namespace xlvs {

class Vaddrs {
 public:
  explicit Vaddrs(const Instance& instance) : instance_(instance) {}

  // By the index that connections have.
  absl::StatusOr<IpAddr> At(uint32_t index);

 private:
  absl::Status Read();

  const Instance& instance_;
  std::vector<xlvs_vaddr_bucket> buckets_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_VADDRS_H_
