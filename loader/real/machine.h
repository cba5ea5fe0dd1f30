// SPDX-License-Identifier: Apache-2.0
//
// The machine that is set up as a real server: its programs, settings, and the
// note of what was done to it. RealMachine is this host's network namespace,
// tests have one in memory.
#ifndef XLVS_LOADER_REAL_MACHINE_H_
#define XLVS_LOADER_REAL_MACHINE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/base/unique_fd.h"
#include "loader/real/setup.h"

namespace xlvs {

class Machine {
 public:
  virtual ~Machine() = default;

  // What the program printed; "xlvs" is this program.
  virtual absl::StatusOr<std::string> Run(const Argv& words) = 0;
  // `path` is below /proc/sys.
  virtual absl::StatusOr<std::string> ReadSysctl(const std::string& path) = 0;
  virtual absl::Status WriteSysctl(const std::string& path,
                                   const std::string& value) = 0;
  // The note; empty: there is none. It does not outlive the machine's uptime.
  virtual absl::StatusOr<std::string> ReadNote() = 0;
  virtual absl::Status WriteNote(const std::string& note) = 0;
};

class RealMachine : public Machine {
 public:
  // Waits for others that set up this namespace. PERMISSION_DENIED unless root.
  static absl::StatusOr<RealMachine> Open();

  absl::StatusOr<std::string> Run(const Argv& words) override;
  absl::StatusOr<std::string> ReadSysctl(const std::string& path) override;
  absl::Status WriteSysctl(const std::string& path,
                           const std::string& value) override;
  absl::StatusOr<std::string> ReadNote() override;
  absl::Status WriteNote(const std::string& note) override;

 private:
  RealMachine(std::string note_path, UniqueFd lock)
      : note_path_(std::move(note_path)), lock_(std::move(lock)) {}

  std::string note_path_;
  UniqueFd lock_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_REAL_MACHINE_H_
