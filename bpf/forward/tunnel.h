/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Tunnel: the packet goes into another one, from this director to the real
 * server (ip_vs_xmit.c, ip_vs_tunnel_xmit and its IPv6 twin). IPv4 and IPv6 in
 * either of the two:
 *
 *   ipip  outer IP, inner IP
 *   gue   outer IP, UDP, 4 bytes (variant 0), inner IP
 *   gre   outer IP, 4 or (with checksum) 8 bytes, inner IP
 *
 * The outer TTL is the inner's after its decrement, DSCP is copied, ECN by RFC
 * 6040's normal mode but for CE, of which the kernel makes ECT(0), DF of IPv4
 * is the inner's; an IPv6 packet is not to be fragmented, but its IPv4 outer
 * has no DF, as IPVS has it. An outer without DF needs an Identification that
 * tells it from others (RFC 6864): the inner's, moved by what tells connections
 * and an inner datagram's fragments apart. */
#ifndef XLVS_BPF_FORWARD_TUNNEL_H
#define XLVS_BPF_FORWARD_TUNNEL_H

#include "bpf/lib/addr.h"
#include "bpf/lib/cursor.h"
#include "bpf/lib/found.h"
#include "bpf/lib/l2.h"
#include "bpf/lib/l3.h"
#include "bpf/lib/sum.h"
#include "bpf/lib/tunnel_headers.h"
#include "maps/step.h"

/* The source ports of GUE's UDP: Linux's ephemeral ones. */
#define XLVS_GUE_SPORT_FIRST 32768U
#define XLVS_GUE_SPORTS 28232U

static __always_inline bool xlvs_tunnel_sums(const struct xlvs_dest* dest) {
  return dest->tunnel_type != XLVS_TUNNEL_ipip &&
         (dest->tunnel_flags & (XLVS_TUNNEL_csum | XLVS_TUNNEL_remcsum));
}

