/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Connection and traffic counts of a dest; see maps/dest.h. Each CPU adds to
 * its own counters. A CPU cannot interrupt itself here (XDP and the timer both
 * run in soft interrupts), so plain additions do. */
#ifndef XLVS_BPF_LIB_COUNTS_H
#define XLVS_BPF_LIB_COUNTS_H

#include "bpf/tables.h"

/* A dest's connections, as this CPU sees them. */
static __always_inline struct xlvs_load xlvs_load_seen(__u32 dest) {
  struct xlvs_load seen = {};
  const struct xlvs_load* load = bpf_map_lookup_elem(&xlvs_loads, &dest);
  if (!load) return seen;
  const union {
    __u64 word;
    struct xlvs_load load;
  } told = {.word = *(volatile __u64*)load};
  seen = told.load;
  if (xlvs_cfg.count_batch > 1) {
    const struct xlvs_counters* own =
        bpf_map_lookup_elem(&xlvs_counters, &dest);
    if (own) {
      seen.active += XLVS_READ_ONCE(own->untold_active);
      seen.inactive += XLVS_READ_ONCE(own->untold_inactive);
    }
  }
  return seen;
}

/* Whether the dest has thresholds: what is told of it is told at once, so that
 * they are met exactly. */
static __always_inline bool xlvs_dest_is_limited(__u32 dest) {
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  return record && record->flags & XLVS_DEST_limited;
}

/* Adds to this CPU's counts, and tells the shared totals when B are due. The
 * timer may take `untold_*` from another CPU (xchg), so those are atomic. */
static __always_inline void xlvs_count(struct xlvs_counters* counters,
                                       __u32 dest, __s32 active,
                                       __s32 inactive) {
  counters->active += active;
  counters->inactive += inactive;
  struct xlvs_load* load = bpf_map_lookup_elem(&xlvs_loads, &dest);
  if (!load) return;
  const __s32 batch = xlvs_cfg.count_batch;
  if (batch > 1 && !xlvs_dest_is_limited(dest)) {
    if (active) {
      const __s32 untold =
          __sync_fetch_and_add(&counters->untold_active, active) + active;
      active = untold >= batch || untold <= -batch
                   ? __sync_lock_test_and_set(&counters->untold_active, 0)
                   : 0;
    }
    if (inactive) {
      const __s32 untold =
          __sync_fetch_and_add(&counters->untold_inactive, inactive) + inactive;
      inactive = untold >= batch || untold <= -batch
                     ? __sync_lock_test_and_set(&counters->untold_inactive, 0)
                     : 0;
    }
  }
  if (active) __sync_fetch_and_add(&load->active, active);
  if (inactive) __sync_fetch_and_add(&load->inactive, inactive);
}

/* All connections, as all CPUs have told. */
static __always_inline __s64 xlvs_load_total(const struct xlvs_load* load) {
  return (__s64)XLVS_READ_ONCE(load->active) + XLVS_READ_ONCE(load->inactive);
}

/* -x and -y: a limited dest has a connection more (`change` > 0) or less;
 * whether it is overloaded now, by IPVS's rules (ip_vs_conn.c,
 * ip_vs_bind_dest, ip_vs_unbind_dest). After it was marked, the other rule is
 * asked too: if all its connections ended on other CPUs meanwhile, nobody else
 * would ever take the mark off. */
__noinline int xlvs_dest_loaded(__u32 dest, __s32 change) {
  struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  const struct xlvs_load* load = bpf_map_lookup_elem(&xlvs_loads, &dest);
  if (!record || !load) return 0;
  const __s64 upper = record->upper;
  const __s64 lower = record->lower;
  if (change > 0) {
    if (!upper || xlvs_load_total(load) < upper) return 0;
    /* A barrier, too: the total is read after it. */
    __sync_lock_test_and_set(&record->overloaded, 1);
  }
  const __s64 total = xlvs_load_total(load);
  const bool stays = lower ? total >= lower : upper && 4 * total >= 3 * upper;
  if (!stays && XLVS_READ_ONCE(record->overloaded))
    XLVS_WRITE_ONCE(record->overloaded, 0);
  return 0;
}

