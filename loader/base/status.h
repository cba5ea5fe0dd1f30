// SPDX-License-Identifier: Apache-2.0
//
// Errors as absl::Status whose message reads as a sentence from the outside in:
// "attach eth0: load program: Operation not permitted". Lower case, no full
// stop, values included. Codes:
//   INVALID_ARGUMENT bad option or address   NOT_FOUND no such service/dest
//   ALREADY_EXISTS it is there already       RESOURCE_EXHAUSTED a map is full
//   FAILED_PRECONDITION not attached, another program's XDP, other layout
//   PERMISSION_DENIED not root               UNIMPLEMENTED kernel lacks it
//   INTERNAL layout mismatch, impossible state
#ifndef XLVS_LOADER_BASE_STATUS_H_
#define XLVS_LOADER_BASE_STATUS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace xlvs {

// Puts "`what`: " before the message of `status`; OK stays OK.
absl::Status Context(const absl::Status& status, absl::string_view what);

// The status for a failed system or libbpf call: `error` is errno or -errno.
// E2BIG (what the kernel answers for a full map) is RESOURCE_EXHAUSTED.
absl::Status ErrnoStatus(int error, absl::string_view what);

}  // namespace xlvs

// Returns early from a function that returns absl::Status or StatusOr.
#define XLVS_RETURN_IF_ERROR(expr)                              \
  do {                                                          \
    if (absl::Status xlvs_status_ = (expr); !xlvs_status_.ok()) \
      return xlvs_status_;                                      \
  } while (false)

#define XLVS_CONCAT_INNER(a, b) a##b
#define XLVS_CONCAT(a, b) XLVS_CONCAT_INNER(a, b)
// XLVS_ASSIGN_OR_RETURN(auto value, Function());
#define XLVS_ASSIGN_OR_RETURN(lhs, expr) \
  XLVS_ASSIGN_OR_RETURN_INNER(XLVS_CONCAT(xlvs_or_, __LINE__), lhs, expr)
#define XLVS_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.status();               \
  lhs = std::move(*tmp)

#endif  // XLVS_LOADER_BASE_STATUS_H_
