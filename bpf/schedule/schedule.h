/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Which real server gets a new connection. A scheduler is one row here and one
 * pick: by sequence or by load. loader/schedule/ has the same in C++. */
#ifndef XLVS_BPF_SCHEDULE_SCHEDULE_H
#define XLVS_BPF_SCHEDULE_SCHEDULE_H

#include "bpf/schedule/by_load.h"
#include "bpf/schedule/by_sequence.h"

/* Returns the dest's id, 0 if no dest is usable. */
__noinline int xlvs_schedule(__u32 service_id) {
  struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service_id);
  if (!pool) return 0;
  switch (pool->scheduler) {
    case XLVS_SCHED_rr:
      return xlvs_pick_by_sequence(pool, false);
    case XLVS_SCHED_wrr:
      return xlvs_pick_by_sequence(pool, true);
    case XLVS_SCHED_lc:
      return xlvs_pick_by_load(pool, false);
    case XLVS_SCHED_wlc:
      return xlvs_pick_by_load(pool, true);
    default:
      return 0;
  }
}

#endif
