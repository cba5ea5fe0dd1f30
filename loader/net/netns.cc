// SPDX-License-Identifier: Apache-2.0
#include "loader/net/netns.h"

#include <sys/socket.h>

#include <cerrno>

#include "loader/base/status.h"
#include "loader/base/unique_fd.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace xlvs {

absl::StatusOr<uint64_t> NetnsCookie() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t bytes = sizeof(cookie);
  if (!fd.valid() ||
      getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &bytes) != 0)
    return ErrnoStatus(errno, "read the network namespace's cookie");
  return cookie;
}

}  // namespace xlvs
