/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the decapsulator's stages pass along: where the headers of a tunnelled
 * packet are, and what they say. Offsets are from the frame's begin and small:
 * the longest row of headers before the packet inside is two VLAN tags, an IPv4
 * header with all options, and the tunnel's own. */
#ifndef XLVS_BPF_DECAP_TUNNEL_H
#define XLVS_BPF_DECAP_TUNNEL_H

#include "bpf/lib/addr.h"
#include "bpf/lib/cursor.h"
#include "maps/decap.h"

#define XLVS_DECAP_TAGS 2
#define XLVS_DECAP_OFFSET_MAX 255 /* above all that can be */

/* IEEE 802.1Q, 802.1ad, as they stand after the MAC addresses. */
struct xlvs_decap_tag {
  __be16 tpid;
  __be16 tci;
};

struct xlvs_tunnel {
  struct xlvs_addr saddr; /* of the outer header */
  struct xlvs_addr daddr;
  struct xlvs_addr inner_daddr;
  __u8 macs[2 * ETH_ALEN];
  struct xlvs_decap_tag tags[XLVS_DECAP_TAGS];
  __u32 l3_offset;    /* outer IP header */
  __u32 l4_offset;    /* what follows it */
  __u32 inner_offset; /* the packet inside */
  __u32 end;          /* of what the outer header holds: no Ethernet padding */
  __u16 l3_type;      /* of the outer header: ETH_P_IP, ETH_P_IPV6 */
  __u16 inner_type;
  __u8 l4_proto; /* of the outer header: IPPROTO_IPIP, IPV6, UDP or GRE */
  __u8 is_fragment;
  __u8 has_check; /* UDP or GRE has a checksum */
  __u8 ecn;       /* of the outer header */
  __u8 inner_ecn;
  __u8 ending; /* if all is well */
};

/* Moves a cursor from the frame's begin to an offset that an earlier stage
 * found. False: it is not there. */
static __always_inline bool xlvs_decap_to(struct xlvs_cursor* cursor,
                                          __u32 offset) {
  if (offset > XLVS_DECAP_OFFSET_MAX) return false;
  void* there = cursor->next + offset;
  if (there > cursor->end) return false;
  cursor->next = there;
  return true;
}

#endif
