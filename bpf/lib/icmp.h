/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ICMP and ICMPv6 errors (RFC 792, RFC 1191, RFC 4443): numbers, and writing
 * one before what it quotes. */
#ifndef XLVS_BPF_LIB_ICMP_H
#define XLVS_BPF_LIB_ICMP_H

#include "bpf/lib/addr.h"
#include "bpf/lib/cursor.h"
#include "bpf/lib/l3.h"
#include "bpf/lib/sum.h"

#define XLVS_ICMP_BYTES_MAX 576
#define XLVS_ICMPV6_BYTES_MAX 1280

#define XLVS_ICMP_UNREACH 3
#define XLVS_ICMP_HOST 1
#define XLVS_ICMP_PORT 3
#define XLVS_ICMP_FRAG_NEEDED 4
#define XLVS_ICMP_SOURCE_QUENCH 4
#define XLVS_ICMP_TIME_EXCEEDED 11
#define XLVS_ICMPV6_UNREACH 1
#define XLVS_ICMPV6_ADDRESS 3
#define XLVS_ICMPV6_PORT 4
#define XLVS_ICMPV6_TOO_BIG 2
#define XLVS_ICMPV6_TIME_EXCEEDED 3
#define XLVS_ICMPV6_INFORMATIONAL 128 /* from here on no errors */

/* Whether the message's checksum is right. */
static __always_inline bool xlvs_icmp_is_intact(struct xdp_md* ctx,
                                                const struct xlvs_packet* pkt) {
  const __u16 bytes = pkt->ip_bytes - (pkt->l4_off - pkt->l3_off);
  const __s64 sum = xlvs_sum(ctx, pkt->l4_off, bytes);
  if (sum < 0) return false;
  const __u64 pseudo = pkt->l3 == XLVS_V4
                           ? 0
                           : xlvs_sum_pseudo_v6(&pkt->saddr, &pkt->daddr, bytes,
                                                XLVS_IPPROTO_ICMPV6);
  return xlvs_csum_fold(sum + pseudo) == 0;
}

static __always_inline bool xlvs_is_icmp_error(enum xlvs_l3 l3, __u8 type) {
  if (l3 == XLVS_V6) return type < XLVS_ICMPV6_INFORMATIONAL;
  return type == XLVS_ICMP_UNREACH || type == XLVS_ICMP_SOURCE_QUENCH ||
         type == XLVS_ICMP_TIME_EXCEEDED;
}

/* Writes IP and ICMP headers at `l3_off`, before `quoted` bytes, which end the
 * frame. `tos`: of the packet that is answered. 0: done. */
static __always_inline int xlvs_write_icmp(
    struct xdp_md* ctx, __u32 l3_off, enum xlvs_l3 l3,
    const struct xlvs_addr* saddr, const struct xlvs_addr* daddr, __u8 tos,
    __u32 quoted, const struct xlvs_icmp_header* icmp) {
  const __u16 icmp_bytes = sizeof(*icmp) + quoted;
  const __u32 icmp_off = l3_off + xlvs_l3_bytes(l3);
  __u64 pseudo = 0;
  struct xlvs_icmp_header* header = xlvs_at(ctx, icmp_off, sizeof(*header));
  if (!header) return -1;
  *header = *icmp;
  if (l3 == XLVS_V4) {
    struct iphdr* ip = xlvs_at(ctx, l3_off, sizeof(*ip));
    if (!ip) return -1;
    *ip = (struct iphdr){
        .version = 4,
        .ihl = 5,
        .tos = (tos & 0x1e) | 0xc0,
        .tot_len = bpf_htons(sizeof(*ip) + icmp_bytes),
        .id = bpf_htons((__u16)bpf_get_prandom_u32()),
        .ttl = 64,
        .protocol = IPPROTO_ICMP,
        .saddr = xlvs_addr_to_v4(saddr),
        .daddr = xlvs_addr_to_v4(daddr),
    };
    ip->check = xlvs_csum_fold(xlvs_sum_v4_header(ip));
  } else {
    struct ipv6hdr* ip = xlvs_at(ctx, l3_off, sizeof(*ip));
    if (!ip) return -1;
    *(__be32*)ip = bpf_htonl(0x60000000U);
    ip->payload_len = bpf_htons(icmp_bytes);
    ip->nexthdr = XLVS_IPPROTO_ICMPV6;
    ip->hop_limit = 64;
    __builtin_memcpy(&ip->saddr, saddr, sizeof(ip->saddr));
    __builtin_memcpy(&ip->daddr, daddr, sizeof(ip->daddr));
    pseudo = xlvs_sum_pseudo_v6(saddr, daddr, icmp_bytes, XLVS_IPPROTO_ICMPV6);
  }
  const __s64 sum = xlvs_sum(ctx, icmp_off, icmp_bytes);
  if (sum < 0) return -1;
  header = xlvs_at(ctx, icmp_off, sizeof(*header));
  if (!header) return -1;
  header->checksum = xlvs_csum_fold(sum + pseudo);
  return 0;
}

#endif
