/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Which real server gets a new connection. A scheduler is one row here and one
 * pick: by sequence, by load, by draw or by hash. loader/schedule/ has the same
 * in C++. */
#ifndef XLVS_BPF_SCHEDULE_SCHEDULE_H
#define XLVS_BPF_SCHEDULE_SCHEDULE_H

#include "bpf/schedule/by_draw.h"
#include "bpf/schedule/by_hash.h"
#include "bpf/schedule/by_load.h"
#include "bpf/schedule/by_sequence.h"

/* Returns the dest's id, 0 if no dest is usable. */
__noinline int xlvs_schedule(const struct xlvs_packet* pkt, __u32 service_id) {
  struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service_id);
  if (!pkt || !pool) return 0;
  const enum xlvs_scheduler scheduler = XLVS_READ_ONCE(pool->scheduler);
  if (pool->limited && xlvs_is_by_load(scheduler)) {
    const struct xlvs_list list = xlvs_list_of(pool);
    return xlvs_pick_limited_by_load(list.first_chunk, list.count, scheduler);
  }
  switch (scheduler) {
    case XLVS_SCHED_rr:
      return xlvs_pick_by_sequence(pool, false);
    case XLVS_SCHED_wrr:
      return xlvs_pick_by_sequence(pool, true);
    case XLVS_SCHED_lc:
      return xlvs_pick_lc(pool);
    case XLVS_SCHED_wlc:
      return xlvs_pick_wlc(pool);
    case XLVS_SCHED_sed:
      return xlvs_pick_sed(pool);
    case XLVS_SCHED_nq:
      return xlvs_pick_nq(pool);
    case XLVS_SCHED_fo:
      return xlvs_pick_fo(pool);
    case XLVS_SCHED_ovf:
      return xlvs_pick_ovf(pool);
    case XLVS_SCHED_twos:
      return xlvs_pick_by_draw(pool);
    case XLVS_SCHED_sh:
    case XLVS_SCHED_dh:
    case XLVS_SCHED_mh:
      return xlvs_pick_by_hash(pkt, pool, scheduler);
    default:
      return 0;
  }
}

#endif
