/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * From the client to the connection's real server by the connection's method:
 * forward and emit. */
#ifndef XLVS_BPF_PATH_DELIVER_H
#define XLVS_BPF_PATH_DELIVER_H

#include "bpf/emit/handover.h"
#include "bpf/emit/nexthop.h"
#include "bpf/emit/send.h"
#include "bpf/forward/error.h"
#include "bpf/forward/masq.h"
#include "bpf/forward/tunnel.h"
#include "bpf/path/size.h"

/* Masq of a packet of any shape, or, with `quoted`, of an ICMP error. Verified
 * once and alone, and with a stack frame of its own. */
__noinline int xlvs_masq_any(struct xdp_md* ctx, const struct xlvs_packet* pkt,
                             const struct xlvs_packet* quoted,
                             const struct xlvs_dest* dest, __u32 dport) {
  if (!pkt || !dest) return XLVS_STEP_drop_internal;
  const struct xlvs_shape shape = xlvs_shape_of(pkt);
  if (quoted)
    return xlvs_masq_error(ctx, shape, quoted, XLVS_TO_DEST, &dest->daddr,
                           dport);
  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
  const enum xlvs_step step =
      xlvs_masq(ctx, &view, pkt, shape, XLVS_TO_DEST, &dest->daddr, dport);
  xlvs_mend_l3(view.l3, view.family, view.l3_change);
  return step;
}

static __always_inline __u32 xlvs_overhead_bytes(enum xlvs_method method,
                                                 const struct xlvs_dest* dest) {
  return method == XLVS_METHOD_tunnel ? dest->tunnel_bytes : 0;
}

/* Whether a packet that is too big can go in pieces. What Masq rewrote the
 * kernel's IP cuts; for the rest see emit/pieces.h: no IP options, no checksum
 * that covers the whole. */
static __always_inline bool xlvs_kernel_can_cut(const struct xlvs_packet* pkt,
                                                const struct xlvs_dest* dest,
                                                enum xlvs_method method) {
  if (method == XLVS_METHOD_masq) return true;
  const __u32 header_bytes = pkt->l4_off - pkt->l3_off;
  return header_bytes == sizeof(struct iphdr) &&
         (method == XLVS_METHOD_route || !xlvs_tunnel_sums(dest));
}

/* What becomes of a packet: next, then `way` is its way; a pass, then the
 * kernel has to do the rest; or another ending, which needs no rewriting. */
static __always_inline enum xlvs_step xlvs_decide(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_dest* dest,
    enum xlvs_method method, struct xlvs_way* way, __u32* ret_mtu) {
  if (dest->flags & XLVS_DEST_local) {
    /* As IPVS: to a loopback address from outside, never. */
    return method == XLVS_METHOD_masq && xlvs_addr_is_v4(&dest->daddr) &&
                   dest->daddr.byte[12] == 127
               ? XLVS_STEP_drop_dest_loopback
               : XLVS_STEP_pass_local;
  }
  if (pkt->ttl <= 1) return XLVS_STEP_tx_icmp_ttl_exceeded;
  enum xlvs_step step = XLVS_STEP_next;
  way->nexthop = dest->nexthop;
  const bool fresh =
      way->nexthop.ifindex && xlvs_is_fresh(&dest->nexthop, pkt->now_ticks);
  if (!fresh)
    step = (enum xlvs_step)xlvs_way_to_dest(ctx, pkt, dest, method, way);
  if (step != XLVS_STEP_next && step != XLVS_STEP_pass_neighbour_check)
    return step;
  const __u32 overhead = xlvs_overhead_bytes(method, dest);
  /* With the MTU known, the kernel need not find out after the rewrite. */
  if (way->nexthop.mtu && pkt->ip_bytes + overhead > way->nexthop.mtu) {
    *ret_mtu =
        xlvs_mtu_inside(way->nexthop.mtu, overhead, (enum xlvs_l3)pkt->l3);
    if (pkt->dont_fragment) return XLVS_STEP_tx_icmp_frag_needed;
    if (!xlvs_kernel_can_cut(pkt, dest, method)) return XLVS_STEP_drop_too_big;
    step = XLVS_STEP_pass_too_big;
  } else if (step != XLVS_STEP_next ||
             xlvs_can_send(ctx, way->nexthop.ifindex)) {
    return step;
  } else {
    step = XLVS_STEP_pass_route;
  }
  /* The kernel wants to know the gateway, which a dest does not remember. */
  if (fresh && method != XLVS_METHOD_masq)
    xlvs_way_to_dest(ctx, pkt, dest, method, way);
  return step;
}

/* The packet is to be answered by an ICMP error. */
static __always_inline bool xlvs_is_answer(enum xlvs_step step) {
  return step >= XLVS_STEP_tx_icmp_port_unreach &&
         step <= XLVS_STEP_tx_icmp_frag_needed;
}

static __always_inline bool xlvs_is_pass(enum xlvs_step step) {
  return step >= XLVS_STEP_pass_no_services && step < XLVS_STEP_drop_v4_mapped;
}

/* Whatever may stand between a packet and its real server. Returns an ending;
 * of tx_icmp_frag_needed with `ret_mtu`. `quoted` only of an error. */
