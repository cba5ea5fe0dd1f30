// SPDX-License-Identifier: Apache-2.0
//
// Network devices and the XDP programs on them.
#ifndef XLVS_LOADER_DATAPATH_DEVICE_H_
#define XLVS_LOADER_DATAPATH_DEVICE_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/base/unique_fd.h"
#include "loader/model/host.h"

namespace xlvs {

// NOT_FOUND: "no device 'eth7'".
absl::StatusOr<uint32_t> DeviceIndex(const std::string& device);

// Of a loaded BPF program; "?" if it is gone.
std::string ProgramName(uint32_t id);

absl::StatusOr<std::array<uint8_t, 6>> DeviceMac(const std::string& device);

// FAILED_PRECONDITION, naming the program, if one is attached.
absl::Status CheckNoProgram(const std::string& device, uint32_t ifindex);

// Attaches the program by a link, native or generic; the link's descriptor
// keeps it attached. UNIMPLEMENTED: the driver has no native XDP.
absl::StatusOr<UniqueFd> AttachProgram(uint32_t ifindex, int program_fd,
                                       AttachMode mode);

// Of a link: the device's index (0: the device is gone) and the mode.
struct LinkState {
  uint32_t ifindex = 0;
  AttachMode mode = AttachMode::kNative;
};
absl::StatusOr<LinkState> ReadLink(int link_fd);

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_DEVICE_H_
