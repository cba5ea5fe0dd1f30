/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * rr and wrr: walk the service's list from where the last pick stopped. The
 * formulas are those of ip_vs_rr.c and ip_vs_wrr.c. Two CPUs that pick at once
 * settle it by compare-and-swap of the 64-bit position. */
#ifndef XLVS_BPF_SCHEDULE_BY_SEQUENCE_H
#define XLVS_BPF_SCHEDULE_BY_SEQUENCE_H

#include "bpf/tables.h"

#define XLVS_PICK_ATTEMPTS 8

union xlvs_position_word {
  struct xlvs_position position;
  __u64 word;
};

union xlvs_list_word {
  struct xlvs_list list;
  __u64 word;
};

static __always_inline const struct xlvs_slot* xlvs_slot_at(
    struct xlvs_list list, __u32 index) {
  const __u32 chunk = list.first_chunk + index / XLVS_SLOTS_PER_CHUNK;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  return slots ? &slots->slot[index % XLVS_SLOTS_PER_CHUNK] : NULL;
}

static __always_inline __u32 xlvs_dest_at(struct xlvs_list list, __u32 index) {
  const struct xlvs_slot* slot = xlvs_slot_at(list, index);
  return slot ? slot->dest : 0;
}

/* One search along the list for a weight of at least `threshold`. */
struct xlvs_weight_search {
  struct xlvs_list list;
  __u32 from;
  __u32 threshold;
  __u32 found; /* index, or list.count if none */
};

static long xlvs_weight_search_chunk(__u32 step, void* context) {
  struct xlvs_weight_search* search = context;
  const __u32 first = search->from / XLVS_SLOTS_PER_CHUNK + step;
  const __u32 chunk = search->list.first_chunk + first;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  if (!slots) return 1;
  for (__u32 i = 0; i < XLVS_SLOTS_PER_CHUNK; i++) {
    const __u32 index = first * XLVS_SLOTS_PER_CHUNK + i;
    if (index < search->from) continue;
    if (index >= search->list.count) return 1;
    if (slots->slot[i].weight >= search->threshold) {
      search->found = index;
      return 1;
    }
  }
  return 0;
}

/* The first index at or after `from` whose weight reaches `threshold`; `count`
 * if there is none. */
__noinline __u32 xlvs_find_weight(__u32 first_chunk, __u32 count, __u32 from,
                                  __u32 threshold) {
  if (from >= count) return count;
  struct xlvs_weight_search search = {
      .list = {.first_chunk = first_chunk, .count = count},
      .from = from,
      .threshold = threshold,
      .found = count};
  bpf_loop((count - from) / XLVS_SLOTS_PER_CHUNK + 2, xlvs_weight_search_chunk,
           &search, 0);
  return search.found;
}

/* The next in turn that has a weight at all; list.count if none has. */
static __always_inline struct xlvs_position xlvs_next_in_turn(
    struct xlvs_list list, struct xlvs_position position) {
  __u32 next = position.last + 1; /* BEFORE_HEAD + 1 is 0 */
  if (next >= list.count) next = 0;
  const struct xlvs_slot* slot = xlvs_slot_at(list, next);
  if (!slot || !slot->weight) {
    next = xlvs_find_weight(list.first_chunk, list.count, next, 1);
    if (next >= list.count)
      next = xlvs_find_weight(list.first_chunk, list.count, 0, 1);
  }
  position.last = next;
  return position;
}

/* The next in turn by weight: IPVS's cw is `threshold`, di and mw are the
 * pool's step and max. list.count if no dest has a weight. */
static __always_inline struct xlvs_position xlvs_next_by_weight(
    struct xlvs_list list, struct xlvs_position position, __u32 max,
    __u32 step) {
  if (!max) { /* no dest has a weight; a threshold of 0 would find them */
    position.last = list.count;
    return position;
  }
  __u32 found = xlvs_find_weight(list.first_chunk, list.count,
                                 position.last + 1, position.threshold);
  if (found >= list.count) {
    position.threshold =
        position.threshold > step ? position.threshold - step : max;
    found =
        xlvs_find_weight(list.first_chunk, list.count, 0, position.threshold);
  }
  position.last = found;
  return position;
}

/* The dest in turn, 0 if no dest has a weight. */
static __always_inline __u32 xlvs_pick_by_sequence(struct xlvs_pool* pool,
                                                   bool weighted) {
  const union xlvs_list_word list = {.word = *(volatile __u64*)&pool->list};
  if (!list.list.count) return 0;
  union xlvs_position_word old = {.word = *(volatile __u64*)&pool->position};
  union xlvs_position_word next = old;
  for (int attempt = 0; attempt < XLVS_PICK_ATTEMPTS; attempt++) {
    next.position = weighted ? xlvs_next_by_weight(list.list, old.position,
                                                   pool->threshold_max,
                                                   pool->threshold_step)
                             : xlvs_next_in_turn(list.list, old.position);
    if (next.position.last >= list.list.count) return 0;
    const __u64 seen = __sync_val_compare_and_swap((__u64*)&pool->position,
                                                   old.word, next.word);
    if (seen == old.word) break;
    old.word = seen;
  }
  return xlvs_dest_at(list.list, next.position.last);
}

#endif
