/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * lc, wlc, sed, nq, fo and ovf: the dest whose cost / weight is the least, the
 * first in the list among equals. What a connection costs and whether weights
 * count is the schedulers' whole difference: one row each (ip_vs_lc.c,
 * ip_vs_wlc.c, ip_vs_sed.c, ip_vs_nq.c, ip_vs_fo.c, ip_vs_ovf.c and
 * ip_vs_dest_conn_overhead as of Linux 6.12). */
#ifndef XLVS_BPF_SCHEDULE_BY_LOAD_H
#define XLVS_BPF_SCHEDULE_BY_LOAD_H

#include "bpf/lib/counts.h"
#include "bpf/schedule/list.h"
#include "bpf/tables.h"

#define XLVS_COST_OF_ACTIVE 256 /* lc, wlc, twos; an inactive one costs 1 */

/* What a dest costs; a constant of each scheduler's own copy of the loop. */
struct xlvs_load_rule {
  __u16 per_active;
  __u8 per_inactive;
  __u8 fixed;
  __u8 busy; /* once, if there are active ones */
  /* -1 or 0. */
  __s8 weighted;  /* else all weights above 0 are equal */
  __s8 overflows; /* a dest with more active ones than its weight is out */
};

struct xlvs_load_search {
  struct xlvs_list list;
  __u32 best;
  __u32 best_weight;
  __s64 best_cost;
  enum xlvs_scheduler scheduler; /* of the loop for limited pools */
  __u32 pad0;
};

/* A row for each case of schedule.h that ends here; others have none. */
#define XLVS_LOAD_RULES 16 /* array size: a power of two */
static const struct xlvs_load_rule xlvs_load_rules[XLVS_LOAD_RULES] = {
    [XLVS_SCHED_lc] = {.per_active = XLVS_COST_OF_ACTIVE, .per_inactive = 1},
    [XLVS_SCHED_wlc] = {.per_active = XLVS_COST_OF_ACTIVE,
                        .per_inactive = 1,
                        .weighted = -1},
    [XLVS_SCHED_sed] = {.per_active = 1, .fixed = 1, .weighted = -1},
    /* As sed, but an idle dest costs nothing. */
    [XLVS_SCHED_nq] = {.per_active = 1, .busy = 1, .weighted = -1},
    /* All cost the same: the highest weight wins. */
    [XLVS_SCHED_fo] = {.fixed = 1, .weighted = -1},
    [XLVS_SCHED_ovf] = {.fixed = 1, .weighted = -1, .overflows = -1},
};

static __always_inline const struct xlvs_load_rule* xlvs_load_rule_of(
    enum xlvs_scheduler scheduler) {
  return &xlvs_load_rules[scheduler % XLVS_LOAD_RULES];
}

/* Masks, for the verifier follows every condition of every slot both ways. */
static __always_inline __s64 xlvs_cost(const struct xlvs_load_rule* rule,
                                       struct xlvs_load load) {
  const __u32 is_busy = (__u32)-load.active >> 31;
  return (__s64)load.active * rule->per_active +
         (__s64)load.inactive * rule->per_inactive + is_busy * rule->busy +
         rule->fixed;
}

/* 0: not eligible. */
static __always_inline __s64 xlvs_effective_weight(
    const struct xlvs_load_rule* rule, __u32 weight, __s32 active) {
  const __s64 is_over = ((__s64)weight - active) >> 63;
  const __s64 weighted = rule->weighted;
  return ((weight & weighted) | (1 & ~weighted)) & ~(is_over & rule->overflows);
}

/* One dest: better than what was found so far? */
static __always_inline void xlvs_load_search_slot(
    const struct xlvs_slot* slot, struct xlvs_load_search* search,
    const struct xlvs_load_rule* rule) {
  const struct xlvs_load load = xlvs_load_seen(slot->dest);
  const __s64 weight = xlvs_effective_weight(rule, slot->weight, load.active);
  const __s64 cost = xlvs_cost(rule, load);
  if (search->best_cost * weight <= cost * search->best_weight) return;
  search->best = slot->dest;
  search->best_weight = weight;
  search->best_cost = cost;
}

