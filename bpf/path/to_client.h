/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Real server -> client: a reply on a Masq connection goes out as the
 * service's. IP must not see it rewritten: it would carry one of the host's own
 * addresses as source, and be thrown away. */
#ifndef XLVS_BPF_PATH_TO_CLIENT_H
#define XLVS_BPF_PATH_TO_CLIENT_H

#include "bpf/emit/handover.h"
#include "bpf/emit/nexthop.h"
#include "bpf/emit/send.h"
#include "bpf/forward/masq.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/fragment.h"

/* The way to the client, as far as the packet may take it. */
static __always_inline enum xlvs_step xlvs_find_way_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_found* found,
    const struct xlvs_addr* vaddr, struct xlvs_nexthop* ret) {
  if (pkt->ttl <= 1) return XLVS_STEP_pass_reply_ttl;
  const enum xlvs_step step = xlvs_way_to_client(ctx, pkt, found, vaddr, ret);
  if (step != XLVS_STEP_next) return step;
  if (ret->mtu && pkt->ip_bytes > ret->mtu) return XLVS_STEP_pass_too_big;
  return xlvs_can_send(ctx, ret->ifindex) ? XLVS_STEP_next
                                          : XLVS_STEP_pass_reply_route;
}

/* Has the kernel do for a reply what XDP cannot (`step` says what): send it to
 * a neighbour or by a device that only the kernel can, or, if it may be cut, in
 * pieces of at most `mtu`. What the kernel has to answer (DF, no route) it gets
 * as it came: the answer is for the real server. */
__noinline int xlvs_reply_by_kernel(struct xdp_md* ctx,
                                    const struct xlvs_packet* pkt,
                                    const struct xlvs_addr* vaddr, __u32 vport,
                                    __u32 step) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!pkt || !vaddr || !scratch || !control) return XLVS_STEP_drop_internal;
  const bool cut = step == XLVS_STEP_pass_too_big;
  if (XLVS_READ_ONCE(control->handover) <
      (cut ? XLVS_HANDOVER_cut : XLVS_HANDOVER_send))
    return step;
  if (cut &&
      (pkt->dont_fragment || pkt->l4_off - pkt->l3_off != sizeof(struct iphdr)))
    return step;
  struct xlvs_fib_query* query = &scratch->query;
  __builtin_memset(query, 0, sizeof(*query));
  query->saddr = *vaddr;
  query->daddr = pkt->daddr;
  query->l4_proto = pkt->l4_proto;
  const int result = xlvs_fib(ctx, query);
  if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
    return step;
  const struct xlvs_shape shape = xlvs_shape_of(pkt);
  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
  enum xlvs_step done =
      xlvs_masq(ctx, &view, pkt, shape, XLVS_TO_CLIENT, vaddr, vport);
  if (done != XLVS_STEP_next) return done;
  const struct xlvs_nexthop blank = {}; /* the kernel's to write */
  done = xlvs_hop(ctx, &view, shape, &blank);
  if (done != XLVS_STEP_next) return done;
  const struct xlvs_handover handover = {.gateway = query->ret_gateway,
                                         .ifindex = query->ret_route_ifindex,
                                         .mtu = cut ? scratch->reply_mtu : 0};
  return xlvs_hand_over(ctx, &handover, (enum xlvs_step)step);
}

/* The first reply of UDP that a template's connection gets. */
static __always_inline bool xlvs_has_news_for_template(
    const struct xlvs_packet* pkt, const struct xlvs_found* found) {
  return (found->life.life.flags &
          (XLVS_CONN_controlled | XLVS_CONN_assured)) == XLVS_CONN_controlled &&
         pkt->l4_proto == IPPROTO_UDP;
}

/* nat_icmp_send: a real server's packet of no connection is answered, if there
 * is a service that it could be of and it is no end itself (ip_vs_core.c,
 * ip_vs_out_hook). IPVS sees it on its way out, one hop later, and one without
 * hops not at all. Returns an ending. */
__noinline int xlvs_refuse_reply(struct xdp_md* ctx,
                                 const struct xlvs_packet* pkt) {
  if (!pkt) return XLVS_STEP_drop_internal;
  const bool ends = pkt->l4_proto == IPPROTO_TCP ? pkt->event == XLVS_TCP_rst
                    : pkt->l4_proto == XLVS_IPPROTO_SCTP
                        ? pkt->event == XLVS_SCTP_abort
                        : false;
  if (ends || pkt->ttl <= 1 || pkt->fragment == XLVS_FRAGMENT_later ||
      (!xlvs_local_is_masq(&pkt->saddr, pkt->sport, pkt->l4_proto) &&
       !xlvs_local_is_masq(&pkt->saddr, pkt->sport, 0)))
    return XLVS_STEP_pass_reply_no_conn;
  if (!xlvs_count_hop(ctx, xlvs_shape_of(pkt))) return XLVS_STEP_drop_internal;
  return xlvs_icmp_error(ctx, pkt, XLVS_STEP_tx_icmp_port_unreach, 0);
}

static __always_inline enum xlvs_step xlvs_to_client(
    struct xdp_md* ctx, struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control) {
  struct xlvs_place place;
  struct xlvs_found found = {};
  struct xlvs_miss miss = {};
  if (!xlvs_conn_find_shape(pkt, shape, XLVS_TO_CLIENT, &place, &miss, &found))
    return XLVS_STEP_pass_reply_no_conn;
  if (shape.fragment != XLVS_FRAGMENT_later)
    xlvs_conn_advance(pkt, XLVS_TO_CLIENT, place, &found, control);
  if (shape.fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  if (found.dest->state == XLVS_DEST_available)
    xlvs_count_out(found.dest_id, pkt->ip_bytes);
  if (xlvs_has_news_for_template(pkt, &found))
    xlvs_conn_answered(found.conn, found.life.word);

  const struct xlvs_addr* vaddr = xlvs_vaddr_of(&found);
  if (!vaddr) return XLVS_STEP_drop_internal;
  struct xlvs_nexthop way;
  enum xlvs_step step = xlvs_find_way_to_client(ctx, pkt, &found, vaddr, &way);
  if (step == XLVS_STEP_pass_too_big || step == XLVS_STEP_pass_reply_route) {
    struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
    if (!scratch) return XLVS_STEP_drop_internal;
    if (step == XLVS_STEP_pass_too_big) scratch->reply_mtu = way.mtu;
    return (enum xlvs_step)xlvs_reply_by_kernel(ctx, pkt, vaddr, found.vport,
                                                step);
  }
  if (step != XLVS_STEP_next) return step;
  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
  step = xlvs_masq(ctx, &view, pkt, shape, XLVS_TO_CLIENT, vaddr, found.vport);
  if (step != XLVS_STEP_next) return step;
  step = xlvs_hop(ctx, &view, shape, &way);
  return step == XLVS_STEP_next
             ? xlvs_sent(ctx, way.ifindex, XLVS_TO_CLIENT, XLVS_KIND_packet)
             : step;
}

#endif
