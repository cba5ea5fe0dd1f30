// SPDX-License-Identifier: Apache-2.0
//
// A directory of pins under /sys/fs/bpf: what one attach makes and later
// commands find. Knows nothing of what is pinned, but that "link:DEV" is an
// attached device's link.
//
// It is made under another name and renamed when it is whole, so a process
// killed half way leaves nothing that looks like it. Commands that change
// something hold a lock in /run/xlvs, which the kernel releases with the
// process.
#ifndef XLVS_LOADER_DATAPATH_PINS_H_
#define XLVS_LOADER_DATAPATH_PINS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "loader/base/unique_fd.h"

namespace xlvs {

// Of the loader, for the maps that it makes.
constexpr absl::string_view kVersion = "0.1.0";

// PERMISSION_DENIED unless this process may load and pin.
absl::Status CheckPrivilege();
// FAILED_PRECONDITION, with what to do, if nothing can be pinned.
absl::Status CheckBpfFs();

class PinDirectory {
 public:
  explicit PinDirectory(std::string name);

  const std::string& name() const { return name_; }
  const std::string& path() const { return path_; }
  std::string PathOf(absl::string_view pin) const;
  // The link's pin; a dot in a device's name is not allowed there.
  static std::string LinkPin(absl::string_view device);
  static std::string DeviceOfLinkPin(absl::string_view pin);

  // Waits for other commands of this directory to finish.
  absl::StatusOr<UniqueFd> Lock() const;

  bool Exists() const;
  // What a killed predecessor left half made or half removed; its programs may
  // still be attached. The lock must be held.
  absl::Status RemoveLeftovers() const;
  // Makes the directory with these pins (name, descriptor). The lock must be
  // held.
  absl::Status Make(const std::vector<std::pair<std::string, int>>& pins) const;
  // Pins one more, in the place of what had its name.
  absl::Status Pin(absl::string_view pin, int fd) const;
  // Unpins everything; the kernel frees it when nobody uses it any more. The
  // lock must be held; its file goes too.
  absl::Status Remove() const;

  absl::StatusOr<UniqueFd> OpenPin(absl::string_view pin) const;
  // Names of all pins, sorted.
  absl::StatusOr<std::vector<std::string>> Pins() const;

 private:
  std::string LockPath() const;

  std::string name_;
  std::string path_;
  std::string unfinished_path_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_PINS_H_
