/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Ends the connections whose time has come. Works beside packets on other
 * CPUs: whoever compare-and-swaps `life` to 0 has ended the connection and
 * takes it off its dest's counts. */
#ifndef XLVS_BPF_EXPIRE_SWEEP_H
#define XLVS_BPF_EXPIRE_SWEEP_H

#include "bpf/lib/free.h"
#include "bpf/lib/place.h"
#include "bpf/tables.h"

#define XLVS_NOTHING_DUE_TICKS 0x3fffffffU /* later than any timeout */

/* Whether the connection's dest was removed and it shall not outlive it. A
 * template goes after its connections. */
static __always_inline bool xlvs_is_flushed(const struct xlvs_conn* conn,
                                            union xlvs_life life) {
  if (xlvs_is_held(life)) return false;
  const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
  const __u32 dest_id = xlvs_dest_id(ports);
  const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
  return dest && dest->state == XLVS_DEST_removed;
}

/* A template stays for its connections, a minute at a time. */
static __always_inline union xlvs_life xlvs_rearm(struct xlvs_conn* conn,
                                                  union xlvs_life life,
                                                  __u32 now_ticks) {
  union xlvs_life next = life;
  next.life.expires_ticks = now_ticks + XLVS_TEMPLATE_REARM_TICKS;
  next.life.flags |= XLVS_CONN_rearmed;
  const __u64 seen =
      __sync_val_compare_and_swap((__u64*)&conn->life, life.word, next.word);
  if (seen != life.word) next.word = seen;
  return next;
}

/* Ends what is due in one bucket and finds out when to look again. `next_due`
 * is set to "never" first: whoever shortens a connection's time meanwhile
 * lowers it again, and nothing is missed. */
__noinline int xlvs_sweep_bucket(__u32 index, __u32 now_ticks, __u32 flush) {
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  struct xlvs_head* head = bpf_map_lookup_elem(&xlvs_heads, &index);
  if (!bucket || !head) return 0;
  __sync_lock_test_and_set(&head->next_due_ticks,
                           now_ticks + XLVS_NOTHING_DUE_TICKS);
  __u32 next_due = now_ticks + XLVS_NOTHING_DUE_TICKS;
  XLVS_NO_UNROLL
  for (__u32 slot = 0; slot < XLVS_CONNS_PER_BUCKET; slot++) {
    struct xlvs_conn* conn = &bucket->conn[slot];
    union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
    if (life.life.state == XLVS_CONN_free) continue;
    const bool due = !xlvs_is_later(life.life.expires_ticks, now_ticks);
    if (due && xlvs_is_held(life))
      life = xlvs_rearm(conn, life, now_ticks);
    else if ((due || (flush && xlvs_is_flushed(conn, life))) &&
             xlvs_conn_free(index, conn, slot, life.word, /*forced=*/!due))
      continue;
    if (xlvs_is_later(next_due, life.life.expires_ticks))
      next_due = life.life.expires_ticks;
  }
  xlvs_note_due(head, next_due);
  return 0;
}

struct xlvs_sweep_context {
  __u32 first;
  __u32 now_ticks;
  __u32 flush; /* connections of removed dests end, too: all is looked at */
};

static long xlvs_sweep_step(__u32 step, void* context) {
  const struct xlvs_sweep_context* sweep = context;
  __u32 index = sweep->first + step;
  if (index >= xlvs_cfg.buckets) index -= xlvs_cfg.buckets;
  const struct xlvs_head* head = bpf_map_lookup_elem(&xlvs_heads, &index);
  if (head &&
      (sweep->flush ||
       !xlvs_is_later(XLVS_READ_ONCE(head->next_due_ticks), sweep->now_ticks)))
    xlvs_sweep_bucket(index, sweep->now_ticks, sweep->flush);
  return 0;
}

static __always_inline void xlvs_sweep(struct xlvs_clock* clock,
                                       const struct xlvs_control* control,
                                       __u32 now_ticks) {
  const __u32 until = XLVS_READ_ONCE(control->flush_until_sweep);
  struct xlvs_sweep_context sweep = {
      .first = clock->sweep_position,
      .now_ticks = now_ticks,
      .flush = xlvs_is_later(until, (__u32)clock->sweeps)};
  bpf_loop(xlvs_cfg.sweep_buckets, xlvs_sweep_step, &sweep, 0);
  clock->sweep_position += xlvs_cfg.sweep_buckets;
  if (clock->sweep_position >= xlvs_cfg.buckets) {
    clock->sweep_position -= xlvs_cfg.buckets;
    clock->sweeps++;
  }
}

#endif
