/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Numbers that look like random ones, without state: which flow a packet is of.
 */
#ifndef XLVS_TOOLS_BENCH_D_MIX_H
#define XLVS_TOOLS_BENCH_D_MIX_H

#include "maps/layout.h"

static inline __u32 bench_mix(__u32 x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ x >> 16;
}

/* Below `count`. */
static inline __u32 bench_pick(__u32 run, __u32 count) {
  return ((__u64)bench_mix(run) * count) >> 32;
}

#endif
