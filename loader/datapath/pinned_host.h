// SPDX-License-Identifier: Apache-2.0
//
// Host on an instance's pins.
#ifndef XLVS_LOADER_DATAPATH_PINNED_HOST_H_
#define XLVS_LOADER_DATAPATH_PINNED_HOST_H_

#include <memory>
#include <string>
#include <vector>

#include "loader/datapath/instance.h"
#include "loader/model/host.h"

namespace xlvs {

class PinnedHost : public Host {
 public:
  explicit PinnedHost(std::string instance) : instance_(std::move(instance)) {}

  absl::StatusOr<std::vector<DeviceView>> Attach(
      const AttachOptions& options) override;
  absl::Status Detach(const std::vector<std::string>& devices,
                      bool purge) override;
  absl::StatusOr<StatusView> Status() override;
  absl::StatusOr<std::unique_ptr<Director>> Open(bool for_writing) override;

 private:
  // Makes the instance if there is none; checks that the sizes asked for are
  // those that it has.
  absl::Status EnsureInstance(const AttachOptions& options);
  absl::StatusOr<std::vector<DeviceView>> Devices() const;

  Instance instance_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_PINNED_HOST_H_
