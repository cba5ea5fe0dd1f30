/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Reading IP and transport headers: of the packet itself (bpf/parse/), and of a
 * packet that is quoted in an ICMP error. Reads only. What is not understood
 * ends in a step that says so. */
#ifndef XLVS_BPF_LIB_HEADERS_H
#define XLVS_BPF_LIB_HEADERS_H

#include "bpf/lib/addr.h"
#include "bpf/lib/cursor.h"
#include "maps/step.h"

#define XLVS_IP_MORE_FRAGMENTS 0x2000
#define XLVS_IP_DONT_FRAGMENT 0x4000
#define XLVS_IP_OFFSET 0x1fff

/* RFC 8200, 4. Those that a receiver may meet before the transport header. */
#define XLVS_IPV6_HOP_BY_HOP 0
#define XLVS_IPV6_ROUTING 43
#define XLVS_IPV6_FRAGMENT 44
#define XLVS_IPV6_AUTHENTICATION 51
#define XLVS_IPV6_DESTINATION 60
#define XLVS_IPV6_MOBILITY 135
#define XLVS_IPV6_EXTENSIONS_MAX 8

struct xlvs_ipv6_fragment {
  __u8 next_header;
  __u8 reserved;
  __be16 offset; /* lowest bit: more fragments */
  __be32 id;
};

static __always_inline bool xlvs_is_icmp(const struct xlvs_packet* pkt) {
  return pkt->l4_proto ==
         (pkt->l3 == XLVS_V4 ? IPPROTO_ICMP : XLVS_IPPROTO_ICMPV6);
}

static __always_inline enum xlvs_fragment xlvs_fragment_of_v4(
    const struct iphdr* ip) {
  if (ip->frag_off & bpf_htons(XLVS_IP_OFFSET)) return XLVS_FRAGMENT_later;
  return ip->frag_off & bpf_htons(XLVS_IP_MORE_FRAGMENTS) ? XLVS_FRAGMENT_first
                                                          : XLVS_WHOLE;
}

/* All but what fragment it is. */
static __always_inline void xlvs_parse_v4(const struct iphdr* ip,
                                          struct xlvs_packet* ret) {
  ret->l3 = XLVS_V4;
  ret->ip_bytes = bpf_ntohs(ip->tot_len);
  ret->dont_fragment = (ip->frag_off & bpf_htons(XLVS_IP_DONT_FRAGMENT)) != 0;
  ret->l4_proto = ip->protocol;
  ret->ttl = ip->ttl;
  ret->tos = ip->tos;
  xlvs_addr_from_v4(ip->saddr, &ret->saddr);
  xlvs_addr_from_v4(ip->daddr, &ret->daddr);
}

static __always_inline bool xlvs_skip_v4_options(struct xlvs_cursor* cursor,
                                                 const struct iphdr* ip) {
  return xlvs_take_masked(cursor, (ip->ihl - 5) * 4, 0x3f);
}

/* The base header. `ret->l4_proto` is what follows it, maybe an extension. */
static __always_inline enum xlvs_step xlvs_parse_v6(const struct ipv6hdr* ip,
                                                    struct xlvs_packet* ret) {
  ret->l3 = XLVS_V6;
  ret->ip_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
  ret->dont_fragment = 1; /* an IPv6 packet's routers never do */
  ret->ttl = ip->hop_limit;
  ret->tos = (__u8)(ip->priority << 4 | ip->flow_lbl[0] >> 4);
  ret->l4_proto = ip->nexthdr;
  __builtin_memcpy(&ret->saddr, &ip->saddr, sizeof(ret->saddr));
  __builtin_memcpy(&ret->daddr, &ip->daddr, sizeof(ret->daddr));
  /* It would pass for the IPv4 address that it maps (RFC 4942, 2.2). */
  return xlvs_addr_is_v4(&ret->saddr) || xlvs_addr_is_v4(&ret->daddr)
             ? XLVS_STEP_drop_v4_mapped
             : XLVS_STEP_next;
}

static __always_inline bool xlvs_is_extension(__u8 header) {
  return header == XLVS_IPV6_HOP_BY_HOP || header == XLVS_IPV6_ROUTING ||
         header == XLVS_IPV6_FRAGMENT || header == XLVS_IPV6_AUTHENTICATION ||
         header == XLVS_IPV6_DESTINATION || header == XLVS_IPV6_MOBILITY;
}

/* Walks the extension headers from `ret->l4_off` of the frame on, up to the
 * transport header. By offsets and not by a cursor, and not unrolled: so every
 * turn of the loop looks the same to the verifier. */
static __always_inline enum xlvs_step xlvs_skip_extensions(
    struct xlvs_cursor frame, struct xlvs_packet* ret) {
  __u32 offset = ret->l4_off;
  __u32 header = ret->l4_proto;
  XLVS_NO_UNROLL
  for (int i = 0; i < XLVS_IPV6_EXTENSIONS_MAX; i++) {
    if (!xlvs_is_extension(header)) break;
    /* None is shorter than the fragment header. */
    const struct xlvs_ipv6_fragment* extension =
        xlvs_peek(frame, offset, sizeof(*extension));
    if (!extension) return XLVS_STEP_pass_truncated;
    __u32 bytes = (((const __u8*)extension)[1] + 1) * 8;
    if (header == XLVS_IPV6_AUTHENTICATION) {
      /* RFC 4302, 2.2: in units of 4 bytes, without the first 8. */
      bytes = (((const __u8*)extension)[1] + 2) * 4;
    } else if (header == XLVS_IPV6_FRAGMENT) {
      bytes = sizeof(*extension);
      ret->fragment_id = extension->id;
      if (extension->offset & bpf_htons(1)) ret->fragment = XLVS_FRAGMENT_first;
      if (extension->offset & bpf_htons(0xfff8))
        ret->fragment = XLVS_FRAGMENT_later;
    }
    header = extension->next_header;
    offset += bytes;
    if (offset > XLVS_L4_OFF_MAX) return XLVS_STEP_pass_extensions;
    if (ret->fragment == XLVS_FRAGMENT_later) break;
  }
  ret->l4_off = offset;
  ret->l4_proto = header;
  return xlvs_is_extension(header) && ret->fragment != XLVS_FRAGMENT_later
             ? XLVS_STEP_pass_extensions
             : XLVS_STEP_next;
}

