/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_lblc: where lblc and lblcr have sent packets to an address, per service.
 * Packets write and read, nobody else.
 *
 * An entry is in the bucket of its address and service. It is the service's as
 * long as `epoch` is that of its pool: a service that is made anew, or gets
 * another scheduler, has a new one, so nothing has to be deleted. Full: the
 * entry of the bucket that was not used for longest makes room.
 *
 * Writers hold the bucket's lock and go on only if `version` is what it was
 * when they looked; it is odd while they write. A reader copies the entry and
 * takes the copy only if `version` was even and the same before and after. */
#ifndef XLVS_MAPS_LBLC_H
#define XLVS_MAPS_LBLC_H

#include "maps/conn.h"
#include "maps/hash.h"

#define XLVS_LBLC_PER_BUCKET 8
#define XLVS_LBLC_BUCKETS 2048 /* 16,384 entries: what IPVS's tables aim at */
#define XLVS_LBLC_MEMBERS 32   /* servers of an address; a power of two */

/* A dest as an entry names it: its id, and above, of its `born` (dest.h), so
 * many bits as there is room for: an id that was given to another dest is not
 * taken for it. */
static inline __attribute__((always_inline)) __u32 xlvs_lblc_member(
    __u32 dest, __u32 born) {
  return dest | born << XLVS_CONN_DEST_BITS;
}

struct xlvs_lblc_entry {
  struct xlvs_addr daddr;
  __u64 epoch; /* 0: never used */
  __u32 version;
  __u32 used_ticks;
  __u32 changed_ticks;             /* when a member last came or went */
  __u32 count;                     /* of members; lblc has one */
  __u32 member[XLVS_LBLC_MEMBERS]; /* the one that came last is first */
};
XLVS_ASSERT_SIZE(struct xlvs_lblc_entry, 168);
XLVS_ASSERT_NO_PADDING(struct xlvs_lblc_entry);

struct xlvs_lblc_bucket {
#if defined(__bpf__)
  struct bpf_spin_lock lock;
#else
  __u32 lock;
#endif
  __u32 pad0;
  struct xlvs_lblc_entry entry[XLVS_LBLC_PER_BUCKET];
};
XLVS_ASSERT_SIZE(struct xlvs_lblc_bucket, 1352);

/* The bucket of an address and a service. */
static inline __attribute__((always_inline)) __u32 xlvs_lblc_bucket_of(
    const struct xlvs_addr* daddr, __u64 epoch,
    const volatile __u64 key[XLVS_HASH_WORDS + 1]) {
  return xlvs_hash(daddr, (__u32)epoch, key) % XLVS_LBLC_BUCKETS;
}

#endif
