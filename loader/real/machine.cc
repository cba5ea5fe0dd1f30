// SPDX-License-Identifier: Apache-2.0
#include "loader/real/machine.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/base/subprocess.h"
#include "loader/net/netns.h"

namespace xlvs {
namespace {

constexpr char kDirectory[] = "/run/xlvs";

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()))
    return ErrnoStatus(errno, absl::StrCat("read ", path));
  return text.str();
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  const UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) !=
                         static_cast<ssize_t>(text.size()))
    return ErrnoStatus(errno, absl::StrCat("write ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RealMachine> RealMachine::Open() {
  if (geteuid() != 0) return absl::PermissionDeniedError("you must be root");
  XLVS_ASSIGN_OR_RETURN(const uint64_t cookie, NetnsCookie());
  if (mkdir(kDirectory, 0755) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, absl::StrCat("make ", kDirectory));
  const std::string lock_path = absl::StrCat(kDirectory, "/real-setup.lock");
  UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid() || flock(lock.get(), LOCK_EX) != 0)
    return ErrnoStatus(errno, absl::StrCat("lock ", lock_path));
  return RealMachine(absl::StrCat(kDirectory, "/real-setup-", cookie, ".json"),
                     std::move(lock));
}

absl::StatusOr<std::string> RealMachine::Run(const Argv& words) {
  Argv resolved = words;
  if (resolved[0] == "xlvs") resolved[0] = "/proc/self/exe";
  return RunProgram(resolved);
}

absl::StatusOr<std::string> RealMachine::ReadSysctl(const std::string& path) {
  XLVS_ASSIGN_OR_RETURN(const std::string text,
                        ReadFile(absl::StrCat("/proc/sys/", path)));
  return std::string(absl::StripAsciiWhitespace(text));
}

absl::Status RealMachine::WriteSysctl(const std::string& path,
                                      const std::string& value) {
  const std::string file = absl::StrCat("/proc/sys/", path);
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), value.data(), value.size()) !=
                         static_cast<ssize_t>(value.size()))
    return ErrnoStatus(errno, absl::StrCat("write ", file));
  return absl::OkStatus();
}

absl::StatusOr<std::string> RealMachine::ReadNote() {
  if (access(note_path_.c_str(), F_OK) != 0) return "";
  return ReadFile(note_path_);
}

// Another file first: a killed process leaves the old note or the new one.
absl::Status RealMachine::WriteNote(const std::string& note) {
  if (note.empty()) {
    unlink(note_path_.c_str());
    return absl::OkStatus();
  }
  const std::string unfinished = absl::StrCat(note_path_, "~new");
  XLVS_RETURN_IF_ERROR(WriteFile(unfinished, note));
  if (rename(unfinished.c_str(), note_path_.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("write ", note_path_));
  return absl::OkStatus();
}

}  // namespace xlvs
