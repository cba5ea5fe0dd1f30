/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * rr and wrr: walk the service's list from where the last pick stopped. The
 * formulas are those of ip_vs_rr.c and ip_vs_wrr.c. Two CPUs that pick at once
 * settle it by compare-and-swap of the 64-bit position. */
#ifndef XLVS_BPF_SCHEDULE_BY_SEQUENCE_H
#define XLVS_BPF_SCHEDULE_BY_SEQUENCE_H

#include "bpf/schedule/list.h"
#include "bpf/tables.h"

#define XLVS_PICK_ATTEMPTS 8

union xlvs_position_word {
  struct xlvs_position position;
  __u64 word;
};

static __always_inline __u32 xlvs_dest_at(struct xlvs_list list, __u32 index) {
  const struct xlvs_slot* slot = xlvs_slot_at(list, index);
  return slot ? slot->dest : 0;
}

/* One search along the list for a weight of at least `threshold`. */
struct xlvs_weight_search {
  struct xlvs_list list;
  __u32 from;
  __u32 threshold;
  __u32 found;   /* index, or list.count if none */
  __u32 limited; /* the pool's */
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
    const struct xlvs_slot* slot = &slots->slot[i];
    if (slot->weight < search->threshold) continue;
    if (search->limited && xlvs_dest_is_overloaded(slot->dest)) continue;
    search->found = index;
    return 1;
  }
  return 0;
}

/* The first index at or after `from` whose weight reaches `threshold`; `count`
 * if there is none. */
__noinline __u32 xlvs_find_weight(__u32 first_chunk, __u32 count, __u32 from,
                                  __u32 threshold, __u32 limited) {
  if (from >= count) return count;
  struct xlvs_weight_search search = {
      .list = {.first_chunk = first_chunk, .count = count},
      .from = from,
      .threshold = threshold,
      .found = count,
      .limited = limited};
  bpf_loop((count - from) / XLVS_SLOTS_PER_CHUNK + 2, xlvs_weight_search_chunk,
           &search, 0);
  return search.found;
}

struct xlvs_heaviest_search {
  struct xlvs_list list;
  __u32 heaviest;
  __u32 pad0;
};

static long xlvs_heaviest_chunk(__u32 step, void* context) {
  struct xlvs_heaviest_search* search = context;
  const __u32 chunk = search->list.first_chunk + step;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  if (!slots) return 1;
  for (__u32 i = 0; i < XLVS_SLOTS_PER_CHUNK; i++) {
    if (step * XLVS_SLOTS_PER_CHUNK + i >= search->list.count) return 1;
    const struct xlvs_slot* slot = &slots->slot[i];
    if (slot->weight > search->heaviest && !xlvs_dest_is_overloaded(slot->dest))
      search->heaviest = slot->weight;
  }
  return 0;
}

/* Where every dest that reaches the threshold is overloaded: how far down it
 * has to go, by steps, until one that is not does. 0: all are overloaded. */
__noinline __u32 xlvs_threshold_down(__u32 first_chunk, __u32 count,
                                     __u32 threshold, __u32 step) {
  struct xlvs_heaviest_search search = {
      .list = {.first_chunk = first_chunk, .count = count}};
  bpf_loop(count / XLVS_SLOTS_PER_CHUNK + 1, xlvs_heaviest_chunk, &search, 0);
  if (!search.heaviest || !step) return 0;
  if (threshold <= search.heaviest) return threshold;
  const __u32 down = (threshold - search.heaviest + step - 1) / step * step;
  return down < threshold ? threshold - down : 1;
}

/* The next in turn that is eligible; list.count if none is. */
static __always_inline struct xlvs_position xlvs_next_in_turn(
    struct xlvs_list list, struct xlvs_position position, __u32 limited) {
  __u32 next = position.last + 1; /* BEFORE_HEAD + 1 is 0 */
  if (next >= list.count) next = 0;
  const struct xlvs_slot* slot = xlvs_slot_at(list, next);
  if (!slot || !xlvs_slot_weight(slot, limited)) {
    next = xlvs_find_weight(list.first_chunk, list.count, next, 1, limited);
    if (next >= list.count)
      next = xlvs_find_weight(list.first_chunk, list.count, 0, 1, limited);
  }
  position.last = next;
  return position;
}

/* wrr, all dests are overloaded: IPVS stays where it is if it had gone through
 * the list but for the last threshold (list.count), else it starts anew. */
static __always_inline struct xlvs_position xlvs_all_overloaded(
    struct xlvs_list list, struct xlvs_position old, __u32 max, __u32 step) {
  const bool stays = old.last != XLVS_BEFORE_HEAD && old.threshold <= step;
  struct xlvs_position position = {
      .last = stays ? list.count : XLVS_BEFORE_HEAD, .threshold = max};
  return position;
}

/* The next in turn by weight: IPVS's cw is `threshold`, di and mw are the
 * pool's step and max. list.count or more if none is eligible; list.count says
 * that the position stays. */
static __always_inline struct xlvs_position xlvs_next_by_weight(
    struct xlvs_list list, struct xlvs_position old, __u32 max, __u32 step,
    __u32 limited) {
  struct xlvs_position position = old;
  if (!max) { /* no dest has a weight; a threshold of 0 would find them */
    position.last = list.count;
    return position;
  }
  __u32 found =
      xlvs_find_weight(list.first_chunk, list.count, position.last + 1,
                       position.threshold, limited);
  if (found >= list.count) {
    position.threshold =
        position.threshold > step ? position.threshold - step : max;
    if (limited)
      position.threshold = xlvs_threshold_down(list.first_chunk, list.count,
                                               position.threshold, step);
    if (!position.threshold) return xlvs_all_overloaded(list, old, max, step);
    found = xlvs_find_weight(list.first_chunk, list.count, 0,
                             position.threshold, limited);
  }
  position.last = found;
  return position;
}

/* The dest in turn, 0 if none is eligible. */
static __always_inline __u32 xlvs_pick_by_sequence(struct xlvs_pool* pool,
                                                   bool weighted) {
  const struct xlvs_list list = xlvs_list_of(pool);
  if (!list.count) return 0;
  union xlvs_position_word old = {.word = *(volatile __u64*)&pool->position};
  union xlvs_position_word next = old;
  const __u32 limited = pool->limited;
  for (int attempt = 0; attempt < XLVS_PICK_ATTEMPTS; attempt++) {
    next.position =
        weighted ? xlvs_next_by_weight(list, old.position, pool->threshold_max,
                                       pool->threshold_step, limited)
                 : xlvs_next_in_turn(list, old.position, limited);
    if (next.position.last == list.count) return 0;
    const __u64 seen = __sync_val_compare_and_swap((__u64*)&pool->position,
                                                   old.word, next.word);
    if (seen == old.word) break;
    old.word = seen;
  }
  if (next.position.last >= list.count) return 0;
  return xlvs_dest_at(list, next.position.last);
}

#endif
