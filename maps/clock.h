/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_clock: the time that connections expire by. One entry. Written by the
 * expiry timer (bpf/expire/), read by every packet: a load instead of a helper
 * call, and a time that tests can set. */
#ifndef XLVS_MAPS_CLOCK_H
#define XLVS_MAPS_CLOCK_H

#include "maps/layout.h"

/* A tick is 125 ms of CLOCK_MONOTONIC; 32 bits of them last 17 years of uptime.
 */
#define XLVS_TICKS_PER_SECOND 8
#define XLVS_TICK_NS (1000000000ULL / XLVS_TICKS_PER_SECOND)

struct xlvs_clock {
  __u32 now_ticks;
  __u32 sweep_position; /* next connection bucket that the timer looks at */
  __u64 sweeps;         /* whole passes over the table since attach */
  __u64 timer_runs;
  __u32 estimate_position; /* next dest that the rate estimator looks at */
  /* What the defence modes are at, by the settings and how full the table is
   * (config.h; ip_vs_ctl.c, update_defense_level). */
  __u32 secure_tcp;   /* 1: TCP goes by the other table of states */
  __u32 drop_rate;    /* of this many first packets one is dropped; 0 = off */
  __u32 conns;        /* in the table, when the estimator last went round */
  __s64 conns_so_far; /* of the round that it is at */
};
XLVS_ASSERT_SIZE(struct xlvs_clock, 48);
XLVS_ASSERT_NO_PADDING(struct xlvs_clock);

#endif