static __always_inline int xlvs_deliver_inline(struct xdp_md* ctx,
                                               const struct xlvs_packet* pkt,
                                               const struct xlvs_packet* quoted,
                                               struct xlvs_delivery* delivery) {
  const __u32 dest_id = delivery->dest_id;
  struct xlvs_found found = {.dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id),
                             .vport = delivery->vport,
                             .life = delivery->life};
  if (!found.dest) return XLVS_STEP_drop_internal;
  const enum xlvs_method method = xlvs_method_of(found.life);
  struct xlvs_way* way = &delivery->way;
  const enum xlvs_step step =
      xlvs_decide(ctx, pkt, found.dest, method, way, &delivery->ret_mtu);
  if (step != XLVS_STEP_next && !xlvs_is_pass(step)) return step;
  if (method == XLVS_METHOD_masq) {
    const int done =
        xlvs_masq_any(ctx, pkt, quoted, found.dest,
                      xlvs_dport(found.dest, found.life, found.vport));
    if (done != XLVS_STEP_next) return done;
    /* Rewritten, the kernel can take it from here, TTL included. */
    if (step != XLVS_STEP_next) return step;
  }
  /* What is not rewritten the kernel takes for its own: here that is right. */
  if (step == XLVS_STEP_pass_local) return step;
  if (step != XLVS_STEP_next) way->nexthop.vlan = 0; /* the kernel's to write */
  int done;
  if (method == XLVS_METHOD_tunnel) {
    done = xlvs_tunnel(ctx, pkt, found.dest, &way->nexthop);
  } else {
    const struct xlvs_shape shape = xlvs_shape_of(pkt);
    struct xlvs_view view;
    if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
    done = xlvs_hop(ctx, &view, shape, &way->nexthop);
  }
  if (done != XLVS_STEP_next) return done;
  if (step != XLVS_STEP_next) {
    struct xlvs_handover handover = {.gateway = way->gateway,
                                     .ifindex = way->route_ifindex};
    if (step == XLVS_STEP_pass_too_big) {
      handover.mtu = way->nexthop.mtu;
      handover.inner_off = xlvs_overhead_bytes(method, found.dest);
    }
    return xlvs_hand_over(ctx, &handover, step);
  }
  return xlvs_sent(ctx, way->nexthop.ifindex, XLVS_TO_DEST,
                   quoted ? XLVS_KIND_error : XLVS_KIND_packet);
}

/* The same for who does it seldom. */
__noinline int xlvs_deliver_any(struct xdp_md* ctx,
                                const struct xlvs_packet* pkt,
                                const struct xlvs_packet* quoted,
                                struct xlvs_delivery* delivery) {
  return pkt && delivery ? xlvs_deliver_inline(ctx, pkt, quoted, delivery)
                         : XLVS_STEP_drop_internal;
}

/* A packet of a plain shape to be sent without tags: worth code of its own. */
static __always_inline bool xlvs_is_plain_way(struct xlvs_shape shape,
                                              const struct xlvs_nexthop* way) {
  return __builtin_constant_p(shape.l3_off) &&
         shape.l3_off == sizeof(struct ethhdr) && !way->vlan;
}

/* To the connection's real server: at once if nothing stands between. */
static __always_inline enum xlvs_step xlvs_deliver(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_found* found, __u32* ret_mtu) {
  struct xlvs_dest* dest = found->dest;
  const struct xlvs_nexthop way = dest->nexthop;
  const enum xlvs_method method = xlvs_method_of(found->life);
  const __u32 bytes = pkt->ip_bytes + xlvs_overhead_bytes(method, dest);
  if (way.ifindex && xlvs_is_fresh(&dest->nexthop, pkt->now_ticks) &&
      !(dest->flags & XLVS_DEST_local) && pkt->ttl > 1 &&
      (!way.mtu || bytes <= way.mtu) && xlvs_can_send(ctx, way.ifindex)) {
    enum xlvs_step step = XLVS_STEP_next;
    if (method == XLVS_METHOD_tunnel) {
      step = xlvs_is_plain_way(shape, &way) && !xlvs_tunnel_sums(dest)
                 ? xlvs_encapsulate(ctx, pkt, dest, &way, NULL, shape.l3,
                                    shape.l3_off)
                 : xlvs_tunnel(ctx, pkt, dest, &way);
    } else {
      struct xlvs_view view;
      const bool masq = method == XLVS_METHOD_masq;
      if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
      if (masq)
        step = xlvs_masq(ctx, &view, pkt, shape, XLVS_TO_DEST, &dest->daddr,
                         xlvs_dport(dest, found->life, found->vport));
      if (step == XLVS_STEP_next) step = xlvs_hop(ctx, &view, shape, &way);
    }
    return step == XLVS_STEP_next
               ? xlvs_sent(ctx, way.ifindex, XLVS_TO_DEST, XLVS_KIND_packet)
               : step;
  }
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return XLVS_STEP_drop_internal;
  struct xlvs_delivery* delivery = &scratch->delivery;
  delivery->life = found->life;
  delivery->dest_id = found->dest_id;
  delivery->vport = found->vport;
  const int step = xlvs_deliver_any(ctx, pkt, NULL, delivery);
  *ret_mtu = delivery->ret_mtu;
  return (enum xlvs_step)step;
}

#endif
