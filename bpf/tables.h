/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Every map of the director, with who writes and who reads it. The layouts and
 * their invariants are in maps/. Sizes marked "loader" are set before load.
 *
 * Arrays are mappable (BPF_F_MMAPABLE) where no lock or timer forbids it: the
 * loader edits single words in place, and lists a million connections without a
 * system call each. */
#ifndef XLVS_BPF_TABLES_H
#define XLVS_BPF_TABLES_H

#include "bpf/lib/packet.h"
#include "bpf/lib/scratch.h"
#include "maps/clock.h"
#include "maps/config.h"
#include "maps/conn.h"
#include "maps/dest.h"
#include "maps/flood.h"
#include "maps/fragment.h"
#include "maps/lblc.h"
#include "maps/local.h"
#include "maps/mark.h"
#include "maps/nexthop.h"
#include "maps/pool.h"
#include "maps/rate.h"
#include "maps/service.h"
#include "maps/step.h"

#define XLVS_PIECES 1024

/* Set by the loader between open and load, constant ever after. */
const volatile struct xlvs_config xlvs_cfg;

/* The CLI writes, one whole entry at a time; the first packet of a connection
 * reads. Full: the command is refused. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct xlvs_service_key);
  __type(value, struct xlvs_service);
  __uint(max_entries, 1); /* loader */
} xlvs_services SEC(".maps");

/* By service id. The CLI writes the list, packets move the position. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_pool);
  __uint(max_entries, 1); /* loader */
} xlvs_pools SEC(".maps");

/* Runs of chunks that pools point to. The CLI writes runs that nobody reads
 * yet; schedulers read. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_slots);
  __uint(max_entries, 1); /* loader */
} xlvs_slots SEC(".maps");

/* By dest id. The CLI writes, packets read and refresh the next hop. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_dest);
  __uint(max_entries, 1); /* loader */
} xlvs_dests SEC(".maps");

/* By dest id. Each CPU writes its own; the CLI reads the sums. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_counters);
  __uint(max_entries, 1); /* loader */
} xlvs_counters SEC(".maps");

/* By dest id. All CPUs and the timer add (atomically); schedulers by load
 * read. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_load);
  __uint(max_entries, 1); /* loader */
} xlvs_loads SEC(".maps");

/* By dest id. The timer writes, the CLI reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_rate);
  __uint(max_entries, 1); /* loader */
} xlvs_rates SEC(".maps");

/* Packets write, the timer clears, the CLI reads. Full: see lookup/conn.h. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_bucket);
  __uint(max_entries, 1); /* loader */
} xlvs_conns SEC(".maps");

/* One a bucket. Packets and the timer write; nobody else reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_head);
  __uint(max_entries, 1); /* loader */
} xlvs_heads SEC(".maps");

/* The CLI writes, every packet reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_local);
  __uint(max_entries, 1); /* loader */
} xlvs_locals SEC(".maps");

/* The CLI writes, every packet reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_filter);
  __uint(max_entries, 1);
} xlvs_filter SEC(".maps");

/* Packets write and read. Full: replies ask the FIB each time. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_nexthop);
  __uint(max_entries, XLVS_NEXTHOPS);
} xlvs_nexthops SEC(".maps");

/* Packets write and read. Full: such frames are left to the kernel. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_vlan);
  __uint(max_entries, XLVS_VLANS);
} xlvs_vlans SEC(".maps");

/* Packets write and read; the least recently used make room. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct xlvs_fragment_key);
  __type(value, struct xlvs_fragment_ports);
  __uint(max_entries, XLVS_FRAGMENTS);
} xlvs_fragments SEC(".maps");

/* By mark of an skb that comes again: the rest of a packet that goes in pieces
 * (emit/pieces.h). The TC program writes and reads. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, __u32);
  __type(value, struct xlvs_handover);
  __uint(max_entries, XLVS_PIECES);
} xlvs_pieces SEC(".maps");

/* By interface index of a VLAN device. The CLI writes; packets read. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u32);
  __type(value, struct xlvs_link);
  __uint(max_entries, XLVS_LINKS);
} xlvs_links SEC(".maps");

/* The CLI writes; first packets read. Full: the command is refused. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_mark);
  __uint(max_entries, XLVS_MARKS);
} xlvs_marks SEC(".maps");

/* The CLI writes; packets to nobody we know read, if there are entries. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct xlvs_wide_key);
  __type(value, __u32);
  __uint(max_entries, XLVS_MARKS);
} xlvs_wide SEC(".maps");

/* Packets and the timer write and read, the CLI reads. Full: new connections
 * are refused. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_vaddr_bucket);
  __uint(max_entries, XLVS_VADDR_BUCKETS);
} xlvs_vaddrs SEC(".maps");

/* First packets to services with lblc or lblcr write and read. Full: an older
 * entry makes room. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_lblc_bucket);
  __uint(max_entries, XLVS_LBLC_BUCKETS);
} xlvs_lblc SEC(".maps");

/* Packets and the timer write, the CLI reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_flood);
  __uint(max_entries, 1);
} xlvs_flood SEC(".maps");

/* The CLI writes, every packet reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_control);
  __uint(max_entries, 1);
} xlvs_control SEC(".maps");

/* The timer writes, every packet reads. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct xlvs_clock);
  __uint(max_entries, 1);
} xlvs_clock SEC(".maps");

/* Each CPU counts its own packets' endings; the CLI reads the sums. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_step_counters);
  __uint(max_entries, 1);
} xlvs_steps SEC(".maps");

/* How many ICMP errors this CPU has sent in which tick. */
struct xlvs_icmp_budget {
  __u32 tick;
  __u32 sent;
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_icmp_budget);
  __uint(max_entries, 1);
} xlvs_icmp SEC(".maps");

/* Each CPU its own, for the moment. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_scratch);
  __uint(max_entries, 1);
} xlvs_scratch SEC(".maps");

/* By interface index: the devices that we are attached to, and so may send
 * from. The CLI writes. */
struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __type(key, __u32);
  __type(value, __u32);
  __uint(max_entries, 256);
} xlvs_devices SEC(".maps");

/* The one timer. */
struct xlvs_timer {
  struct bpf_timer timer;
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_timer);
  __uint(max_entries, 1);
} xlvs_timer SEC(".maps");

/* The loader writes once and reads first; no program uses it. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_meta);
  __uint(max_entries, 1);
} xlvs_meta SEC(".maps");

/* The value of a map with one entry. */
#define XLVS_ONLY(map)                      \
  ({                                        \
    __u32 xlvs_zero_ = 0;                   \
    bpf_map_lookup_elem(&map, &xlvs_zero_); \
  })

#endif