static __always_inline bool xlvs_state_is_embryonic(__u8 state) {
  return (1U << (state & 31)) &
         (1U << XLVS_CONN_tcp_syn_recv | 1U << XLVS_CONN_tcp_synack |
          1U << XLVS_CONN_sctp_init1 | 1U << XLVS_CONN_sctp_init);
}

/* Embryonic ones are bounded, so they are also counted together: of the
 * service, and of all. */
static __always_inline void xlvs_count_embryonic(struct xlvs_counters* counters,
                                                 __u32 dest, __s32 change) {
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  struct xlvs_flood* flood = XLVS_ONLY(xlvs_flood);
  if (!record || !flood) return;
  counters->embryonic += change;
  __sync_fetch_and_add(&flood->embryonic, change);
  const __u32 service = record->service;
  struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service);
  if (pool) __sync_fetch_and_add(&pool->embryonic, change);
}

/* A connection or template was made. */
static __always_inline void xlvs_count_conn_made(__u32 dest,
                                                 union xlvs_life life) {
  struct xlvs_counters* counters = bpf_map_lookup_elem(&xlvs_counters, &dest);
  if (!counters) return;
  if (life.life.state >= XLVS_CONN_template_none) {
    counters->persistent++;
    return;
  }
  counters->conns++;
  const bool inactive = life.life.flags & XLVS_CONN_inactive;
  xlvs_count(counters, dest, !inactive, inactive);
  if (xlvs_state_is_embryonic(life.life.state))
    xlvs_count_embryonic(counters, dest, 1);
  if (xlvs_dest_is_limited(dest)) xlvs_dest_loaded(dest, 1);
}

/* A connection or template ended. */
__noinline int xlvs_count_conn_gone(__u32 dest, __u64 life_word) {
  const union xlvs_life life = {.word = life_word};
  struct xlvs_counters* counters = bpf_map_lookup_elem(&xlvs_counters, &dest);
  if (!counters) return 0;
  if (life.life.state >= XLVS_CONN_template_none) {
    counters->persistent--;
    return 0;
  }
  const bool inactive = life.life.flags & XLVS_CONN_inactive;
  xlvs_count(counters, dest, -!inactive, -inactive);
  if (xlvs_state_is_embryonic(life.life.state))
    xlvs_count_embryonic(counters, dest, -1);
  if (xlvs_dest_is_limited(dest)) xlvs_dest_loaded(dest, -1);
  return 0;
}

/* A connection went from active to inactive or back; `flags` are the new. */
__noinline int xlvs_count_conn_flip(__u32 dest, __u32 flags) {
  struct xlvs_counters* counters = bpf_map_lookup_elem(&xlvs_counters, &dest);
  if (!counters) return 0;
  const __s32 inactive = flags & XLVS_CONN_inactive ? 1 : -1;
  xlvs_count(counters, dest, -inactive, inactive);
  return 0;
}

/* A connection of one packet: made and gone at once. */
static __always_inline void xlvs_count_one_packet(__u32 dest) {
  struct xlvs_counters* counters = bpf_map_lookup_elem(&xlvs_counters, &dest);
  if (counters) counters->conns++;
}

static __always_inline void xlvs_count_in(__u32 dest, __u32 ip_bytes) {
  struct xlvs_counters* counters = bpf_map_lookup_elem(&xlvs_counters, &dest);
  if (!counters) return;
  counters->in_packets++;
  counters->in_bytes += ip_bytes;
}

static __always_inline void xlvs_count_out(__u32 dest, __u32 ip_bytes) {
  struct xlvs_counters* counters = bpf_map_lookup_elem(&xlvs_counters, &dest);
  if (!counters) return;
  counters->out_packets++;
  counters->out_bytes += ip_bytes;
}

#endif
