// SPDX-License-Identifier: Apache-2.0
//
// Which chunks of xlvs_slots are free. Runs are handed out round the array, so
// a run that was given back is written again as late as possible, and never
// before all packets that may still read it are done.
#ifndef XLVS_LOADER_DATAPATH_CHUNKS_H_
#define XLVS_LOADER_DATAPATH_CHUNKS_H_

#include <cstdint>
#include <functional>
#include <map>

#include "absl/status/statusor.h"

namespace xlvs {

class ChunkAllocator {
 public:
  // `next` is where the last allocator stopped; `wait` waits for packets in
  // flight.
  ChunkAllocator(uint32_t size, uint32_t next, std::function<void()> wait)
      : size_(size), next_(next), wait_(std::move(wait)) {}

  // Marks a run that a pool points to.
  void Reserve(uint32_t first, uint32_t count);
  // The first of `count` neighbouring free chunks. RESOURCE_EXHAUSTED.
  absl::StatusOr<uint32_t> Allocate(uint32_t count);
  void Free(uint32_t first);

  uint32_t next() const { return next_; }

 private:
  // The first gap of `count` chunks in [from, to); `to` if there is none.
  uint32_t FindGap(uint32_t from, uint32_t to, uint32_t count) const;

  uint32_t size_;
  uint32_t next_;
  std::function<void()> wait_;
  std::map<uint32_t, uint32_t> runs_;  // first -> count
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_CHUNKS_H_
