/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Explicit congestion notification across the tunnel's end (RFC 6040, 4.2):
 * what routers told the outer header goes into the inner. */
#ifndef XLVS_BPF_DECAP_ECN_H
#define XLVS_BPF_DECAP_ECN_H

#include "bpf/decap/tunnel.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/tunnel_headers.h"

/* The ECN field that the packet goes on with; negative: it must be dropped,
 * since its sender would never learn of the congestion. */
static __always_inline int xlvs_ecn_after(__u8 outer, __u8 inner) {
  if (outer == XLVS_ECN_CE) return inner == XLVS_ECN_NONE ? -1 : XLVS_ECN_CE;
  if (outer == XLVS_ECN_ECT1 && inner == XLVS_ECN_ECT0) return XLVS_ECN_ECT1;
  return inner;
}

/* Writes it, the IPv4 header's checksum included. */
static __always_inline bool xlvs_decap_set_ecn(struct xlvs_cursor cursor,
                                               const struct xlvs_tunnel* pkt,
                                               __u8 ecn) {
  if (!xlvs_decap_to(&cursor, pkt->inner_offset)) return false;
  if (pkt->inner_type == ETH_P_IP) {
    struct iphdr* ip = xlvs_take(&cursor, sizeof(*ip));
    if (!ip) return false;
    __u16* word = (__u16*)ip; /* version, length, TOS */
    const __u16 old = *word;
    ip->tos = (ip->tos & ~XLVS_ECN_MASK) | ecn;
    ip->check = xlvs_csum_apply(ip->check, xlvs_csum_change16(old, *word));
  } else {
    struct ipv6hdr* ip = xlvs_take(&cursor, sizeof(*ip));
    if (!ip) return false;
    ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(XLVS_ECN_MASK << 4)) | ecn << 4;
  }
  return true;
}

#endif
