/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_locals: the addresses that make a packet ours, and which side of a
 * connection they stand on; and, as entries of their own, the ports of real
 * servers behind Masq. An open-addressed hash table in an array: start at
 * xlvs_hash() of address and port, step by one, stop at an entry without roles
 * whose address is zero. Loader writes; the packet path probes at most
 * XLVS_LOCAL_PROBES entries. `roles` is written after the rest, so a
 * half-made entry has no role. An entry that lost its roles keeps its address
 * (the chain runs through it) until another address takes it. */
#ifndef XLVS_MAPS_LOCAL_H
#define XLVS_MAPS_LOCAL_H

#include "maps/addr.h"

#define XLVS_LOCAL_virtual 0x1U /* a service's address */
#define XLVS_LOCAL_dest 0x2U    /* a real server's address */
#define XLVS_LOCAL_masq 0x4U    /* a port of a real server behind Masq */
#define XLVS_LOCAL_PROBES 32

/* What `port` is: 0 in the entry of an address alone; else the port, the
 * protocol (0: any, of a service by mark) and this. */
#define XLVS_LOCAL_PORT 0x80000000U

struct xlvs_local {
  struct xlvs_addr addr;
  __u32 roles;
  __u32 port; /* XLVS_LOCAL_PORT | l4_proto << 16 | port in host order */
};
XLVS_ASSERT_SIZE(struct xlvs_local, 24);
XLVS_ASSERT_NO_PADDING(struct xlvs_local);

/* xlvs_filter: one entry, one bit an address, by the low bits of the same hash:
 * 0 = the address is in nobody's role. 32 KiB that stay in the cache, so that
 * clients and strangers are told from ours without a look at the table, which
 * for each of them would be at another place. The loader sets a bit before the
 * address gets a role and clears it after the last address of it lost its. */
#define XLVS_FILTER_BITS (1U << 18)

struct xlvs_filter {
  __u64 word[XLVS_FILTER_BITS / 64];
};
XLVS_ASSERT_SIZE(struct xlvs_filter, 32768);
XLVS_ASSERT_NO_PADDING(struct xlvs_filter);

#endif
