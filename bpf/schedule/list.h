/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A service's list of dests, as all schedulers have it. Of services with
 * thresholds (-x, -y; pool->limited) an overloaded dest is as good as one of
 * weight 0; schedulers of others do not look at dests' records for it. */
#ifndef XLVS_BPF_SCHEDULE_LIST_H
#define XLVS_BPF_SCHEDULE_LIST_H

#include "bpf/tables.h"

/* Read at once: the old list or the new one. */
static __always_inline struct xlvs_list xlvs_list_of(
    const struct xlvs_pool* pool) {
  const union {
    struct xlvs_list list;
    __u64 word;
  } list = {.word = *(volatile __u64*)&pool->list};
  return list.list;
}

static __always_inline const struct xlvs_slot* xlvs_slot_at(
    struct xlvs_list list, __u32 index) {
  const __u32 chunk = list.first_chunk + index / XLVS_SLOTS_PER_CHUNK;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  return slots ? &slots->slot[index % XLVS_SLOTS_PER_CHUNK] : NULL;
}

static __always_inline bool xlvs_dest_is_overloaded(__u32 dest) {
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  return record && XLVS_READ_ONCE(record->overloaded);
}

/* What counts of a dest's weight: nothing, if it is overloaded. */
__noinline __u32 xlvs_weight_left(__u32 dest, __u32 weight) {
  return xlvs_dest_is_overloaded(dest) ? 0 : weight;
}

static __always_inline __u32 xlvs_slot_weight(const struct xlvs_slot* slot,
                                              __u32 limited) {
  return limited ? xlvs_weight_left(slot->dest, slot->weight) : slot->weight;
}

#endif
