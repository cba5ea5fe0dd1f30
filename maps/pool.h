/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_pools: per service id, the dests to choose from and where the
 * scheduler stands. xlvs_slots: the lists themselves.
 *
 * A list is a run of whole chunks in xlvs_slots: all dests of the service, in
 * IPVS's list order (the dest added last comes first), zeros behind the last.
 * Of sh, dh and mh it is their table: who owns slot 0, 1, 2 and so on
 * (slot_hash.h). The loader never edits a list in place: it writes a new run,
 * then switches `list` with one 64-bit store, so a packet sees the old list or
 * the new one.
 *
 * xlvs_slots has three rooms, one behind the other: for lists, for tables of sh
 * and dh, for tables of mh. In the latter two all runs are of one length, so
 * that no change can leave gaps too small for the next.
 *
 * `position` belongs to the packet path (compare-and-swap); the loader
 * rewrites it when the list changes, by IPVS's rules (ip_vs_rr.c, ip_vs_wrr.c).
 */
#ifndef XLVS_MAPS_POOL_H
#define XLVS_MAPS_POOL_H

#include "maps/service.h"
#include "maps/slot_hash.h"

#define XLVS_SLOTS_PER_CHUNK 8

struct xlvs_slot {
  __u32 dest;   /* id, index into xlvs_dests; 0 = end of list */
  __u32 weight; /* 0 = never chosen */
};

struct xlvs_slots {
  struct xlvs_slot slot[XLVS_SLOTS_PER_CHUNK];
};
XLVS_ASSERT_SIZE(struct xlvs_slots, 64);
XLVS_ASSERT_NO_PADDING(struct xlvs_slots);

enum xlvs_room {
  XLVS_ROOM_lists,
  XLVS_ROOM_hash,
  XLVS_ROOM_maglev,
  XLVS_ROOMS,
};
#define XLVS_CHUNKS_PER_HASH_TABLE (XLVS_HASH_SLOTS / XLVS_SLOTS_PER_CHUNK)
#define XLVS_CHUNKS_PER_MAGLEV_TABLE \
  ((XLVS_MAGLEV_SLOTS + XLVS_SLOTS_PER_CHUNK - 1) / XLVS_SLOTS_PER_CHUNK)

struct xlvs_list {
  __u32 first_chunk;
  __u32 count; /* slots in use */
} __attribute__((aligned(8)));

/* rr: `last` is the index of the slot chosen last.
 * wrr: `last` as for rr, `threshold` is IPVS's cw.
 * XLVS_BEFORE_HEAD: nothing chosen yet, start at the head. */
struct xlvs_position {
  __u32 last;
  __u32 threshold;
} __attribute__((aligned(8)));
#define XLVS_BEFORE_HEAD 0xffffffffU

struct xlvs_pool {
  struct xlvs_list list;
  struct xlvs_position position;
  /* wrr: IPVS's mw = highest weight - (step - 1). 0: no dest has a weight. */
  __u32 threshold_max;
  __u32 threshold_step; /* wrr: IPVS's di = gcd of the weights */
  enum xlvs_scheduler scheduler;
  __u32 flags; /* XLVS_SERVICE_* */
  /* Persistence: clients alike under the mask go to one dest (IPv4: the mask's
   * upper 96 bits are ones), until this long after the last new connection. */
  struct xlvs_addr persist_mask;
  __u32 persist_ticks;
  __u32 vport;     /* of the service, host order */
  __s32 embryonic; /* SYN_RECV connections; packets and the timer add */
  __u32 limited;   /* 1: dests of it have thresholds */
  __u64 epoch;     /* of its scheduler's beginning, see lblc.h; never twice */
  /* What dests that are gone had counted for this service: loader only. */
  __u64 gone_conns;
  __u64 gone_in_packets;
  __u64 gone_out_packets;
  __u64 gone_in_bytes;
  __u64 gone_out_bytes;
};
XLVS_ASSERT_SIZE(struct xlvs_pool, 112);
XLVS_ASSERT_NO_PADDING(struct xlvs_pool);

#endif
