// SPDX-License-Identifier: Apache-2.0
//
// Which chunks of one room of xlvs_slots are free. Runs are handed out round
// the array, so a run that was given back is written again as late as possible,
// and never before all packets that may still read it are done.
#ifndef XLVS_LOADER_DATAPATH_CHUNKS_H_
#define XLVS_LOADER_DATAPATH_CHUNKS_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace xlvs {

class ChunkAllocator {
 public:
  // Of [begin, end), for at most `most_runs` beside one that replaces another.
  // `next` is where the last allocator stopped; `wait` waits
  // for packets in flight; `full` is the message when there is no room.
  ChunkAllocator(uint32_t begin, uint32_t end, uint32_t most_runs,
                 uint32_t next, std::function<void()> wait, std::string full)
      : begin_(begin),
        end_(end),
        most_runs_(most_runs),
        next_(std::clamp(next, begin, end)),
        wait_(std::move(wait)),
        full_(std::move(full)) {}

  bool Has(uint32_t chunk) const { return begin_ <= chunk && chunk < end_; }

  // Marks a run that a pool points to.
  void Reserve(uint32_t first, uint32_t count);
  // The first of `count` neighbouring free chunks, for a run that takes the
  // place of another of this room (`replaces`) or is one more.
  // RESOURCE_EXHAUSTED: also where one more would leave no room for changes.
  absl::StatusOr<uint32_t> Allocate(uint32_t count, bool replaces);
  void Free(uint32_t first);

  uint32_t next() const { return next_; }

 private:
  // The first gap of `count` chunks in [from, to); `to` if there is none.
  uint32_t FindGap(uint32_t from, uint32_t to, uint32_t count) const;

  uint32_t begin_;
  uint32_t end_;
  uint32_t most_runs_;
  uint32_t next_;
  std::function<void()> wait_;
  std::string full_;
  std::map<uint32_t, uint32_t> runs_;  // first -> count
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_CHUNKS_H_
