/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ICMP errors about our own tunnel packets: from a router between this director
 * and a real server, to the director. The client is told, as if about its own
 * packet: same meaning, from the service's address, an MTU less by what the
 * tunnel adds (ip_vs_core.c, ip_vs_in_icmp; RFC 2003, 4; here also for IPv6 and
 * for what else a tunnel adds). It can be done if enough is quoted to see the
 * client's packet. */
#ifndef XLVS_BPF_PATH_TUNNEL_ERROR_H
#define XLVS_BPF_PATH_TUNNEL_ERROR_H

#include "bpf/emit/nexthop.h"
#include "bpf/emit/send.h"
#include "bpf/forward/tunnel.h"
#include "bpf/lib/icmp.h"
#include "bpf/lib/tunnel_headers.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/local.h"
#include "bpf/parse/quoted.h"
#include "bpf/path/size.h"

/* The client's packet in a quoted tunnel packet. */
struct xlvs_inside {
  __u32 offset;
  enum xlvs_l3 l3;
};

static __always_inline bool xlvs_l3_of_protocol(__u8 protocol,
                                                enum xlvs_l3* ret) {
  if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6) return false;
  *ret = protocol == IPPROTO_IPIP ? XLVS_V4 : XLVS_V6;
  return true;
}

/* Looks behind the quoted outer header. False: it is no tunnel of ours. */
static __always_inline bool xlvs_look_inside(struct xdp_md* ctx,
                                             const struct xlvs_packet* quoted,
                                             struct xlvs_inside* ret) {
  if (quoted->l4_proto == XLVS_IPPROTO_GRE) {
    const struct xlvs_gre_header* gre =
        xlvs_at(ctx, quoted->l4_off, sizeof(*gre));
    if (!gre || gre->flags & ~bpf_htons(XLVS_GRE_CSUM)) return false;
    ret->offset = quoted->l4_off + sizeof(*gre) +
                  (gre->flags ? sizeof(struct xlvs_gre_csum) : 0);
    if (gre->ethertype != xlvs_ethertype(XLVS_V4) &&
        gre->ethertype != xlvs_ethertype(XLVS_V6))
      return false;
    ret->l3 = gre->ethertype == xlvs_ethertype(XLVS_V4) ? XLVS_V4 : XLVS_V6;
    return true;
  }
  if (quoted->l4_proto == IPPROTO_UDP) {
    const struct xlvs_gue_header* gue =
        xlvs_at(ctx, quoted->l4_off + sizeof(struct udphdr), sizeof(*gue));
    if (!gue || gue->flags_length || gue->flags) return false;
    ret->offset = quoted->l4_off + sizeof(struct udphdr) + sizeof(*gue);
    return xlvs_l3_of_protocol(gue->protocol, &ret->l3);
  }
  ret->offset = quoted->l4_off;
  return xlvs_l3_of_protocol(quoted->l4_proto, &ret->l3);
}

/* The same error for the client's packet, whose family may be the other one
 * (RFC 2473, 8; RFC 4213, 3.4). `tunnel_bytes` the tunnel adds. */
static __always_inline struct xlvs_icmp_header xlvs_error_for_client(
    const struct xlvs_icmp_header* error, enum xlvs_l3 outer,
    enum xlvs_l3 inner, __u32 tunnel_bytes) {
  struct xlvs_icmp_header ret = {.type = error->type, .code = error->code};
  const bool too_big = outer == XLVS_V4
                           ? error->type == XLVS_ICMP_UNREACH &&
                                 error->code == XLVS_ICMP_FRAG_NEEDED
                           : error->type == XLVS_ICMPV6_TOO_BIG;
  if (too_big) {
    const __u32 mtu = outer == XLVS_V4 ? bpf_ntohl(error->rest) & 0xffff
                                       : bpf_ntohl(error->rest);
    ret.type = inner == XLVS_V4 ? XLVS_ICMP_UNREACH : XLVS_ICMPV6_TOO_BIG;
    ret.code = inner == XLVS_V4 ? XLVS_ICMP_FRAG_NEEDED : 0;
    ret.rest = bpf_htonl(xlvs_mtu_inside(mtu, tunnel_bytes, inner));
    return ret;
  }
  if (inner == outer) return ret;
  const bool exceeded =
      error->type ==
      (outer == XLVS_V4 ? XLVS_ICMP_TIME_EXCEEDED : XLVS_ICMPV6_TIME_EXCEEDED);
  ret.code = 0;
  if (exceeded) {
    ret.type =
        inner == XLVS_V4 ? XLVS_ICMP_TIME_EXCEEDED : XLVS_ICMPV6_TIME_EXCEEDED;
  } else {
    ret.type = inner == XLVS_V4 ? XLVS_ICMP_UNREACH : XLVS_ICMPV6_UNREACH;
    ret.code = inner == XLVS_V4 ? XLVS_ICMP_HOST : XLVS_ICMPV6_ADDRESS;
  }
  return ret;
}

