/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What stands between the outer IP header and the packet inside: nothing (RFC
 * 2003, RFC 2473, RFC 4213), UDP and GUE (draft-ietf-intarea-gue, variant 0),
 * or GRE (RFC 2784). Reads only. */
#ifndef XLVS_BPF_DECAP_SHIM_H
#define XLVS_BPF_DECAP_SHIM_H

#include "bpf/decap/tunnel.h"
#include "bpf/lib/tunnel_headers.h"

static __always_inline __u16 xlvs_type_of_protocol(__u8 l4_proto) {
  if (l4_proto == IPPROTO_IPIP) return ETH_P_IP;
  return l4_proto == IPPROTO_IPV6 ? ETH_P_IPV6 : 0;
}

static __always_inline enum xlvs_decap_step xlvs_shim_gue(
    struct xlvs_cursor cursor, struct xlvs_tunnel* pkt) {
  const struct udphdr* udp = xlvs_take(&cursor, sizeof(*udp));
  const struct xlvs_gue_header* gue = xlvs_take(&cursor, sizeof(*gue));
  if (!udp || !gue) return XLVS_DECAP_drop_inner_truncated;
  const __u32 udp_bytes = bpf_ntohs(udp->len);
  if (udp_bytes < sizeof(*udp) + sizeof(*gue) ||
      pkt->l4_offset + udp_bytes > pkt->end)
    return XLVS_DECAP_drop_inner_truncated;
  if (gue->flags_length || gue->flags) return XLVS_DECAP_pass_gue_header;
  pkt->end = pkt->l4_offset + udp_bytes;
  pkt->has_check = udp->check != 0;
  pkt->inner_offset = pkt->l4_offset + sizeof(*udp) + sizeof(*gue);
  pkt->inner_type = xlvs_type_of_protocol(gue->protocol);
  pkt->ending = XLVS_DECAP_pass_decap_gue;
  return XLVS_DECAP_next;
}

static __always_inline enum xlvs_decap_step xlvs_shim_gre(
    struct xlvs_cursor cursor, struct xlvs_tunnel* pkt) {
  const struct xlvs_gre_header* gre = xlvs_take(&cursor, sizeof(*gre));
  if (!gre) return XLVS_DECAP_drop_inner_truncated;
  if (gre->flags & bpf_htons((__u16)~XLVS_GRE_CSUM))
    return XLVS_DECAP_pass_gre_header;
  pkt->has_check = gre->flags != 0;
  pkt->inner_offset = pkt->l4_offset + sizeof(*gre) +
                      (pkt->has_check ? sizeof(struct xlvs_gre_csum) : 0);
  if (pkt->inner_offset > pkt->end) return XLVS_DECAP_drop_inner_truncated;
  pkt->inner_type = bpf_ntohs(gre->ethertype);
  pkt->ending = XLVS_DECAP_pass_decap_gre;
  return XLVS_DECAP_next;
}

/* Finds the packet inside. A UDP checksum or GRE's must still be looked at. */
static __always_inline enum xlvs_decap_step xlvs_decap_shim(
    struct xlvs_cursor cursor, struct xlvs_tunnel* pkt) {
  if (!xlvs_decap_to(&cursor, pkt->l4_offset))
    return XLVS_DECAP_drop_inner_truncated;
  enum xlvs_decap_step step = XLVS_DECAP_next;
  if (pkt->l4_proto == IPPROTO_UDP) {
    step = xlvs_shim_gue(cursor, pkt);
  } else if (pkt->l4_proto == XLVS_IPPROTO_GRE) {
    step = xlvs_shim_gre(cursor, pkt);
  } else {
    pkt->inner_offset = pkt->l4_offset;
    pkt->inner_type = xlvs_type_of_protocol(pkt->l4_proto);
    pkt->ending = XLVS_DECAP_pass_decap_ipip;
  }
  if (step != XLVS_DECAP_next) return step;
  return pkt->inner_type == ETH_P_IP || pkt->inner_type == ETH_P_IPV6
             ? XLVS_DECAP_next
             : XLVS_DECAP_pass_inner_protocol;
}

#endif