static __always_inline __u32 xlvs_outer_l3_bytes(const struct xlvs_dest* dest) {
  return dest->tunnel_over == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* What the outer header takes from the inner. */
struct xlvs_inner {
  __u8 tos;
  __u8 ttl;
  __u8 protocol;        /* IPPROTO_IPIP or IPPROTO_IPV6 */
  __be16 dont_fragment; /* as in iphdr.frag_off */
  __u16 id;             /* for an outer without it; its byte order is any */
};

/* Takes one hop off the packet that is to be wrapped. */
static __always_inline bool xlvs_take_hop(struct xdp_md* ctx,
                                          const struct xlvs_packet* pkt,
                                          enum xlvs_l3 l3, __u32 l3_off,
                                          struct xlvs_inner* ret) {
  const enum xlvs_l3 known = xlvs_known_l3(l3);
  void* at = xlvs_at(ctx, l3_off, xlvs_l3_bytes(known));
  if (!at) return false;
  ret->tos = pkt->tos;
  ret->ttl = pkt->ttl - 1;
  ret->protocol = known == XLVS_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;
  ret->dont_fragment = 0;
  ret->id = 0;
  if (known == XLVS_V6) {
    xlvs_decrement_ttl(at, known);
    return true;
  }
  struct iphdr* ip = at;
  if (pkt->dont_fragment)
    ret->dont_fragment = bpf_htons(XLVS_IP_DONT_FRAGMENT);
  else
    ret->id = ip->id + ip->frag_off + pkt->flow_hash;
  xlvs_hop_v4(ip);
  return true;
}

/* `ip_bytes`: of the whole outer packet. */
static __always_inline bool xlvs_write_outer(struct xlvs_cursor* cursor,
                                             const struct xlvs_dest* dest,
                                             const struct xlvs_inner* inner,
                                             __u8 protocol, __u16 ip_bytes) {
  __u8 tos = inner->tos;
  if ((tos & XLVS_ECN_MASK) == XLVS_ECN_CE)
    tos = (tos & ~XLVS_ECN_MASK) | XLVS_ECN_ECT0;
  if (dest->tunnel_over == 4) {
    struct iphdr* ip = xlvs_take(cursor, sizeof(*ip));
    if (!ip) return false;
    /* By words as they stand in memory, which are summed before they are
     * written: what was written in other pieces, a CPU reads back slowly. */
    const __u16 id =
        inner->protocol == IPPROTO_IPV6 ? bpf_get_prandom_u32() : inner->id;
    const __u32 words[sizeof(*ip) / 4] = {
        0x45U | (__u32)tos << 8 | (__u32)bpf_htons(ip_bytes) << 16,
        id | (__u32)inner->dont_fragment << 16,
        inner->ttl | (__u32)protocol << 8, xlvs_addr_to_v4(&dest->tunnel_saddr),
        xlvs_addr_to_v4(&dest->daddr)};
    __u64 sum = 0;
    for (__u32 i = 0; i < sizeof(*ip) / 4; i++) sum += words[i];
    __u32* at = (__u32*)ip;
    at[0] = words[0];
    at[1] = words[1];
    at[2] = words[2] | (__u32)xlvs_csum_fold(sum) << 16;
    at[3] = words[3];
    at[4] = words[4];
    return true;
  }
  struct ipv6hdr* ip = xlvs_take(cursor, sizeof(*ip));
  if (!ip) return false;
  *(__be32*)ip = bpf_htonl(0x60000000U | (__u32)tos << 20);
  ip->payload_len = bpf_htons(ip_bytes - sizeof(*ip));
  ip->nexthdr = protocol;
  ip->hop_limit = inner->ttl;
  __builtin_memcpy(&ip->saddr, &dest->tunnel_saddr, sizeof(ip->saddr));
  __builtin_memcpy(&ip->daddr, &dest->daddr, sizeof(ip->daddr));
  return true;
}

/* The same for all packets of a connection, different for different ones: so
 * the real server's NIC spreads them over its queues. */
static __always_inline __u16 xlvs_gue_sport(__u32 flow_hash) {
  return XLVS_GUE_SPORT_FIRST + (((__u64)flow_hash * XLVS_GUE_SPORTS) >> 32);
}

/* UDP and GUE, or GRE, without checksums. */
static __always_inline bool xlvs_write_shim(struct xlvs_cursor* cursor,
                                            const struct xlvs_dest* dest,
                                            const struct xlvs_inner* inner,
                                            __u16 ip_bytes, __u32 flow_hash) {
  if (dest->tunnel_type == XLVS_TUNNEL_gue) {
    struct udphdr* udp = xlvs_take(cursor, sizeof(*udp));
    if (!udp) return false;
    const __u16 l4_bytes = ip_bytes - xlvs_outer_l3_bytes(dest);
    *(__u64*)udp = bpf_htons(xlvs_gue_sport(flow_hash)) |
                   (__u32)bpf_htons(dest->tunnel_port) << 16 |
                   (__u64)bpf_htons(l4_bytes) << 32; /* checksum 0 */
    struct xlvs_gue_header* gue = xlvs_take(cursor, sizeof(*gue));
    if (!gue) return false;
    *gue = (struct xlvs_gue_header){.protocol = inner->protocol};
  } else {
    struct xlvs_gre_header* gre = xlvs_take(cursor, sizeof(*gre));
    if (!gre) return false;
    gre->flags = xlvs_tunnel_sums(dest) ? bpf_htons(XLVS_GRE_CSUM) : 0;
    gre->ethertype =
        xlvs_ethertype(inner->protocol == IPPROTO_IPIP ? XLVS_V4 : XLVS_V6);
    if (!xlvs_tunnel_sums(dest)) return true;
    struct xlvs_gre_csum* csum = xlvs_take(cursor, sizeof(*csum));
    if (!csum) return false;
    csum->check = 0;
    csum->reserved = 0;
  }
  return true;
}

/* Encapsulates the packet, whose network header is at `l3_off`, and writes the
 * frame's header for the way with these tags. What has a checksum still lacks
 * it (xlvs_sum_shim). Returns next or a drop. */
static __always_inline enum xlvs_step xlvs_encapsulate(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
    const struct xlvs_dest* dest, const struct xlvs_nexthop* way,
    const struct xlvs_vlan* vlan, enum xlvs_l3 l3, __u32 l3_off) {
  if (xlvs_addr_is_zero(&dest->tunnel_saddr))
    return XLVS_STEP_drop_tunnel_source;
  const __u32 priority = xlvs_vlan_priority(ctx, l3_off);
  const __u32 l2_bytes = xlvs_l2_bytes(vlan);
  const bool over_v4 = dest->tunnel_over == 4;
  const __u32 outer_bytes = dest->tunnel_bytes;
  const __u16 ip_bytes = pkt->ip_bytes + outer_bytes;
  struct xlvs_inner inner;
  if (!xlvs_take_hop(ctx, pkt, l3, l3_off, &inner))
    return XLVS_STEP_drop_internal;
  if (bpf_xdp_adjust_head(ctx, (int)l3_off - (int)(l2_bytes + outer_bytes)))
    return XLVS_STEP_drop_no_headroom;

  struct xlvs_cursor cursor = xlvs_cursor(ctx);
  const bool has_shim = dest->tunnel_type != XLVS_TUNNEL_ipip;
  const __u8 protocol = !has_shim ? inner.protocol
                        : dest->tunnel_type == XLVS_TUNNEL_gue
                            ? IPPROTO_UDP
                            : XLVS_IPPROTO_GRE;
  if (!xlvs_write_l2(&cursor, way, vlan, priority,
                     xlvs_ethertype(over_v4 ? XLVS_V4 : XLVS_V6)) ||
      !xlvs_write_outer(&cursor, dest, &inner, protocol, ip_bytes) ||
      (has_shim &&
       !xlvs_write_shim(&cursor, dest, &inner, ip_bytes, pkt->flow_hash)))
    return XLVS_STEP_drop_internal;
  return XLVS_STEP_next;
}

/* The same for any tags. */
__noinline int xlvs_wrap(struct xdp_md* ctx, const struct xlvs_packet* pkt,
                         const struct xlvs_dest* dest,
                         const struct xlvs_nexthop* way) {
  if (!pkt || !dest || !way) return XLVS_STEP_drop_internal;
  return xlvs_encapsulate(ctx, pkt, dest, way, xlvs_vlan_of(way),
                          (enum xlvs_l3)pkt->l3, pkt->l3_off);
}

/* Fills in the shim's checksum, which covers all that follows the outer header.
 * Returns next or a drop. */
__noinline int xlvs_sum_shim(struct xdp_md* ctx, const struct xlvs_packet* pkt,
                             const struct xlvs_dest* dest,
                             const struct xlvs_nexthop* way) {
  if (!pkt || !dest || !way) return XLVS_STEP_drop_internal;
  const __u32 l3_bytes = xlvs_outer_l3_bytes(dest);
  const __u32 l4_off = xlvs_l2_bytes(xlvs_vlan_of(way)) + l3_bytes;
  const __u16 l4_bytes = pkt->ip_bytes + dest->tunnel_bytes - l3_bytes;
  const __s64 sum = xlvs_sum(ctx, l4_off, l4_bytes);
  if (sum < 0) return XLVS_STEP_drop_internal;
  if (dest->tunnel_type == XLVS_TUNNEL_gre) {
    struct xlvs_gre_header* gre =
        xlvs_at(ctx, l4_off, sizeof(*gre) + sizeof(struct xlvs_gre_csum));
    if (!gre) return XLVS_STEP_drop_internal;
    ((struct xlvs_gre_csum*)(gre + 1))->check = xlvs_csum_fold(sum);
    return XLVS_STEP_next;
  }
  struct udphdr* udp = xlvs_at(ctx, l4_off, sizeof(*udp));
  if (!udp) return XLVS_STEP_drop_internal;
  const __u64 pseudo =
      dest->tunnel_over == 4
          ? xlvs_sum_pseudo_v4(xlvs_addr_to_v4(&dest->tunnel_saddr),
                               xlvs_addr_to_v4(&dest->daddr), l4_bytes,
                               IPPROTO_UDP)
          : xlvs_sum_pseudo_v6(&dest->tunnel_saddr, &dest->daddr, l4_bytes,
                               IPPROTO_UDP);
  const __u16 check = xlvs_csum_fold(sum + pseudo);
  udp->check = check ? check : 0xffff;
  return XLVS_STEP_next;
}

/* Any packet, by any tunnel. Returns next or a drop. */
static __always_inline enum xlvs_step xlvs_tunnel(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
    const struct xlvs_dest* dest, const struct xlvs_nexthop* way) {
  const int step = xlvs_wrap(ctx, pkt, dest, way);
  return step == XLVS_STEP_next && xlvs_tunnel_sums(dest)
             ? (enum xlvs_step)xlvs_sum_shim(ctx, pkt, dest, way)
             : (enum xlvs_step)step;
}

#endif
