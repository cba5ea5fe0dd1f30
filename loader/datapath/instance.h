// SPDX-License-Identifier: Apache-2.0
//
// An instance: the directory under /sys/fs/bpf that holds a director.
//
//   /sys/fs/bpf/NAME/services dests conns ...   maps
//   /sys/fs/bpf/NAME/program                    the XDP program
//   /sys/fs/bpf/NAME/arm                        starts the timer
//   /sys/fs/bpf/NAME/program:PART               the programs that it consists
//   of /sys/fs/bpf/NAME/link:DEV                   one link an attached device
//   /sys/fs/bpf/NAME/qdisc:DEV                  its clsact qdisc is our doing
//
// It is made under another name and renamed when it is whole, so a process
// killed half way leaves nothing that looks like an instance. Commands that
// change something hold a lock in /run/xlvs, which the kernel releases with
// the process.
#ifndef XLVS_LOADER_DATAPATH_INSTANCE_H_
#define XLVS_LOADER_DATAPATH_INSTANCE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/base/unique_fd.h"
#include "loader/datapath/mapped.h"
#include "loader/datapath/sizes.h"
#include "maps/config.h"

namespace xlvs {

class Instance {
 public:
  explicit Instance(std::string name);

  const std::string& name() const { return name_; }
  const std::string& path() const { return path_; }
  std::string PathOf(absl::string_view pin) const;
  // Of a program "handover", or "director" and "arm", which have short pins.
  static std::string ProgramPin(absl::string_view program);
  static bool IsMapPin(absl::string_view pin);
  static std::string QdiscPin(absl::string_view device);
  // The link's pin; a dot in a device's name is not allowed there.
  static std::string LinkPin(absl::string_view device);
  static std::string DeviceOfLinkPin(absl::string_view pin);

  // Waits for other commands of this instance to finish.
  absl::StatusOr<UniqueFd> Lock() const;

  bool Exists() const;
  // What a killed predecessor left half made or half removed; its programs may
  // still be attached. The lock must be held.
  absl::Status RemoveLeftovers() const;
  // Loads programs and maps and pins them. The lock must be held. What of
  // config depends on the kernel is found out here.
  absl::Status Create(Sizes sizes) const;
  // Clock and expiry: once started they run as long as the maps exist. Starting
  // again does no harm.
  absl::Status StartTimer() const;
  absl::StatusOr<bool> TimerRuns() const;
  // Unpins everything; the kernel frees it when nobody uses it any more. The
  // lock must be held; its file goes too.
  absl::Status Remove() const;

  // FAILED_PRECONDITION, with what to do, if there is no instance or it was
  // made by a program with another map layout.
  absl::StatusOr<xlvs_meta> CheckedMeta() const;
  absl::StatusOr<UniqueFd> OpenPin(absl::string_view pin) const;
  // Names of all pins, sorted.
  absl::StatusOr<std::vector<std::string>> Pins() const;

  template <typename T>
  absl::StatusOr<Mapped<T>> MapArray(absl::string_view pin,
                                     bool writable) const {
    // Also to read only: the kernel maps no array by a read-only descriptor.
    auto fd = OpenPin(pin);
    if (!fd.ok()) return fd.status();
    return Mapped<T>::Map(*std::move(fd), writable);
  }

 private:
  std::string LockPath() const;

  std::string name_;
  std::string path_;
  std::string unfinished_path_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_INSTANCE_H_
