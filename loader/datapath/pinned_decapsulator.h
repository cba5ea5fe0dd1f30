// SPDX-License-Identifier: Apache-2.0
//
// Decapsulator on pins, beside the director's of the same instance name:
//
//   /sys/fs/bpf/NAME-decap/from vips devs ends ...   maps (maps/decap.h)
//   /sys/fs/bpf/NAME-decap/program                   the XDP program
//   /sys/fs/bpf/NAME-decap/link:DEV                  one link an attached
//   device
//
// It exists as long as a device is attached.
#ifndef XLVS_LOADER_DATAPATH_PINNED_DECAPSULATOR_H_
#define XLVS_LOADER_DATAPATH_PINNED_DECAPSULATOR_H_

#include <string>
#include <vector>

#include "loader/datapath/pins.h"
#include "loader/model/decapsulator.h"
#include "maps/decap.h"

namespace xlvs {

class PinnedDecapsulator : public Decapsulator {
 public:
  explicit PinnedDecapsulator(const std::string& instance);

  absl::StatusOr<DeviceView> Attach(const DecapOptions& options) override;
  absl::Status Detach(const std::string& device) override;
  absl::StatusOr<DecapView> Status() override;

 private:
  // Everything that can be refused without having changed anything.
  absl::StatusOr<DeviceView> CheckDevice(const std::string& name) const;
  // Makes the directory if there is none; checks that what was asked for is
  // what it has.
  absl::Status EnsureDirectory(const DecapOptions& options) const;
  absl::Status AttachAndPin(DeviceView& device, AttachMode asked) const;
  // FAILED_PRECONDITION, with what to do, if nothing is attached or it was by a
  // program with another layout.
  absl::StatusOr<xlvs_decap_meta> CheckedMeta() const;
  absl::StatusOr<std::vector<IpAddr>> Addrs(absl::string_view pin) const;
  absl::StatusOr<std::vector<std::string>> AttachedNames() const;
  absl::Status ReadEndings(DecapView& view) const;

  std::string instance_;
  PinDirectory pins_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_PINNED_DECAPSULATOR_H_
