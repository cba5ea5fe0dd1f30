// SPDX-License-Identifier: Apache-2.0
//
// Which network namespace this process is in.
#ifndef XLVS_LOADER_NET_NETNS_H_
#define XLVS_LOADER_NET_NETNS_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace xlvs {

// The kernel's number for it; never reused while the system runs.
absl::StatusOr<uint64_t> NetnsCookie();

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_NETNS_H_