static __always_inline __u8 xlvs_tcp_event_of(const struct tcphdr* tcp) {
  if (tcp->rst) return XLVS_TCP_rst;
  if (tcp->syn) return XLVS_TCP_syn;
  if (tcp->fin) return XLVS_TCP_fin;
  if (tcp->ack) return XLVS_TCP_ack;
  return XLVS_TCP_nothing;
}

/* By chunk type (RFC 9260, 3.2). Not 16 long: clang would put a table of 16
 * bytes into a section of mergeable constants, where its BTF has no place. */
#define XLVS_SCTP_CHUNK_TYPES 15
static const __u8 xlvs_sctp_event_of_chunk[XLVS_SCTP_CHUNK_TYPES] = {
    [1] = XLVS_SCTP_init,
    [2] = XLVS_SCTP_init_ack,
    [6] = XLVS_SCTP_abort,
    [7] = XLVS_SCTP_shutdown,
    [8] = XLVS_SCTP_shutdown_ack,
    [9] = XLVS_SCTP_error,
    [10] = XLVS_SCTP_cookie_echo,
    [11] = XLVS_SCTP_cookie_ack,
    [14] = XLVS_SCTP_shutdown_complete,
};

static __always_inline __u8
xlvs_sctp_event_of(const struct xlvs_sctp_chunk* chunk) {
  const __u32 type = chunk->type;
  return type < XLVS_SCTP_CHUNK_TYPES ? xlvs_sctp_event_of_chunk[type]
                                      : XLVS_SCTP_data;
}

#define XLVS_SCTP_COOKIE_BYTES_MAX 2044 /* what we look behind */

/* A COOKIE chunk that an ABORT follows in the same packet is an ABORT. */
static __always_inline enum xlvs_step xlvs_parse_sctp_event(
    struct xlvs_cursor* cursor, struct xlvs_packet* ret) {
  const struct xlvs_sctp_chunk* chunk = xlvs_take(cursor, sizeof(*chunk));
  if (!chunk) return XLVS_STEP_pass_truncated;
  ret->event = xlvs_sctp_event_of(chunk);
  if (ret->event != XLVS_SCTP_cookie_echo && ret->event != XLVS_SCTP_cookie_ack)
    return XLVS_STEP_next;
  const __u32 bytes = bpf_ntohs(chunk->bytes);
  if (bytes < sizeof(*chunk) || bytes > XLVS_SCTP_COOKIE_BYTES_MAX)
    return XLVS_STEP_next;
  if (!xlvs_take_masked(cursor, ((bytes + 3) & ~3U) - sizeof(*chunk), 0x7ff))
    return XLVS_STEP_next;
  const struct xlvs_sctp_chunk* second = xlvs_take(cursor, sizeof(*second));
  if (second && xlvs_sctp_event_of(second) == XLVS_SCTP_abort)
    ret->event = XLVS_SCTP_abort;
  return XLVS_STEP_next;
}

/* Ports and event. The cursor stands `header_bytes` behind the beginning of the
 * IP packet. */
static __always_inline enum xlvs_step xlvs_parse_l4(struct xlvs_cursor* cursor,
                                                    __u32 header_bytes,
                                                    struct xlvs_packet* ret) {
  const struct xlvs_ports_header* ports = cursor->next;
  __u32 l4_bytes;
  switch (ret->l4_proto) {
    case IPPROTO_TCP: {
      const struct tcphdr* tcp = xlvs_take(cursor, sizeof(*tcp));
      if (!tcp) return XLVS_STEP_pass_truncated;
      ret->event = xlvs_tcp_event_of(tcp);
      l4_bytes = sizeof(*tcp);
      break;
    }
    case IPPROTO_UDP:
      if (!xlvs_take(cursor, sizeof(struct udphdr)))
        return XLVS_STEP_pass_truncated;
      l4_bytes = sizeof(struct udphdr);
      break;
    case XLVS_IPPROTO_SCTP: {
      if (!xlvs_take(cursor, sizeof(struct xlvs_sctp_header)))
        return XLVS_STEP_pass_truncated;
      const enum xlvs_step step = xlvs_parse_sctp_event(cursor, ret);
      if (step != XLVS_STEP_next) return step;
      l4_bytes =
          sizeof(struct xlvs_sctp_header) + sizeof(struct xlvs_sctp_chunk);
      break;
    }
    default:
      return XLVS_STEP_pass_protocol;
  }
  if ((void*)(ports + 1) > cursor->end) return XLVS_STEP_pass_truncated;
  ret->sport = bpf_ntohs(ports->source);
  ret->dport = bpf_ntohs(ports->dest);
  if (ret->ip_bytes < header_bytes + l4_bytes) return XLVS_STEP_pass_truncated;
  return XLVS_STEP_next;
}

#endif
