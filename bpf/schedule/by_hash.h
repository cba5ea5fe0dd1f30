/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * sh, dh and mh: the client's (dh: the service's) address tells the slot of a
 * table that the loader has filled; the pool's list is that table. Who owns the
 * slot gets the connection. Where it is not eligible the client is refused, or,
 * where the service's first flag says so, asks one slot after the other
 * (ip_vs_sh.c, ip_vs_dh.c, ip_vs_mh.c of Linux 6.12). */
#ifndef XLVS_BPF_SCHEDULE_BY_HASH_H
#define XLVS_BPF_SCHEDULE_BY_HASH_H

#include "bpf/schedule/list.h"
#include "bpf/tables.h"
#include "maps/slot_hash.h"

struct xlvs_hash_search {
  struct xlvs_list list;
  __u32 key;
  __u32 from; /* the first offset */
  __u32 is_maglev;
  __u32 found;   /* dest, 0: none */
  __u32 limited; /* the pool's */
};

__noinline __u32 xlvs_maglev_hash(__u32 word) {
  return xlvs_sip13(word, XLVS_MAGLEV_KEY_START);
}

/* The slot at an offset; while a service changes its scheduler `count` may be
 * another's for a moment. */
static __always_inline __u32
xlvs_hash_index(const struct xlvs_hash_search* search, __u32 offset) {
  const __u32 hash = search->is_maglev ? xlvs_maglev_hash(search->key + offset)
                                       : xlvs_hash_slot(search->key) + offset;
  return hash % search->list.count;
}

static long xlvs_hash_search_slot(__u32 step, void* context) {
  struct xlvs_hash_search* search = context;
  if (!search->list.count) return 1;
  const __u32 offset = (step + search->from) % search->list.count;
  const __u32 index = xlvs_hash_index(search, offset);
  const struct xlvs_slot* slot = xlvs_slot_at(search->list, index);
  if (!slot) return 1;
  if (!xlvs_slot_weight(slot, search->limited)) return 0;
  search->found = slot->dest;
  return 1;
}

/* The slot's owner; 0 if the client is refused. */
static __always_inline __u32 xlvs_pick_by_hash(const struct xlvs_packet* pkt,
                                               const struct xlvs_pool* pool,
                                               enum xlvs_scheduler scheduler) {
  const struct xlvs_list list = xlvs_list_of(pool);
  /* Nobody has a weight: no slot need be asked. */
  if (!list.count || !pool->threshold_max) return 0;
  struct xlvs_hash_search search = {.list = list,
                                    .is_maglev = scheduler == XLVS_SCHED_mh,
                                    .limited = pool->limited};
  const bool of_dest = scheduler == XLVS_SCHED_dh;
  const __u32 flags = of_dest ? 0 : pool->flags;
  search.key = xlvs_fold_addr(of_dest ? &pkt->daddr : &pkt->saddr);
  if (flags & XLVS_SERVICE_sched_2) search.key += pkt->sport;
  xlvs_hash_search_slot(0, &search);
  if (search.found || !(flags & XLVS_SERVICE_sched_1)) return search.found;
  search.from = xlvs_hash_index(&search, 0);
  bpf_loop(list.count, xlvs_hash_search_slot, &search, 0);
  return search.found;
}

#endif
