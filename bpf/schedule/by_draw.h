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
  __u64 ticket; /* what is left of it */
  __u32 dest;   /* 0: not drawn yet */
  __u32 weight;
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
    draw->ticket = xlvs_ticket_left(draw->ticket, slot->weight);
    if (draw->ticket) continue;
    draw->dest = slot->dest;
    draw->weight = slot->weight;
    return 1;
  }
  return 0;
}

static __always_inline void xlvs_draw(struct xlvs_draw* draw, __u64 ticket) {
  draw->ticket = ticket;
  bpf_loop(draw->list.count / XLVS_SLOTS_PER_CHUNK + 1, xlvs_draw_chunk, draw,
           0);
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

/* The dest drawn, 0 if none has a weight. */
static __always_inline __u32 xlvs_pick_by_draw(const struct xlvs_pool* pool) {
  union {
    struct xlvs_list list;
    __u64 word;
  } list = {.word = *(volatile __u64*)&pool->list};
  struct xlvs_draw draw = {.list = list.list};
  /* What is left of a ticket that nobody has tells the sum of the weights. */
  xlvs_draw(&draw, XLVS_TICKET_NEVER);
  const __u64 total = XLVS_TICKET_NEVER - draw.ticket;
  if (!total) return 0;
  xlvs_draw(&draw, xlvs_random_ticket(total));
  const __u32 one = draw.dest;
  const __u32 one_weight = draw.weight;
  xlvs_draw(&draw, xlvs_random_ticket(total));
  return xlvs_draw_cost(draw.weight, one) >
                 xlvs_draw_cost(one_weight, draw.dest)
             ? draw.dest
             : one;
}

#endif
