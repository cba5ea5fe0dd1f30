// SPDX-License-Identifier: Apache-2.0
#include "loader/schedule/sequence.h"

#include <algorithm>
#include <numeric>

namespace xlvs {
namespace {

// rr: the cursor stays on its dest; if that is gone, it steps back to the one
// before it that is still there.
uint32_t MovedCursor(uint32_t last, const std::vector<xlvs_slot>& old_list,
                     const std::vector<xlvs_slot>& new_list) {
  if (last == XLVS_BEFORE_HEAD || last >= old_list.size())
    return XLVS_BEFORE_HEAD;
  for (uint32_t i = last + 1; i-- > 0;) {
    const auto same = [&](const xlvs_slot& slot) {
      return slot.dest == old_list[i].dest;
    };
    const auto found = std::find_if(new_list.begin(), new_list.end(), same);
    if (found != new_list.end()) return found - new_list.begin();
  }
  return XLVS_BEFORE_HEAD;
}

// wrr: start at the head again, with a threshold that is one of the new steps.
uint32_t MovedThreshold(uint32_t threshold, const Thresholds& thresholds) {
  if (threshold > thresholds.max || threshold == 0) return thresholds.max;
  if (thresholds.step > 1)
    return threshold / thresholds.step * thresholds.step + 1;
  return threshold;
}

// Of a list that grows.
class GrowingThresholds {
 public:
  void Add(const xlvs_slot& slot) {
    divisor_ = std::gcd(divisor_, slot.weight);
    highest_ = std::max(highest_, slot.weight);
  }
  Thresholds get() const {
    if (divisor_ == 0) return {};
    return {.step = divisor_, .max = highest_ - (divisor_ - 1)};
  }

 private:
  uint32_t divisor_ = 0;
  uint32_t highest_ = 0;
};

}  // namespace

Thresholds ThresholdsOf(const std::vector<xlvs_slot>& list) {
  GrowingThresholds thresholds;
  for (const xlvs_slot& slot : list) thresholds.Add(slot);
  return thresholds.get();
}

xlvs_position StartPosition(Scheduler scheduler,
                            const std::vector<xlvs_slot>& list) {
  xlvs_position position = {.last = XLVS_BEFORE_HEAD, .threshold = 0};
  if (scheduler == Scheduler::kWrr) position.threshold = ThresholdsOf(list).max;
  return position;
}

xlvs_position PositionAfterAdding(Scheduler scheduler,
                                  xlvs_position old_position,
                                  const std::vector<xlvs_slot>& old_list,
                                  const std::vector<xlvs_slot>& new_list,
                                  size_t added) {
  if (scheduler != Scheduler::kWrr)
    return MovedPosition(scheduler, old_position, old_list, new_list);
  xlvs_position position = {.last = XLVS_BEFORE_HEAD,
                            .threshold = old_position.threshold};
  GrowingThresholds thresholds;
  for (size_t i = new_list.size(); i-- > 0;) {
    thresholds.Add(new_list[i]);
    if (i < added)
      position.threshold = MovedThreshold(position.threshold, thresholds.get());
  }
  return position;
}

xlvs_position MovedPosition(Scheduler scheduler, xlvs_position old_position,
                            const std::vector<xlvs_slot>& old_list,
                            const std::vector<xlvs_slot>& new_list) {
  xlvs_position position = old_position;
  if (scheduler == Scheduler::kWrr) {
    position.last = XLVS_BEFORE_HEAD;
    position.threshold =
        MovedThreshold(old_position.threshold, ThresholdsOf(new_list));
  } else {
    position.last = MovedCursor(old_position.last, old_list, new_list);
  }
  return position;
}

}  // namespace xlvs
