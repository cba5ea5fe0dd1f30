/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Ethernet, IPv4, TCP or UDP -> struct xlvs_packet. Reads only. What is not
 * understood is passed to the kernel, by name. */
#ifndef XLVS_BPF_PARSE_HEADERS_H
#define XLVS_BPF_PARSE_HEADERS_H

#include "bpf/lib/cursor.h"
#include "bpf/lib/packet.h"
#include "maps/step.h"

#define XLVS_IP_MORE_FRAGMENTS 0x2000
#define XLVS_IP_DONT_FRAGMENT 0x4000
#define XLVS_IP_OFFSET 0x1fff

static __always_inline void xlvs_addr_from_v4(__be32 wire,
                                              struct xlvs_addr* ret) {
  const __u64 words[2] = {
      0, bpf_cpu_to_be64(0x0000ffff00000000ULL) | ((__u64)wire << 32)};
  __builtin_memcpy(ret->byte, words, sizeof(words));
}

static __always_inline __u8 xlvs_tcp_event_of(const struct tcphdr* tcp) {
  if (tcp->rst) return XLVS_TCP_rst;
  if (tcp->syn) return XLVS_TCP_syn;
  if (tcp->fin) return XLVS_TCP_fin;
  if (tcp->ack) return XLVS_TCP_ack;
  return XLVS_TCP_nothing;
}

static __always_inline enum xlvs_step xlvs_parse_l4(struct xlvs_cursor* cursor,
                                                    struct xlvs_packet* ret) {
  __u32 l4_bytes;
  if (ret->l4_proto == IPPROTO_TCP) {
    const struct tcphdr* tcp = xlvs_take(cursor, sizeof(*tcp));
    if (!tcp) return XLVS_STEP_pass_truncated;
    ret->sport = bpf_ntohs(tcp->source);
    ret->dport = bpf_ntohs(tcp->dest);
    ret->tcp_event = xlvs_tcp_event_of(tcp);
    l4_bytes = sizeof(*tcp);
  } else if (ret->l4_proto == IPPROTO_UDP) {
    const struct udphdr* udp = xlvs_take(cursor, sizeof(*udp));
    if (!udp) return XLVS_STEP_pass_truncated;
    ret->sport = bpf_ntohs(udp->source);
    ret->dport = bpf_ntohs(udp->dest);
    l4_bytes = sizeof(*udp);
  } else {
    return XLVS_STEP_pass_protocol;
  }
  if (ret->ip_bytes < sizeof(struct iphdr) + l4_bytes)
    return XLVS_STEP_pass_truncated;
  return XLVS_STEP_next;
}

static __always_inline enum xlvs_step xlvs_parse(struct xlvs_cursor cursor,
                                                 struct xlvs_packet* ret) {
  const struct ethhdr* eth = xlvs_take(&cursor, sizeof(*eth));
  if (!eth) return XLVS_STEP_pass_truncated;
  if (eth->h_proto != bpf_htons(ETH_P_IP)) {
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return XLVS_STEP_pass_ipv6;
    if (eth->h_proto == bpf_htons(ETH_P_8021Q) ||
        eth->h_proto == bpf_htons(ETH_P_8021AD))
      return XLVS_STEP_pass_vlan;
    return XLVS_STEP_pass_not_ip;
  }
  if (eth->h_dest[0] & 1) return XLVS_STEP_pass_not_unicast;

  const void* frame_end = cursor.end;
  const struct iphdr* ip = xlvs_take(&cursor, sizeof(*ip));
  if (!ip) return XLVS_STEP_pass_truncated;
  if (ip->version != 4 || ip->ihl < 5) return XLVS_STEP_pass_malformed;
  if (ip->ihl > 5) return XLVS_STEP_pass_ip_options;
  const __u16 fragment = bpf_ntohs(ip->frag_off);
  if (fragment & (XLVS_IP_MORE_FRAGMENTS | XLVS_IP_OFFSET))
    return XLVS_STEP_pass_fragment;
  ret->ip_bytes = bpf_ntohs(ip->tot_len);
  if (ret->ip_bytes > (__u64)(frame_end - (const void*)ip))
    return XLVS_STEP_pass_truncated;
  ret->dont_fragment = (fragment & XLVS_IP_DONT_FRAGMENT) != 0;
  ret->l4_proto = ip->protocol;
  ret->ttl = ip->ttl;
  xlvs_addr_from_v4(ip->saddr, &ret->saddr);
  xlvs_addr_from_v4(ip->daddr, &ret->daddr);
  return xlvs_parse_l4(&cursor, ret);
}

#endif
