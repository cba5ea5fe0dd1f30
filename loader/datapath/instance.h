// SPDX-License-Identifier: Apache-2.0
//
// An instance: the directory under /sys/fs/bpf that holds a director.
//
//   /sys/fs/bpf/NAME/services dests conns ...   maps
//   /sys/fs/bpf/NAME/program                    the XDP program
//   /sys/fs/bpf/NAME/arm                        starts the timer
//   /sys/fs/bpf/NAME/program:PART               what it consists of
//   /sys/fs/bpf/NAME/link:DEV                   one link an attached device
//   /sys/fs/bpf/NAME/qdisc:DEV                  its clsact qdisc is our doing
#ifndef XLVS_LOADER_DATAPATH_INSTANCE_H_
#define XLVS_LOADER_DATAPATH_INSTANCE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/datapath/mapped.h"
#include "loader/datapath/pins.h"
#include "loader/datapath/sizes.h"
#include "maps/config.h"

namespace xlvs {

class Instance : public PinDirectory {
 public:
  using PinDirectory::PinDirectory;

  // Of a program "handover", or "director" and "arm", which have short pins.
  static std::string ProgramPin(absl::string_view program);
  static bool IsMapPin(absl::string_view pin);
  static std::string QdiscPin(absl::string_view device);

  // Loads programs and maps and pins them. The lock must be held. What of
  // config depends on the kernel is found out here.
  absl::Status Create(Sizes sizes) const;
  // Clock and expiry: once started they run as long as the maps exist. Starting
  // again does no harm.
  absl::Status StartTimer() const;
  absl::StatusOr<bool> TimerRuns() const;

  // FAILED_PRECONDITION, with what to do, if there is no instance or it was
  // made by a program with another map layout.
  absl::StatusOr<xlvs_meta> CheckedMeta() const;

  template <typename T>
  absl::StatusOr<Mapped<T>> MapArray(absl::string_view pin,
                                     bool writable) const {
    // Also to read only: the kernel maps no array by a read-only descriptor.
    auto fd = OpenPin(pin);
    if (!fd.ok()) return fd.status();
    return Mapped<T>::Map(*std::move(fd), writable);
  }
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_INSTANCE_H_