static __always_inline bool xlvs_is_too_big(const struct xlvs_icmp_header* icmp,
                                            enum xlvs_l3 l3) {
  return l3 == XLVS_V4 && icmp->type == XLVS_ICMP_UNREACH &&
         icmp->code == XLVS_ICMP_FRAG_NEEDED;
}

/* Turns the frame into the error for the client and sends it. */
__noinline int xlvs_tunnel_error(struct xdp_md* ctx,
                                 const struct xlvs_packet* pkt,
                                 const struct xlvs_packet* quoted) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!pkt || !quoted || !scratch || !control) return XLVS_STEP_drop_internal;
  struct xlvs_packet* original = &scratch->original;
  struct xlvs_packet* answer = &scratch->answer;
  __builtin_memset(original, 0, sizeof(*original));
  __builtin_memset(answer, 0, sizeof(*answer));
  struct xlvs_inside inside;
  if (!xlvs_look_inside(ctx, quoted, &inside))
    return XLVS_STEP_pass_icmp_no_conn;
  original->now_ticks = pkt->now_ticks;
  if (xlvs_parse_quoted(ctx, inside.offset, pkt->l3_off + pkt->ip_bytes,
                        inside.l3, original) != XLVS_STEP_next)
    return XLVS_STEP_pass_icmp_no_conn;
  struct xlvs_place place;
  struct xlvs_found found = {};
  struct xlvs_miss miss = {};
  if ((!(xlvs_local_roles(&original->daddr) & XLVS_LOCAL_virtual) &&
       !xlvs_is_in_wide(&original->daddr, control)) ||
      !xlvs_conn_find(original, XLVS_TO_DEST, &place, &miss, &found) ||
      xlvs_method_of(found.life) != XLVS_METHOD_tunnel ||
      !xlvs_addr_equal(&found.dest->daddr, &quoted->daddr))
    return XLVS_STEP_pass_icmp_no_conn;
  if (!xlvs_icmp_is_intact(ctx, pkt)) return XLVS_STEP_drop_icmp_checksum;
  const struct xlvs_icmp_header* error =
      xlvs_at(ctx, pkt->l4_off, sizeof(*error));
  if (!error) return XLVS_STEP_drop_internal;
  const struct xlvs_icmp_header icmp = xlvs_error_for_client(
      error, (enum xlvs_l3)pkt->l3, inside.l3, inside.offset - quoted->l3_off);
  /* A client that lets routers fragment does not listen. */
  if (xlvs_is_too_big(&icmp, inside.l3) && !original->dont_fragment)
    return XLVS_STEP_drop_icmp_failed;

  answer->saddr = original->daddr;
  answer->daddr = original->saddr;
  answer->dport = original->sport;
  answer->l4_proto = original->l4_proto;
  answer->now_ticks = pkt->now_ticks;
  struct xlvs_nexthop way;
  const enum xlvs_step step =
      xlvs_way_to_client(ctx, answer, &found, &answer->saddr, &way);
  if (step != XLVS_STEP_next) return step;
  if (!xlvs_can_send(ctx, way.ifindex)) return XLVS_STEP_pass_reply_route;

  const __u32 header_bytes = xlvs_l3_bytes(inside.l3) + sizeof(icmp);
  const __u32 bytes_max =
      inside.l3 == XLVS_V4 ? XLVS_ICMP_BYTES_MAX : XLVS_ICMPV6_BYTES_MAX;
  __u32 bytes = pkt->l3_off + pkt->ip_bytes - inside.offset;
  if (bytes > bytes_max - header_bytes) bytes = bytes_max - header_bytes;
  const struct xlvs_vlan* vlan = xlvs_vlan_of(&way);
  const __u32 l2_bytes = xlvs_l2_bytes(vlan);
  if (bpf_xdp_adjust_tail(
          ctx, (int)(inside.offset + bytes) - (int)bpf_xdp_get_buff_len(ctx)) ||
      bpf_xdp_adjust_head(ctx,
                          (int)inside.offset - (int)(l2_bytes + header_bytes)))
    return XLVS_STEP_drop_icmp_failed;
  struct xlvs_cursor cursor = xlvs_cursor(ctx);
  if (!xlvs_write_l2(&cursor, &way, vlan, 0, xlvs_ethertype(inside.l3)) ||
      xlvs_write_icmp(ctx, l2_bytes, inside.l3, &answer->saddr, &answer->daddr,
                      0, bytes, &icmp))
    return XLVS_STEP_drop_icmp_failed;
  return xlvs_sent(ctx, way.ifindex, XLVS_TO_CLIENT, XLVS_KIND_error);
}

#endif
