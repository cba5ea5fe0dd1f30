// SPDX-License-Identifier: Apache-2.0
//
// The decapsulator on a real server: takes what directors tunnelled out of the
// tunnel. No director: it has neither services nor connections. Implemented by
// loader/datapath, by tests in memory.
#ifndef XLVS_LOADER_MODEL_DECAPSULATOR_H_
#define XLVS_LOADER_MODEL_DECAPSULATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/model/host.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

struct DecapOptions {
  std::string device;
  AttachMode mode = AttachMode::kAuto;
  // These hold for all devices; the first attach gives them. Not given at a
  // later one: as they are; other values than they are: refused
  // (FAILED_PRECONDITION).
  std::vector<IpAddr> from;  // the directors; the first attach must name them
  std::vector<IpAddr> vips;  // whom packets inside may be for; default: anyone
  uint16_t tun_port = 0;     // GUE's UDP port; default: 6080
};

struct DecapView {
  std::string instance;
  std::string pin_path;
  std::vector<DeviceView> devices;
  std::vector<IpAddr> from;  // sorted
  std::vector<IpAddr> vips;  // sorted; empty: anyone
  uint16_t tun_port = 0;
  uint64_t rx_packets = 0;
  std::vector<EndingView> endings;  // all of them, in the order of maps/decap.h
};

class Decapsulator {
 public:
  virtual ~Decapsulator() = default;

  // Returns the device with the mode that it got.
  virtual absl::StatusOr<DeviceView> Attach(const DecapOptions& options) = 0;
  // After the last device nothing is left, counters included.
  virtual absl::Status Detach(const std::string& device) = 0;
  virtual absl::StatusOr<DecapView> Status() = 0;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_MODEL_DECAPSULATOR_H_
