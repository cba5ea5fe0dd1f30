/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * lc and wlc: the dest with the least load, the first in the list among equals
 * (ip_vs_lc.c, ip_vs_wlc.c, ip_vs_dest_conn_overhead as of Linux 6.12). */
#ifndef XLVS_BPF_SCHEDULE_BY_LOAD_H
#define XLVS_BPF_SCHEDULE_BY_LOAD_H

#include "bpf/tables.h"

struct xlvs_load_search {
  struct xlvs_list list;
  bool weighted;
  __u32 best;
  __u32 best_weight;
  __s64 best_overhead;
};

/* active * 256 + inactive, as this CPU sees it. */
static __always_inline __s64 xlvs_overhead(__u32 dest) {
  const struct xlvs_load* load = bpf_map_lookup_elem(&xlvs_loads, &dest);
  if (!load) return 0;
  __s32 active = XLVS_READ_ONCE(load->active);
  __s32 inactive = XLVS_READ_ONCE(load->inactive);
  if (xlvs_cfg.count_batch > 1) {
    const struct xlvs_counters* own =
        bpf_map_lookup_elem(&xlvs_counters, &dest);
    if (own) {
      active += XLVS_READ_ONCE(own->untold_active);
      inactive += XLVS_READ_ONCE(own->untold_inactive);
    }
  }
  return (__s64)active * 256 + inactive;
}

static long xlvs_load_search_chunk(__u32 step, void* context) {
  struct xlvs_load_search* search = context;
  const __u32 chunk = search->list.first_chunk + step;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  if (!slots) return 1;
  for (__u32 i = 0; i < XLVS_SLOTS_PER_CHUNK; i++) {
    const struct xlvs_slot* slot = &slots->slot[i];
    if (step * XLVS_SLOTS_PER_CHUNK + i >= search->list.count) return 1;
    if (!slot->weight) continue;
    const __s64 overhead = xlvs_overhead(slot->dest);
    const __u32 weight = search->weighted ? slot->weight : 1;
    if (!search->best || search->best_overhead * weight >
                             overhead * (__s64)search->best_weight) {
      search->best = slot->dest;
      search->best_weight = weight;
      search->best_overhead = overhead;
    }
  }
  return 0;
}

/* The least loaded dest, 0 if none has a weight. */
static __always_inline __u32 xlvs_pick_by_load(const struct xlvs_pool* pool,
                                               bool weighted) {
  union {
    struct xlvs_list list;
    __u64 word;
  } list = {.word = *(volatile __u64*)&pool->list};
  if (!list.list.count) return 0;
  struct xlvs_load_search search = {.list = list.list, .weighted = weighted};
  bpf_loop(list.list.count / XLVS_SLOTS_PER_CHUNK + 1, xlvs_load_search_chunk,
           &search, 0);
  return search.best;
}

#endif
