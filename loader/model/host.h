// SPDX-License-Identifier: Apache-2.0
//
// The life of a director on this host: attach to devices, detach, status, and
// the way to its configuration. Implemented by loader/datapath, by tests in
// memory. One Host is one instance (a directory of pinned maps, programs and
// links).
#ifndef XLVS_LOADER_MODEL_HOST_H_
#define XLVS_LOADER_MODEL_HOST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/model/director.h"

namespace xlvs {

// How the program meets packets: in the driver (native), or, much slower, after
// the kernel built an skb (generic). kAuto: native, else generic.
enum class AttachMode { kAuto, kNative, kGeneric };

struct AttachOptions {
  std::vector<std::string> devices;
  AttachMode mode = AttachMode::kAuto;
  // The sizes are given when the instance is made, by the first attach. 0 = the
  // default, or, for an instance that exists, whatever it has; another value
  // than it has is refused (FAILED_PRECONDITION).
  uint32_t conns = 0;          // default 1,000,000
  uint32_t services = 0;       // default 4,096
  uint32_t dests = 0;          // default 16,384
  uint32_t hash_tables = 0;    // services with sh or dh; default 1,024
  uint32_t maglev_tables = 0;  // services with mh; default 64
  uint32_t count_batch = 0;    // default 1 up to 8 CPUs, 8 above
};

struct VlanView {
  std::string name;
  uint32_t ifindex = 0;
  std::string tags;  // "vlan 100", "vlan 802.1ad 100 vlan 200"
};

struct DeviceView {
  std::string name;
  uint32_t ifindex = 0;  // 0: the device is gone
  AttachMode mode = AttachMode::kNative;
  // What keeps it from working well, a sentence or more; mostly empty.
  std::string warning;
  // The VLAN devices on it whose frames are balanced too.
  std::vector<VlanView> vlans;
};

struct EndingView {
  std::string name;    // of maps/step.h
  std::string action;  // "tx", "redirect", "pass", "drop"
  std::string text;
  uint64_t packets = 0;
};

struct StatusView {
  std::string instance;
  std::string pin_path;
  std::vector<DeviceView> devices;
  uint32_t services = 0, services_max = 0;
  uint32_t dests = 0, dests_max = 0;  // with those removed but not yet empty
  uint64_t conns = 0, conns_planned = 0, conn_slots = 0;
  uint64_t templates = 0;  // of persistence; they take slots too
  uint64_t embryonic = 0, embryonic_max = 0;          // SYN_RECV connections
  uint32_t hash_tables = 0, hash_tables_max = 0;      // of sh and dh
  uint32_t maglev_tables = 0, maglev_tables_max = 0;  // of mh
  uint32_t marks = 0, marks_max = 0;                  // rules
  uint64_t conn_bytes = 0;    // of memory for the connection table
  uint64_t memory_bytes = 0;  // of all maps
  uint32_t count_batch = 0, cpus = 0;
  bool timer_running = false;  // connections expire
  uint64_t rx_packets = 0;
  std::vector<EndingView> endings;  // all of them, in the order of maps/step.h
};

class Host {
 public:
  virtual ~Host() = default;

  // All devices or none. Returns them with the mode that each got.
  virtual absl::StatusOr<std::vector<DeviceView>> Attach(
      const AttachOptions& options) = 0;
  // All or none. `purge`: also forget configuration and connections; devices
  // may then be empty, which means all.
  virtual absl::Status Detach(const std::vector<std::string>& devices,
                              bool purge) = 0;
  virtual absl::StatusOr<StatusView> Status() = 0;
  // Takes the lock for as long as the Director lives if `for_writing`.
  virtual absl::StatusOr<std::unique_ptr<Director>> Open(bool for_writing) = 0;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_MODEL_HOST_H_
