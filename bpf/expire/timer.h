/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Time: one timer for the whole director, every tick. It sets the clock, ends
 * the connections that are due, folds counts that CPUs have not told, estimates
 * rates, and defends against floods. No process of ours has to run.
 *
 * Connections: a tick looks at sweep_buckets heads (a round over the table
 * takes about a second) and opens only the buckets in which something is due.
 */
#ifndef XLVS_BPF_EXPIRE_TIMER_H
#define XLVS_BPF_EXPIRE_TIMER_H

#include "bpf/expire/defend.h"
#include "bpf/expire/fold.h"
#include "bpf/expire/sweep.h"
#include "bpf/tables.h"

#define XLVS_CLOCK_MONOTONIC 1

static int xlvs_tick(void* map, int* key, struct xlvs_timer* timer) {
  (void)map;
  (void)key;
  struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!clock || !control) return 0;
  const __u32 now_ticks = bpf_ktime_get_ns() / XLVS_TICK_NS;
  XLVS_WRITE_ONCE(clock->now_ticks, now_ticks);
  xlvs_sweep(clock, control, now_ticks);
  xlvs_fold(clock);
  xlvs_defend(clock, control);
  clock->timer_runs++;
  bpf_timer_start(&timer->timer, XLVS_TICK_NS, 0);
  return 0;
}

/* Run once by the loader when the maps are new (by BPF_PROG_TEST_RUN, never on
 * a device), and by an upgrade. Returns 0 or a negative errno. Not a syscall
 * program: those may sleep, and Linux 6.1 refuses them maps with a
 * bpf_spin_lock ("sleepable progs cannot use bpf_spin_lock yet"). */
SEC("xdp")
int xlvs_arm(struct xdp_md* ctx) {
  (void)ctx;
  struct xlvs_timer* timer = XLVS_ONLY(xlvs_timer);
  struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!timer || !clock) return -1;
  clock->now_ticks = bpf_ktime_get_ns() / XLVS_TICK_NS;
  /* -EBUSY: it is there already, and gets this program's callback. */
  bpf_timer_init(&timer->timer, &xlvs_timer, XLVS_CLOCK_MONOTONIC);
  const long error = bpf_timer_set_callback(&timer->timer, xlvs_tick);
  if (error) return error;
  return bpf_timer_start(&timer->timer, XLVS_TICK_NS, 0);
}

#endif
