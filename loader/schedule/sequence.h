// SPDX-License-Identifier: Apache-2.0
//
// Where rr and wrr stand after the list of a service changed: IPVS's rules
// (ip_vs_rr.c ip_vs_rr_del_dest, ip_vs_wrr.c ip_vs_wrr_dest_changed), for lists
// that packets walk by index. Pure.
#ifndef XLVS_LOADER_SCHEDULE_SEQUENCE_H_
#define XLVS_LOADER_SCHEDULE_SEQUENCE_H_

#include <vector>

#include "loader/model/service.h"
#include "maps/pool.h"

namespace xlvs {

// wrr's step (di: greatest common divisor of the weights above 0, 1 if there
// are none) and highest threshold (mw: highest weight - (step - 1), 0 if all
// weights are 0).
struct Thresholds {
  uint32_t step = 1;
  uint32_t max = 0;
};
Thresholds ThresholdsOf(const std::vector<xlvs_slot>& list);

// The position of a scheduler that starts on `list`.
xlvs_position StartPosition(Scheduler scheduler,
                            const std::vector<xlvs_slot>& list);

// The position after the first `added` dests of `new_list` were added to what
// follows them there, one after the other, the first of the list last.
xlvs_position PositionAfterAdding(Scheduler scheduler,
                                  xlvs_position old_position,
                                  const std::vector<xlvs_slot>& old_list,
                                  const std::vector<xlvs_slot>& new_list,
                                  size_t added);

// The position after dests were added to, edited in or deleted from a list.
xlvs_position MovedPosition(Scheduler scheduler, xlvs_position old_position,
                            const std::vector<xlvs_slot>& old_list,
                            const std::vector<xlvs_slot>& new_list);

}  // namespace xlvs

#endif  // XLVS_LOADER_SCHEDULE_SEQUENCE_H_
