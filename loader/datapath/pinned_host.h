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
  // The devices to attach, after everything that can be refused without having
  // changed anything.
  absl::StatusOr<std::vector<DeviceView>> CheckDevices(
      const std::vector<std::string>& names) const;
  // Makes the instance if there is none; checks that the sizes asked for are
  // those that it has.
  absl::Status EnsureInstance(const AttachOptions& options);
  // Whether its devices are in the namespace that this process is in.
  static absl::StatusOr<bool> IsHere(const xlvs_meta& meta);
  // The one mode of all its devices: a native program cannot send out of a
  // device that has only generic XDP.
  absl::StatusOr<AttachMode> ModeFor(AttachMode asked) const;
  // Attaches all in this mode, or none. The links are not pinned yet.
  absl::StatusOr<std::vector<UniqueFd>> AttachAll(
      std::vector<DeviceView>& devices, AttachMode mode) const;
  absl::Status PinAll(const std::vector<DeviceView>& devices,
                      const std::vector<UniqueFd>& links) const;
  // Those attached, without warnings and VLAN devices.
  absl::StatusOr<std::vector<DeviceView>> Devices() const;
  absl::Status Describe(std::vector<DeviceView>& devices) const;

  bool HasV6Services() const;
  void AddForwardingWarnings(DeviceView& device) const;
  void AttachHandover(std::vector<DeviceView>& devices) const;
  absl::Status DetachHandover(const std::vector<DeviceView>& devices) const;
  static std::string NoHandover(absl::string_view why);
  absl::Status ForgetUnfinished() const;
  absl::Status FollowDevices() const;
  absl::Status WriteVlans(const std::vector<DeviceView>& attached) const;

  Instance instance_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_PINNED_HOST_H_
