// SPDX-License-Identifier: Apache-2.0
//
// The programs at a device's TC hooks. They stand beside other filters, under a
// priority and a handle of our own; the qdisc that they need may be another's.
#ifndef XLVS_LOADER_DATAPATH_TC_H_
#define XLVS_LOADER_DATAPATH_TC_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace xlvs {

enum class TcHook { kIngress, kEgress };

// Adds the qdisc that the hooks belong to (clsact). Returns whether there was
// none before.
absl::StatusOr<bool> AddTcQdisc(uint32_t ifindex);
// Removes it unless some filter hangs on it.
absl::Status RemoveUnusedTcQdisc(uint32_t ifindex);

// Replaces a program of ours that a killed predecessor left, no other's.
absl::Status AttachTc(uint32_t ifindex, TcHook hook, int program_fd);
// Nothing to do is no error.
absl::Status DetachTc(uint32_t ifindex, TcHook hook);
// Whether it is this program that is attached.
bool IsTcAttached(uint32_t ifindex, TcHook hook, int program_fd);

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_TC_H_
