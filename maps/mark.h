/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Services by mark (-f). XDP sees packets before a firewall could mark them, so
 * rules of our own do.
 *
 * xlvs_marks: the rules, in order; the first that a packet matches gives its
 * mark. control.marks says how many. The loader writes; the first packet of a
 * connection reads. While rules go, control.marks is 0; one is added behind the
 * last. An entry that is half written has port_first > port_last: it matches
 * nothing.
 *
 * xlvs_wide: networks of rules that are too large for xlvs_locals to have their
 * addresses one by one (more than XLVS_MARK_HOSTS). Loader writes; packets to
 * nobody we know read, unless control.wide_marks is 0.
 *
 * xlvs_vaddrs: the virtual addresses of connections of services by mark, which
 * their dest cannot tell. Index = bucket * XLVS_VADDRS_PER_BUCKET + entry;
 * bucket 0 is not used. An address is in the bucket of its hash while
 * connections refer to it. Packets and the timer write, under the lock. */
#ifndef XLVS_MAPS_MARK_H
#define XLVS_MAPS_MARK_H

#include "maps/addr.h"

struct xlvs_mark {
  struct xlvs_addr addr;
  struct xlvs_addr mask;
  __u32 fwmark; /* never 0 */
  __u16 port_first;
  __u16 port_last;
  __u8 l4_proto; /* 0 = TCP, UDP and SCTP */
  __u8 pad0[7];
};
XLVS_ASSERT_SIZE(struct xlvs_mark, 48);
XLVS_ASSERT_NO_PADDING(struct xlvs_mark);
#define XLVS_MARKS 1024     /* entries of xlvs_marks and xlvs_wide */
#define XLVS_MARK_HOSTS 256 /* addresses of a network in xlvs_locals */

/* An LPM trie's key begins with its length: the address is at offset 4. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpacked-not-aligned"
#endif
struct xlvs_wide_key {
  __u32 prefix_bits; /* of the 128 */
  struct xlvs_addr addr;
} __attribute__((packed));
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif
XLVS_ASSERT_SIZE(struct xlvs_wide_key, 20);

struct xlvs_vaddr {
  struct xlvs_addr addr;
  __u32 refs;
  __u32 pad0;
};
XLVS_ASSERT_SIZE(struct xlvs_vaddr, 24);
XLVS_ASSERT_NO_PADDING(struct xlvs_vaddr);

#define XLVS_VADDRS_PER_BUCKET 8
/* 14 bits of index: 32 - XLVS_CONN_DEST_BITS. */
#define XLVS_VADDR_BUCKETS 2048

struct xlvs_vaddr_bucket {
#if defined(__bpf__)
  struct bpf_spin_lock lock;
#else
  __u32 lock;
#endif
  __u32 pad0;
  struct xlvs_vaddr entry[XLVS_VADDRS_PER_BUCKET];
};
XLVS_ASSERT_SIZE(struct xlvs_vaddr_bucket, 200);

#endif
