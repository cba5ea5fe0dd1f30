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

}  // namespace

Thresholds ThresholdsOf(const std::vector<xlvs_slot>& list) {
  uint32_t divisor = 0;
  uint32_t highest = 0;
  for (const xlvs_slot& slot : list) {
    divisor = std::gcd(divisor, slot.weight);
    highest = std::max(highest, slot.weight);
  }
  if (divisor == 0) return {};
  return {.step = divisor, .max = highest - (divisor - 1)};
}

xlvs_position StartPosition(Scheduler scheduler,
                            const std::vector<xlvs_slot>& list) {
  xlvs_position position = {.last = XLVS_BEFORE_HEAD, .threshold = 0};
  if (scheduler == Scheduler::kWrr) position.threshold = ThresholdsOf(list).max;
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
