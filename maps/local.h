/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_locals: the addresses that make a packet ours, and which side of a
 * connection they stand on. An open-addressed hash table in an array: start at
 * xlvs_hash() of the address, step by one, stop at an entry without roles whose
 * address is zero. Loader writes; the packet path probes at most
 * XLVS_LOCAL_PROBES entries. `roles` is written after `addr`, so a half-made
 * entry has no role. An entry that lost its roles keeps its address (the chain
 * runs through it) until another address takes it. */
#ifndef XLVS_MAPS_LOCAL_H
#define XLVS_MAPS_LOCAL_H

#include "maps/addr.h"

#define XLVS_LOCAL_virtual 0x1U /* a service's address */
#define XLVS_LOCAL_dest 0x2U    /* a real server's address */
#define XLVS_LOCAL_PROBES 32

struct xlvs_local {
  struct xlvs_addr addr;
  __u32 roles;
  __u32 pad0;
};
XLVS_ASSERT_SIZE(struct xlvs_local, 24);
XLVS_ASSERT_NO_PADDING(struct xlvs_local);

#endif
