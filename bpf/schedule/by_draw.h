/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * twos: two dests are drawn, each as often as its weight says, and the less
 * loaded one is taken (ip_vs_twos.c as of Linux 6.12). Tickets go from 0 to the
 * sum of the weights, both included, so the first of the list has one more than
 * its weight. */
#ifndef XLVS_BPF_SCHEDULE_BY_DRAW_H
#define XLVS_BPF_SCHEDULE_BY_DRAW_H

#include "bpf/schedule/by_load.h"

#define XLVS_TICKET_NEVER (~0ULL)

struct xlvs_draw {
  struct xlvs_list list;
  __u64 ticket;  /* what is left of it */
  __u32 index;   /* of the slot that was drawn */
  __u32 limited; /* the pool's */
};

/* What is left of a ticket after a dest of this weight; 0: it is that dest's. A
 * function of its own so that the verifier need not follow the number. */
__noinline __u64 xlvs_ticket_left(__u64 ticket, __u32 weight) {
  return ticket > weight ? ticket - weight : 0;
}

static long xlvs_draw_chunk(__u32 step, void* context) {
  struct xlvs_draw* draw = context;
  const __u32 chunk = draw->list.first_chunk + step;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  if (!slots) return 1;
  for (__u32 i = 0; i < XLVS_SLOTS_PER_CHUNK; i++) {
    const struct xlvs_slot* slot = &slots->slot[i];
    if (step * XLVS_SLOTS_PER_CHUNK + i >= draw->list.count) return 1;
    const __u32 weight = xlvs_slot_weight(slot, draw->limited);
    draw->ticket = xlvs_ticket_left(draw->ticket, weight);
    if (draw->ticket) continue;
    draw->index = step * XLVS_SLOTS_PER_CHUNK + i;
    return 1;
  }
  return 0;
}

/* The slot that the ticket is for, NULL if it is nobody's. */
static __always_inline const struct xlvs_slot* xlvs_draw(struct xlvs_draw* draw,
                                                         __u64 ticket) {
  draw->ticket = ticket;
  bpf_loop(draw->list.count / XLVS_SLOTS_PER_CHUNK + 1, xlvs_draw_chunk, draw,
           0);
  return draw->ticket ? NULL : xlvs_slot_at(draw->list, draw->index);
}

/* 0 is the first dest's, as 1 is. */
static __always_inline __u64 xlvs_random_ticket(__u64 highest) {
  const __u64 high = bpf_get_prandom_u32();
  const __u64 ticket = (high << 32 | bpf_get_prandom_u32()) % (highest + 1);
  return ticket ? ticket : 1;
}

/* weight * (active * 256 + inactive) in 32 bits, as the kernel has it. */
static __always_inline __s32 xlvs_draw_cost(__u32 weight, __u32 dest) {
  const struct xlvs_load load = xlvs_load_seen(dest);
  return (__s32)(weight * ((__u32)load.active * XLVS_COST_OF_ACTIVE +
                           (__u32)load.inactive));
}

/* The dest drawn, 0 if none is eligible. */
static __always_inline __u32 xlvs_pick_by_draw(const struct xlvs_pool* pool) {
  struct xlvs_draw draw = {.list = xlvs_list_of(pool),
                           .limited = pool->limited};
  /* What is left of a ticket that nobody has tells the sum of the weights. */
  xlvs_draw(&draw, XLVS_TICKET_NEVER);
  const __u64 total = XLVS_TICKET_NEVER - draw.ticket;
  if (!total) return 0;
  const struct xlvs_slot* one = xlvs_draw(&draw, xlvs_random_ticket(total));
  const struct xlvs_slot* other = xlvs_draw(&draw, xlvs_random_ticket(total));
  /* A dest was marked overloaded meanwhile, and the ticket is nobody's. */
  if (!one) one = other;
  if (!one) return 0;
  if (!other) other = one;
  return xlvs_draw_cost(other->weight, one->dest) >
                 xlvs_draw_cost(one->weight, other->dest)
             ? other->dest
             : one->dest;
}

#endif
