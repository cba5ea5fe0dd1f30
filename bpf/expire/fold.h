/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Folding per-CPU counts: every tick what CPUs have counted but not told the
 * shared totals (so that what lc and wlc see is late by a tick at most), and,
 * spread over two seconds, IPVS's rate estimate (ip_vs_est.c). */
#ifndef XLVS_BPF_EXPIRE_FOLD_H
#define XLVS_BPF_EXPIRE_FOLD_H

#include "bpf/tables.h"

#define XLVS_ESTIMATE_TICKS (XLVS_RATE_PERIOD_S * XLVS_TICKS_PER_SECOND)
#define XLVS_CPUS_MAX 1024

static __always_inline void xlvs_fold_dest(__u32 dest) {
  struct xlvs_load* load = bpf_map_lookup_elem(&xlvs_loads, &dest);
  if (!load) return;
  for (__u32 cpu = 0; cpu < XLVS_CPUS_MAX && cpu < xlvs_cfg.cpus; cpu++) {
    struct xlvs_counters* counters =
        bpf_map_lookup_percpu_elem(&xlvs_counters, &dest, cpu);
    if (!counters) continue;
    if (XLVS_READ_ONCE(counters->untold_active))
      __sync_fetch_and_add(
          &load->active, __sync_lock_test_and_set(&counters->untold_active, 0));
    if (XLVS_READ_ONCE(counters->untold_inactive))
      __sync_fetch_and_add(&load->inactive, __sync_lock_test_and_set(
                                                &counters->untold_inactive, 0));
  }
}

/* avg += (rate - avg) / 4, where rate = change << scale over two seconds. */
static __always_inline void xlvs_estimate(__u64 now, __u64* last, __u64* avg,
                                          int scale) {
  const __u64 rate = (now - *last) << scale;
  *last = now;
  *avg += (__s64)(rate - *avg) >> 2;
}

/* Also adds the dest's connections to those of this round: in the map, where
 * the verifier does not follow how they become more. */
static __always_inline void xlvs_estimate_dest(__u32 dest,
                                               struct xlvs_clock* clock) {
  struct xlvs_rate* rate = bpf_map_lookup_elem(&xlvs_rates, &dest);
  if (!rate) return;
  struct xlvs_counters sum = {};
  for (__u32 cpu = 0; cpu < XLVS_CPUS_MAX && cpu < xlvs_cfg.cpus; cpu++) {
    const struct xlvs_counters* counters =
        bpf_map_lookup_percpu_elem(&xlvs_counters, &dest, cpu);
    if (!counters) continue;
    sum.conns += counters->conns;
    sum.in_packets += counters->in_packets;
    sum.out_packets += counters->out_packets;
    sum.in_bytes += counters->in_bytes;
    sum.out_bytes += counters->out_bytes;
    clock->conns_so_far +=
        counters->active + counters->inactive + counters->persistent;
  }
  xlvs_estimate(sum.conns, &rate->last_conns, &rate->avg_conns, 9);
  xlvs_estimate(sum.in_packets, &rate->last_in_packets, &rate->avg_in_packets,
                9);
  xlvs_estimate(sum.out_packets, &rate->last_out_packets,
                &rate->avg_out_packets, 9);
  xlvs_estimate(sum.in_bytes, &rate->last_in_bytes, &rate->avg_in_bytes, 4);
  xlvs_estimate(sum.out_bytes, &rate->last_out_bytes, &rate->avg_out_bytes, 4);
}

static __always_inline bool xlvs_dest_in_use(__u32 id) {
  const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &id);
  return dest && dest->state != XLVS_DEST_free;
}

static long xlvs_fold_step(__u32 dest, void* context) {
  (void)context;
  if (xlvs_dest_in_use(dest)) xlvs_fold_dest(dest);
  return 0;
}

static long xlvs_estimate_step(__u32 step, void* context) {
  const __u32 dest = *(const __u32*)context + step;
  struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (clock && xlvs_dest_in_use(dest)) xlvs_estimate_dest(dest, clock);
  return 0;
}

static __always_inline void xlvs_fold(struct xlvs_clock* clock) {
  if (xlvs_cfg.count_batch > 1)
    bpf_loop(xlvs_cfg.dests, xlvs_fold_step, NULL, 0);
  const __u32 slice =
      (xlvs_cfg.dests + XLVS_ESTIMATE_TICKS - 1) / XLVS_ESTIMATE_TICKS;
  __u32 first = clock->estimate_position;
  bpf_loop(slice, xlvs_estimate_step, &first, 0);
  clock->estimate_position += slice;
  if (clock->estimate_position < xlvs_cfg.dests) return;
  clock->estimate_position = 0;
  clock->conns = clock->conns_so_far < 0 ? 0 : clock->conns_so_far;
  clock->conns_so_far = 0;
}

#endif
