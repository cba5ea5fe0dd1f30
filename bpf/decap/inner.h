/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The packet inside: it must be what the tunnel says it is, and whole. Reads
 * only. All else the stack looks at, as in a packet that came without tunnel.
 */
#ifndef XLVS_BPF_DECAP_INNER_H
#define XLVS_BPF_DECAP_INNER_H

#include "bpf/decap/tunnel.h"
#include "bpf/lib/tunnel_headers.h"

static __always_inline enum xlvs_decap_step xlvs_inner_v4(
    struct xlvs_cursor cursor, __u32 there_bytes, struct xlvs_tunnel* pkt) {
  const struct iphdr* ip = xlvs_take(&cursor, sizeof(*ip));
  if (!ip || there_bytes < sizeof(*ip)) return XLVS_DECAP_drop_inner_truncated;
  const __u32 ip_bytes = bpf_ntohs(ip->tot_len);
  if (ip->version != 4 || ip->ihl < 5 || ip_bytes < ip->ihl * 4U)
    return XLVS_DECAP_drop_inner_malformed;
  if (ip_bytes > there_bytes) return XLVS_DECAP_drop_inner_truncated;
  pkt->inner_ecn = ip->tos & XLVS_ECN_MASK;
  xlvs_addr_from_v4(ip->daddr, &pkt->inner_daddr);
  return XLVS_DECAP_next;
}

static __always_inline enum xlvs_decap_step xlvs_inner_v6(
    struct xlvs_cursor cursor, __u32 there_bytes, struct xlvs_tunnel* pkt) {
  const struct ipv6hdr* ip = xlvs_take(&cursor, sizeof(*ip));
  if (!ip || there_bytes < sizeof(*ip)) return XLVS_DECAP_drop_inner_truncated;
  if (ip->version != 6) return XLVS_DECAP_drop_inner_malformed;
  if (sizeof(*ip) + bpf_ntohs(ip->payload_len) > there_bytes)
    return XLVS_DECAP_drop_inner_truncated;
  pkt->inner_ecn = ip->flow_lbl[0] >> 4 & XLVS_ECN_MASK;
  struct xlvs_addr saddr;
  __builtin_memcpy(&saddr, &ip->saddr, sizeof(saddr));
  __builtin_memcpy(&pkt->inner_daddr, &ip->daddr, sizeof(pkt->inner_daddr));
  if (xlvs_addr_is_v4(&saddr) || xlvs_addr_is_v4(&pkt->inner_daddr))
    return XLVS_DECAP_drop_v4_mapped;
  return XLVS_DECAP_next;
}

static __always_inline enum xlvs_decap_step xlvs_decap_inner(
    struct xlvs_cursor cursor, struct xlvs_tunnel* pkt) {
  if (pkt->inner_offset > pkt->end ||
      !xlvs_decap_to(&cursor, pkt->inner_offset))
    return XLVS_DECAP_drop_inner_truncated;
  const __u32 there_bytes = pkt->end - pkt->inner_offset;
  return pkt->inner_type == ETH_P_IP ? xlvs_inner_v4(cursor, there_bytes, pkt)
                                     : xlvs_inner_v6(cursor, there_bytes, pkt);
}

#endif
