/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A way out, and what is asked of the FIB to find one. */
#ifndef XLVS_BPF_LIB_WAY_H
#define XLVS_BPF_LIB_WAY_H

#include "bpf/lib/packet.h"
#include "maps/nexthop.h"

struct xlvs_fib_query {
  struct xlvs_addr saddr; /* of the other family than daddr: not used */
  struct xlvs_addr daddr;
  __u32 l4_proto;
  __u32 now_ticks;
  __u32 wants_source;
  __u32 pad0;
  struct xlvs_nexthop ret; /* filled on BPF_FIB_LKUP_RET_SUCCESS */
  /* Also on BPF_FIB_LKUP_RET_NO_NEIGH: */
  struct xlvs_addr ret_gateway; /* or daddr itself */
  __u32 ret_route_ifindex;      /* may be a VLAN device's */
  __u32 pad1;
  /* If wanted; zero: this kernel's FIB does not tell. */
  struct xlvs_addr ret_saddr;
};

/* A way as the packet path found it. */
struct xlvs_way {
  struct xlvs_nexthop nexthop;
  /* Where the neighbour is not known, or to be confirmed: whom the kernel is to
   * ask for, and by which of its devices. */
  struct xlvs_addr gateway;
  __u32 route_ifindex;
};

/* Whom the kernel is to send a packet to, and how. */
struct xlvs_handover {
  struct xlvs_addr gateway;
  __u32 ifindex;
  __u16 mtu;       /* 0: as it is; else IP bytes that a piece may have */
  __u16 inner_off; /* from the network header to the packet to be cut */
};

#endif
