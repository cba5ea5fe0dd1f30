/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * struct xlvs_config: read-only data of the programs, set between open and
 * load; the verifier removes branches that it makes impossible. `bpftool map
 * dump` of the .rodata map shows it by field name.
 *
 * xlvs_meta: one entry, written once, read first by every loader.
 *
 * xlvs_control: one entry, what the operator may change while packets flow.
 * Loader writes, packet path reads; the timer turns modes 1 and 2 of the
 * defences into each other, as IPVS does. */
#ifndef XLVS_MAPS_CONFIG_H
#define XLVS_MAPS_CONFIG_H

#include "maps/conn.h"
#include "maps/hash.h"
#include "maps/pool.h"
#include "maps/setting.h"

struct xlvs_config {
  __u32 buckets;       /* entries of xlvs_conns and xlvs_heads */
  __u32 locals;        /* entries of xlvs_locals, a power of two */
  __u32 dests;         /* entries of xlvs_dests and its companions */
  __u32 cpus;          /* possible CPUs */
  __u32 count_batch;   /* B: when a CPU tells its counts, see dest.h */
  __u32 sweep_buckets; /* buckets that the timer looks at each tick */
  __u32 fib_source;    /* 1: the FIB tells source addresses (Linux 6.7) */
  __u32 pad0;
  __u64 hash_key[XLVS_HASH_WORDS + 1]; /* random: outsiders can't aim */
  __u64 hash_v4_common;                /* follows from it, see hash.h */
};
XLVS_ASSERT_SIZE(struct xlvs_config, 88);
XLVS_ASSERT_NO_PADDING(struct xlvs_config);

struct xlvs_meta {
  __u32 layout_version; /* XLVS_LAYOUT_VERSION */
  __u32 conns;          /* as asked for with --conns */
  __u32 services;
  __u32 dests;
  __u32 hash_tables; /* that fit in xlvs_slots, see pool.h */
  __u32 maglev_tables;
  __u64 netns_cookie;        /* the network namespace that the devices are in */
  char version[16];          /* of the loader that made the maps */
  struct xlvs_config config; /* as the programs have it */
};
XLVS_ASSERT_SIZE(struct xlvs_meta, 136);

/* What the TC program xlvs_handover may be asked for. */
enum xlvs_handover_level {
  XLVS_HANDOVER_none = 0, /* not all devices have it */
  XLVS_HANDOVER_send = 1,
  /* Also to cut a packet in pieces. Not where XDP runs after the kernel made an
   * skb (generic): it would take each rest for a packet that comes in. */
  XLVS_HANDOVER_cut = 2,
};

struct xlvs_control {
  __u32 services;   /* 0: every packet is passed, as IPVS unhooks itself */
  __u32 unfinished; /* a command was cut short: the next one compiles anew */
  __u64 next_order; /* for the next dest, see dest.h */
  /* Where the next list or table looks for a place, by room. */
  __u32 next_chunk[XLVS_ROOMS];
  enum xlvs_handover_level handover;
  __u32 timeout_ticks[XLVS_CONN_STATE_SLOTS]; /* by enum xlvs_conn_state */
  struct xlvs_settings set;
  __u32 marks;        /* rules in xlvs_marks */
  __u32 wide_marks;   /* networks in xlvs_wide: not in xlvs_locals one by one */
  __u32 ftp_services; /* TCP services at port 21 */
  /* Connections of removed dests are ended until the timer has gone over the
   * table this often (clock.h, sweeps): expire_nodest_conn. */
  __u32 flush_until_sweep;
  /* What deleted services had counted: the totals of --stats. */
  __u64 gone_conns;
  __u64 gone_in_packets;
  __u64 gone_out_packets;
  __u64 gone_in_bytes;
  __u64 gone_out_bytes;
};
XLVS_ASSERT_SIZE(struct xlvs_control, 288);
XLVS_ASSERT_NO_PADDING(struct xlvs_control);

#endif
