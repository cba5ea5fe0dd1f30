/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Ethernet and outer IP header -> struct xlvs_tunnel. Reads only. What can be
 * no tunnel is passed, by name. */
#ifndef XLVS_BPF_DECAP_OUTER_H
#define XLVS_BPF_DECAP_OUTER_H

#include "bpf/decap/tunnel.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/headers.h"
#include "bpf/lib/tunnel_headers.h"

static __always_inline enum xlvs_decap_step xlvs_outer_v4(
    struct xlvs_cursor* cursor, struct xlvs_tunnel* ret) {
  const struct iphdr* ip = xlvs_take(cursor, sizeof(*ip));
  if (!ip) return XLVS_DECAP_pass_truncated;
  const __u32 header_bytes = ip->ihl * 4;
  const __u32 ip_bytes = bpf_ntohs(ip->tot_len);
  if (ip->version != 4 || header_bytes < sizeof(*ip) || ip_bytes < header_bytes)
    return XLVS_DECAP_pass_malformed;
  ret->l4_proto = ip->protocol;
  ret->ecn = ip->tos & XLVS_ECN_MASK;
  ret->is_fragment =
      (ip->frag_off & bpf_htons(XLVS_IP_MORE_FRAGMENTS | XLVS_IP_OFFSET)) != 0;
  ret->l4_offset = ret->l3_offset + header_bytes;
  ret->end = ret->l3_offset + ip_bytes;
  xlvs_addr_from_v4(ip->saddr, &ret->saddr);
  xlvs_addr_from_v4(ip->daddr, &ret->daddr);
  return xlvs_skip_v4_options(cursor, ip) ? XLVS_DECAP_next
                                          : XLVS_DECAP_pass_truncated;
}

static __always_inline enum xlvs_decap_step xlvs_outer_v6(
    struct xlvs_cursor* cursor, struct xlvs_tunnel* ret) {
  const struct ipv6hdr* ip = xlvs_take(cursor, sizeof(*ip));
  if (!ip) return XLVS_DECAP_pass_truncated;
  if (ip->version != 6) return XLVS_DECAP_pass_malformed;
  ret->l4_proto = ip->nexthdr;
  ret->ecn = ip->flow_lbl[0] >> 4 & XLVS_ECN_MASK;
  ret->l4_offset = ret->l3_offset + sizeof(*ip);
  ret->end = ret->l4_offset + bpf_ntohs(ip->payload_len);
  __builtin_memcpy(&ret->saddr, &ip->saddr, sizeof(ret->saddr));
  __builtin_memcpy(&ret->daddr, &ip->daddr, sizeof(ret->daddr));
  /* Else it could pass for a director that is known by its IPv4 address. */
  if (xlvs_addr_is_v4(&ret->saddr) || xlvs_addr_is_v4(&ret->daddr))
    return XLVS_DECAP_pass_malformed;
  if (ip->nexthdr == XLVS_IPV6_FRAGMENT) {
    const struct xlvs_ipv6_fragment* fragment =
        xlvs_take(cursor, sizeof(*fragment));
    if (!fragment) return XLVS_DECAP_pass_truncated;
    ret->l4_proto = fragment->next_header;
    ret->is_fragment = 1;
    return XLVS_DECAP_next;
  }
  return xlvs_is_extension(ip->nexthdr) ? XLVS_DECAP_pass_extension_headers
                                        : XLVS_DECAP_next;
}

/* Whether what follows the IP header can be one of our tunnels. */
static __always_inline enum xlvs_decap_step xlvs_outer_protocol(
    struct xlvs_cursor* cursor, __u16 tun_port, const struct xlvs_tunnel* pkt) {
  switch (pkt->l4_proto) {
    case IPPROTO_IPIP:
    case IPPROTO_IPV6:
    case XLVS_IPPROTO_GRE:
      return XLVS_DECAP_next;
    case IPPROTO_UDP: {
      if (pkt->is_fragment) return XLVS_DECAP_next; /* maybe without ports */
      const struct udphdr* udp = xlvs_take(cursor, sizeof(*udp));
      if (!udp || pkt->l4_offset + sizeof(*udp) > pkt->end)
        return XLVS_DECAP_pass_truncated;
      return udp->dest == bpf_htons(tun_port) ? XLVS_DECAP_next
                                              : XLVS_DECAP_pass_protocol;
    }
    default:
      return XLVS_DECAP_pass_protocol;
  }
}

/* `frame_bytes`: of all buffers; the cursor sees the first of them, which has
 * all headers. */
static __always_inline enum xlvs_decap_step xlvs_decap_outer(
    struct xlvs_cursor cursor, __u32 frame_bytes, __u16 tun_port,
    struct xlvs_tunnel* ret) {
  const struct ethhdr* eth = xlvs_take(&cursor, sizeof(*eth));
  if (!eth) return XLVS_DECAP_pass_truncated;
  if (eth->h_dest[0] & 1) return XLVS_DECAP_pass_not_unicast;
  __builtin_memcpy(ret->macs, eth, sizeof(ret->macs));
  __be16 type = eth->h_proto;
  ret->l3_offset = sizeof(*eth);
  for (int i = 0; i <= XLVS_DECAP_TAGS; i++) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
      break;
    if (i == XLVS_DECAP_TAGS) return XLVS_DECAP_pass_vlan;
    const struct xlvs_vlan_header* tag = xlvs_take(&cursor, sizeof(*tag));
    if (!tag) return XLVS_DECAP_pass_truncated;
    ret->tags[i].tpid = type;
    ret->tags[i].tci = tag->tci;
    type = tag->ethertype;
    ret->l3_offset += sizeof(*tag);
  }
  ret->l3_type = bpf_ntohs(type);
  enum xlvs_decap_step step = XLVS_DECAP_pass_not_ip;
  if (ret->l3_type == ETH_P_IP) step = xlvs_outer_v4(&cursor, ret);
  if (ret->l3_type == ETH_P_IPV6) step = xlvs_outer_v6(&cursor, ret);
  if (step != XLVS_DECAP_next) return step;
  if (ret->end > frame_bytes) return XLVS_DECAP_pass_truncated;
  return xlvs_outer_protocol(&cursor, tun_port, ret);
}

/* The outer IPv4 header's checksum; IPv6 has none. */
static __always_inline bool xlvs_outer_sum_is_right(
    struct xlvs_cursor cursor, const struct xlvs_tunnel* pkt) {
  if (pkt->l3_type != ETH_P_IP) return true;
  if (!xlvs_decap_to(&cursor, pkt->l3_offset)) return false;
  const __u32 words = (pkt->l4_offset - pkt->l3_offset) / 4;
  __u64 sum = 0;
  for (__u32 i = 0; i < 15 && i < words; i++) {
    const __u32* word = xlvs_take(&cursor, sizeof(*word));
    if (!word) return false;
    sum += *word;
  }
  return xlvs_csum_fold(sum) == 0;
}

#endif