/* Behind the end of a list, its last chunk has slots of weight 0. */
static __always_inline long xlvs_load_search_chunk(
    __u32 step, struct xlvs_load_search* search,
    const struct xlvs_load_rule* rule) {
  const __u32 chunk = search->list.first_chunk + step;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  if (!slots) return 1;
  for (__u32 i = 0; i < XLVS_SLOTS_PER_CHUNK; i++) {
    const struct xlvs_slot* slot = &slots->slot[i];
    if (slot->weight) xlvs_load_search_slot(slot, search, rule);
  }
  return search->best_cost <= 0; /* nothing costs less */
}

/* Whatever has a weight is better than what this has found. */
static __always_inline struct xlvs_load_search xlvs_load_search_on(
    struct xlvs_list list) {
  struct xlvs_load_search search = {.list = list, .best_cost = 1};
  return search;
}

static __always_inline __u32
xlvs_load_search_steps(const struct xlvs_load_search* search) {
  return (search->list.count + XLVS_SLOTS_PER_CHUNK - 1) / XLVS_SLOTS_PER_CHUNK;
}

/* The dest of least cost, 0 if none is eligible. The mark after the loop keeps
 * the compiler from making one call of the schedulers' six: with a callback
 * that the kernel does not know beforehand it inlines no bpf_loop, 1 us for a
 * list of 1,000. */
#define XLVS_PICK_BY_LOAD(name)                                              \
  static long xlvs_search_chunk_##name(__u32 step, void* context) {          \
    return xlvs_load_search_chunk(step, context,                             \
                                  xlvs_load_rule_of(XLVS_SCHED_##name));     \
  }                                                                          \
  static __always_inline __u32 xlvs_pick_##name(const struct xlvs_pool* p) { \
    struct xlvs_load_search search = xlvs_load_search_on(xlvs_list_of(p));   \
    bpf_loop(xlvs_load_search_steps(&search), xlvs_search_chunk_##name,      \
             &search, 0);                                                    \
    asm volatile("" ::"i"(XLVS_SCHED_##name));                               \
    return search.best;                                                      \
  }
XLVS_PICK_BY_LOAD(lc)
XLVS_PICK_BY_LOAD(wlc)
XLVS_PICK_BY_LOAD(sed)
XLVS_PICK_BY_LOAD(nq)
XLVS_PICK_BY_LOAD(fo)
XLVS_PICK_BY_LOAD(ovf)

static long xlvs_any_rule_slot(__u32 index, void* context) {
  struct xlvs_load_search* search = context;
  const struct xlvs_slot* slot = xlvs_slot_at(search->list, index);
  if (!slot) return 1;
  if (slot->weight && !xlvs_dest_is_overloaded(slot->dest))
    xlvs_load_search_slot(slot, search, xlvs_load_rule_of(search->scheduler));
  return 0;
}

/* The same by any of the six, for pools with thresholds: a loop of its own,
 * which takes the rule as it comes, so that the others need not ask. And for
 * lblc and lblcr, which seldom choose anew. */
__noinline __u32 xlvs_pick_any_by_load(__u32 first_chunk, __u32 count,
                                       __u32 scheduler) {
  struct xlvs_list list = {.first_chunk = first_chunk, .count = count};
  struct xlvs_load_search search = xlvs_load_search_on(list);
  search.scheduler = (enum xlvs_scheduler)scheduler;
  bpf_loop(count, xlvs_any_rule_slot, &search, 0);
  return search.best;
}

static __always_inline bool xlvs_is_by_load(enum xlvs_scheduler scheduler) {
  const struct xlvs_load_rule* rule = xlvs_load_rule_of(scheduler);
  return rule->per_active || rule->fixed;
}

#endif
