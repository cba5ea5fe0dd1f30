/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The real servers.
 *
 * xlvs_dests: key dest id, one record each. The first 64 bytes are all that an
 * established packet needs, a tunnel's also the next 64; the rest is the
 * loader's. Written by the loader, except `nexthop` and `tunnel_saddr`, which
 * the packet path refreshes. Id 0 is never assigned:
 * arrays start zeroed, so 0 must mean unset. An id is given to another dest
 * only when no connection names it any more.
 *
 * xlvs_counters: per CPU and dest. Each CPU adds to its own, without atomics;
 * only the sums over CPUs mean anything. `active`/`inactive` go up and down
 * with the connections' states, on the CPU that sees the change.
 *
 * xlvs_loads: the shared totals that schedulers read. A CPU adds what it has
 * not yet told (`untold_*`) when that reaches config.count_batch, and the timer
 * folds the rest each tick, so what a scheduler sees differs from the truth by
 * at most (count_batch - 1) x (CPUs - 1); with 1 it is exact. */
#ifndef XLVS_MAPS_DEST_H
#define XLVS_MAPS_DEST_H

#include "maps/nexthop.h"

enum xlvs_dest_state {
  XLVS_DEST_free = 0,
  XLVS_DEST_available = 1,
  /* Deleted, but connections still name it: their packets are dropped, and
   * adding it again brings it back with its connections (IPVS's trash). */
  XLVS_DEST_removed = 2,
} XLVS_BYTE_ENUM;

/* Numbers as in <linux/ip_vs.h> IP_VS_CONN_F_FWD_MASK. */
enum xlvs_method {
  XLVS_METHOD_masq = 0,
  XLVS_METHOD_tunnel = 2,
  XLVS_METHOD_route = 3,
} XLVS_BYTE_ENUM;

/* Numbers as in <linux/ip_vs.h> IP_VS_CONN_F_TUNNEL_TYPE_*. */
enum xlvs_tunnel_type {
  XLVS_TUNNEL_ipip = 0, /* RFC 2003, RFC 2473, RFC 4213: also 6 in 4, 4 in 6 */
  XLVS_TUNNEL_gue = 1,  /* draft-ietf-intarea-gue, variant 0, over UDP */
  XLVS_TUNNEL_gre = 2,  /* RFC 2784 */
} XLVS_BYTE_ENUM;
/* IP_VS_TUNNEL_ENCAP_FLAG_*: of GUE the UDP's, of GRE its own checksum.
 * remcsum (GUE) concerns checksums that a host has not computed yet; a packet
 * from the wire has its, and goes out as with csum, as in IPVS. */
#define XLVS_TUNNEL_csum 0x01U
#define XLVS_TUNNEL_remcsum 0x02U

/* The address is one of the director's own: packets go up to its stack. */
#define XLVS_DEST_local 0x01U
/* It has thresholds. */
#define XLVS_DEST_limited 0x02U

struct xlvs_dest {
  struct xlvs_addr daddr;
  struct xlvs_addr vaddr; /* of its service, also after the service is gone */
  __u16 dport;            /* host order; 0 = the packet's own port */
  __u16 vport;            /* of its service; 0 = any port */
  __u8 l4_proto;
  enum xlvs_method method;
  enum xlvs_dest_state state;
  __u8 flags; /* XLVS_DEST_* */
  struct xlvs_nexthop nexthop;
  /* --- 64 bytes --- */
  struct xlvs_addr tunnel_saddr; /* outer source; zero = not known */
  __u16 tunnel_port;             /* GUE's UDP destination port, host order */
  enum xlvs_tunnel_type tunnel_type;
  __u8 tunnel_flags; /* XLVS_TUNNEL_* */
  __u8 tunnel_bytes; /* that it adds to a packet; of any method's dest */
  __u8 tunnel_over;  /* 4 or 6: the outer header's version */
  __u8 pad0[42];
  /* --- 128 bytes --- */
  __u32 service; /* id, index into xlvs_pools */
  __u32 weight;  /* 0 = no new connections */
  __u64 order;   /* when it was added; IPVS's list is newest first */
  __u32 removed_at_ticks;
  __u32 last_weight; /* the last above 0, or as added: what mh's table is for */
  /* What --zero subtracts: the counters' sums at that moment. */
  __u64 zero_conns;
  __u64 zero_in_packets;
  __u64 zero_out_packets;
  __u64 zero_in_bytes;
  __u64 zero_out_bytes;
  /* -x and -y: at `upper` connections it gets no more, until they are fewer
   * than `lower`, or three quarters of `upper` (ip_vs_dest_totalconns). 0 =
   * none. */
  __u32 upper;
  __u32 lower;
  __u32 overloaded; /* 1: so it is; packets and the timer write it */
  __u32 fwmark;     /* of its service; 0 = none */
  __u32 born;       /* when it got its id, by `order`: others have other ones */
  __u8 pad2[44];
};
XLVS_ASSERT_SIZE(struct xlvs_dest, 256);
XLVS_ASSERT_NO_PADDING(struct xlvs_dest);

struct xlvs_counters {
  __u64 conns;
  __u64 in_packets;
  __u64 out_packets;
  __u64 in_bytes; /* IP total length, as IPVS counts */
  __u64 out_bytes;
  __s32 active;
  __s32 inactive;
  __s32 untold_active;
  __s32 untold_inactive;
  __s32 persistent; /* templates */
  __s32 embryonic;  /* of `active`: SYN_RECV */
};
XLVS_ASSERT_SIZE(struct xlvs_counters, 64);
XLVS_ASSERT_NO_PADDING(struct xlvs_counters);

struct xlvs_load {
  __s32 active;
  __s32 inactive;
} __attribute__((aligned(8))); /* read at once */
XLVS_ASSERT_SIZE(struct xlvs_load, 8);
XLVS_ASSERT_NO_PADDING(struct xlvs_load);

#endif
