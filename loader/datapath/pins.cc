// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/pins.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "loader/base/status.h"

namespace xlvs {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kBpfFs = "/sys/fs/bpf";
constexpr absl::string_view kLockDirectory = "/run/xlvs";
constexpr absl::string_view kLinkPrefix = "link:";

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("remove ", path));
  return absl::OkStatus();
}

absl::Status PinAt(int fd, const std::string& path) {
  if (const int error = bpf_obj_pin(fd, path.c_str()); error != 0)
    return ErrnoStatus(error, absl::StrCat("pin ", path));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPrivilege() {
  if (geteuid() == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "you must be root (or have CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)");
}

absl::Status CheckBpfFs() {
  struct statfs info;
  if (statfs(kBpfFs.data(), &info) != 0)
    return ErrnoStatus(errno, absl::StrCat("look at ", kBpfFs));
  if (static_cast<unsigned long>(info.f_type) != BPF_FS_MAGIC)
    return absl::FailedPreconditionError(absl::StrCat(
        "no BPF file system at ", kBpfFs, ": run 'mount -t bpf bpf ", kBpfFs,
        "', or, inside 'ip netns exec', enter the namespace with 'nsenter "
        "--net=/run/netns/NAME' instead"));
  return absl::OkStatus();
}

PinDirectory::PinDirectory(std::string name)
    : name_(std::move(name)),
      path_(absl::StrCat(kBpfFs, "/", name_)),
      unfinished_path_(absl::StrCat(path_, "~new")) {}

std::string PinDirectory::PathOf(absl::string_view pin) const {
  return absl::StrCat(path_, "/", pin);
}

std::string PinDirectory::LinkPin(absl::string_view device) {
  return absl::StrCat(kLinkPrefix, absl::StrReplaceAll(device, {{".", ":"}}));
}

std::string PinDirectory::DeviceOfLinkPin(absl::string_view pin) {
  if (!absl::StartsWith(pin, kLinkPrefix)) return "";
  return absl::StrReplaceAll(pin.substr(kLinkPrefix.size()), {{":", "."}});
}

absl::StatusOr<UniqueFd> PinDirectory::Lock() const {
  const std::string directory(kLockDirectory);
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, absl::StrCat("make ", directory));
  const std::string path = LockPath();
  while (true) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
    while (flock(fd.get(), LOCK_EX) != 0)
      if (errno != EINTR)
        return ErrnoStatus(errno, absl::StrCat("lock ", path));
    // Whoever removed the instance meanwhile removed the file with it.
    struct stat ours;
    struct stat there;
    if (fstat(fd.get(), &ours) == 0 && stat(path.c_str(), &there) == 0 &&
        ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
      return fd;
  }
}

std::string PinDirectory::LockPath() const {
  return absl::StrCat(kLockDirectory, "/", name_, ".lock");
}

bool PinDirectory::Exists() const {
  std::error_code error;
  return fs::is_directory(path_, error);
}

absl::Status PinDirectory::RemoveLeftovers() const {
  return RemoveTree(unfinished_path_);
}

absl::Status PinDirectory::Make(
    const std::vector<std::pair<std::string, int>>& pins) const {
  if (mkdir(unfinished_path_.c_str(), 0700) != 0)
    return ErrnoStatus(errno, absl::StrCat("make ", unfinished_path_));
  absl::Cleanup remove = [this] { (void)RemoveTree(unfinished_path_); };
  for (const auto& [name, fd] : pins)
    XLVS_RETURN_IF_ERROR(PinAt(fd, absl::StrCat(unfinished_path_, "/", name)));
  if (rename(unfinished_path_.c_str(), path_.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("make ", path_));
  std::move(remove).Cancel();
  return absl::OkStatus();
}

absl::Status PinDirectory::Pin(absl::string_view pin, int fd) const {
  const std::string path = PathOf(pin);
  unlink(path.c_str());
  return PinAt(fd, path);
}

absl::Status PinDirectory::Remove() const {
  XLVS_RETURN_IF_ERROR(RemoveLeftovers());
  // Out of sight at once, then piece by piece.
  if (rename(path_.c_str(), unfinished_path_.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("remove ", path_));
  XLVS_RETURN_IF_ERROR(RemoveTree(unfinished_path_));
  unlink(LockPath().c_str());
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> PinDirectory::OpenPin(absl::string_view pin) const {
  const std::string path = PathOf(pin);
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  return fd;
}

absl::StatusOr<std::vector<std::string>> PinDirectory::Pins() const {
  std::vector<std::string> pins;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error))
    pins.push_back(entry.path().filename().string());
  if (error) return ErrnoStatus(error.value(), absl::StrCat("list ", path_));
  std::sort(pins.begin(), pins.end());
  return pins;
}

}  // namespace xlvs
