// SPDX-License-Identifier: Apache-2.0
#include "loader/base/subprocess.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "loader/base/status.h"
#include "loader/base/unique_fd.h"

namespace xlvs {
namespace {

std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t bytes;
  while ((bytes = read(fd, buffer.data(), buffer.size())) > 0 ||
         (bytes < 0 && errno == EINTR))
    if (bytes > 0) text.append(buffer.data(), bytes);
  return text;
}

}  // namespace

absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& words) {
  const std::string line = absl::StrJoin(words, " ");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  absl::Cleanup destroy = [&] { posix_spawn_file_actions_destroy(&actions); };
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, to.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, to.get(), 2);
  std::vector<char*> arguments;
  for (const std::string& word : words)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid;
  if (const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr,
                                     arguments.data(), environ);
      error != 0)
    return ErrnoStatus(error, line);
  to = UniqueFd();
  std::string text = ReadAll(from.get());
  int result = 0;
  while (waitpid(pid, &result, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return text;
  const std::vector<absl::string_view> said =
      absl::StrSplit(absl::StripAsciiWhitespace(text), '\n');
  return absl::InternalError(
      absl::StrCat(line, ": ", said[0].empty() ? "failed" : said[0]));
}

}  // namespace xlvs
