/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Which real server gets a new connection. A scheduler is one row here and one
 * pick: by sequence, by load, by draw, by hash or by cache. loader/schedule/
 * has the same in C++. */
#ifndef XLVS_BPF_SCHEDULE_SCHEDULE_H
#define XLVS_BPF_SCHEDULE_SCHEDULE_H

#include "bpf/schedule/by_cache.h"
#include "bpf/schedule/by_draw.h"
#include "bpf/schedule/by_hash.h"
#include "bpf/schedule/by_load.h"
#include "bpf/schedule/by_sequence.h"

/* lblc and lblcr: what the address keeps, else what wlc chooses. */
static __always_inline __u32 xlvs_pick_kept(const struct xlvs_packet* pkt,
                                            const struct xlvs_pool* pool,
                                            bool is_set) {
  const __u32 kept = xlvs_pick_by_cache(pkt, pool, is_set);
  if (kept) return kept;
  const struct xlvs_list list = xlvs_list_of(pool);
  const __u32 dest =
      xlvs_pick_any_by_load(list.first_chunk, list.count, XLVS_SCHED_wlc);
  if (dest) xlvs_lblc_add(dest);
  xlvs_lblc_keep();
  return dest;
}

/* Returns the dest's id, 0 if no dest is usable. */
__noinline int xlvs_schedule(const struct xlvs_packet* pkt, __u32 service_id) {
  struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service_id);
  if (!pkt || !pool) return 0;
  const enum xlvs_scheduler scheduler = XLVS_READ_ONCE(pool->scheduler);
  if (pool->limited && xlvs_is_by_load(scheduler)) {
    const struct xlvs_list list = xlvs_list_of(pool);
    return xlvs_pick_any_by_load(list.first_chunk, list.count, scheduler);
  }
  switch (scheduler) {
    case XLVS_SCHED_rr:
      return xlvs_pick_by_sequence(pool, false);
    case XLVS_SCHED_wrr:
      return xlvs_pick_by_sequence(pool, true);
    case XLVS_SCHED_lc:
      return xlvs_pick_lc(pool);
    case XLVS_SCHED_wlc: /* of equal weights it is lc, which multiplies less */
      return pool->threshold_max == pool->threshold_step ? xlvs_pick_lc(pool)
                                                         : xlvs_pick_wlc(pool);
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
    case XLVS_SCHED_lblc:
    case XLVS_SCHED_lblcr:
      return xlvs_pick_kept(pkt, pool, scheduler == XLVS_SCHED_lblcr);
    default:
      return 0;
  }
}

#endif
