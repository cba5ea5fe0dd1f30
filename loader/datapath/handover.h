// SPDX-License-Identifier: Apache-2.0
//
// The director's TC programs on its devices: xlvs_handover takes the packets
// that XDP hands to the kernel to be sent, xlvs_local_reply the replies of real
// servers that are the director itself. XDP hands over only while all devices
// have them (control.handover), so that is switched off first and on last.
//
// Links let go of XDP programs by themselves, TC filters stay: a killed command
// may leave some, without effect, on devices that the map xlvs_devices names.
#ifndef XLVS_LOADER_DATAPATH_HANDOVER_H_
#define XLVS_LOADER_DATAPATH_HANDOVER_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/base/unique_fd.h"
#include "loader/datapath/instance.h"
#include "maps/config.h"

namespace xlvs {

class Handover {
 public:
  static absl::StatusOr<Handover> Open(const Instance& instance);

  // Sets control.handover.
  absl::Status Allow(xlvs_handover_level level) const;
  // All programs, or none and why.
  absl::Status AttachTo(const std::string& device, uint32_t ifindex) const;
  // `ifindex` 0: the device is gone, and its programs with it.
  void DetachFrom(const std::string& device, uint32_t ifindex) const;
  bool IsOn(uint32_t ifindex) const;

 private:
  explicit Handover(const Instance& instance) : instance_(instance) {}
  // A pin that says that the device's qdisc is our doing.
  std::string QdiscMark(const std::string& device) const;

  const Instance& instance_;
  UniqueFd handover_;
  UniqueFd local_reply_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_HANDOVER_H_
