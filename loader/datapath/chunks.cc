// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/chunks.h"

#include <iterator>

namespace xlvs {

void ChunkAllocator::Reserve(uint32_t first, uint32_t count) {
  runs_[first] = count;
}

void ChunkAllocator::Free(uint32_t first) {
  runs_.erase(first);
}

uint32_t ChunkAllocator::FindGap(uint32_t from, uint32_t to,
                                 uint32_t count) const {
  uint32_t gap = from;
  auto run = runs_.upper_bound(from);
  if (run != runs_.begin()) {
    const auto before = std::prev(run);
    if (before->first + before->second > gap)
      gap = before->first + before->second;
  }
  for (; gap + count <= to; ++run) {
    if (run == runs_.end() || gap + count <= run->first) return gap;
    gap = run->first + run->second;
  }
  return to;
}

absl::StatusOr<uint32_t> ChunkAllocator::Allocate(uint32_t count,
                                                  bool replaces) {
  if (!replaces && runs_.size() >= most_runs_)
    return absl::ResourceExhaustedError(full_);
  uint32_t first = FindGap(next_, end_, count);
  if (first >= end_) {
    // Round again: what was freed in this round may still be being read.
    wait_();
    first = FindGap(begin_, end_, count);
  }
  if (first >= end_) return absl::ResourceExhaustedError(full_);
  Reserve(first, count);
  next_ = first + count;
  return first;
}

}  // namespace xlvs
