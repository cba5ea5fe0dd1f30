/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Client -> service: lookup, schedule, and delivery to the connection's real
 * server by the connection's method. */
#ifndef XLVS_BPF_PATH_TO_DEST_H
#define XLVS_BPF_PATH_TO_DEST_H

#include "bpf/emit/handover.h"
#include "bpf/emit/nexthop.h"
#include "bpf/emit/send.h"
#include "bpf/forward/error.h"
#include "bpf/forward/masq.h"
#include "bpf/forward/tunnel.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/fragment.h"
#include "bpf/lookup/local.h"
#include "bpf/lookup/service.h"
#include "bpf/path/size.h"
#include "bpf/schedule/schedule.h"

#define XLVS_INSERT_ATTEMPTS 4
#define XLVS_FTP_DATA_PORT 20

static __always_inline bool xlvs_begins_conn(const struct xlvs_packet* pkt) {
  switch (pkt->l4_proto) {
    case IPPROTO_TCP:
      return pkt->event == XLVS_TCP_syn;
    case XLVS_IPPROTO_SCTP:
      return pkt->event == XLVS_SCTP_init;
    default:
      return true;
  }
}

/* What the kernel would have thrown away before IPVS: a new connection is not
 * made of it. Established ones are not asked, their packets' checksums are kept
 * wrong if they are. */
__noinline int xlvs_check_first(struct xdp_md* ctx,
                                const struct xlvs_packet* pkt) {
  if (!pkt) return XLVS_STEP_drop_internal;
  const __u8* saddr = pkt->saddr.byte;
  /* One of the host's own, or soon to be: fib_validate_source. */
  if (xlvs_local_roles(&pkt->saddr) & XLVS_LOCAL_virtual)
    return XLVS_STEP_pass_martian;
  if (pkt->l3 == XLVS_V6) /* multicast, :: and ::1 (ip6_rcv_core) */
    return saddr[0] == 0xff || xlvs_addr_is_local_v6(&pkt->saddr)
               ? XLVS_STEP_pass_martian
               : XLVS_STEP_next;
  /* 0/8, 127/8, multicast, 240/4 (ip_route_input_slow). */
  if (saddr[12] == 0 || saddr[12] == 127 || saddr[12] >= 224)
    return XLVS_STEP_pass_martian;
  const __u32 header_bytes = pkt->l4_off - pkt->l3_off;
  __s64 sum;
  if (header_bytes == sizeof(struct iphdr)) {
    const struct iphdr* ip = xlvs_at(ctx, pkt->l3_off, sizeof(*ip));
    sum = ip ? (__s64)xlvs_sum_v4_header(ip) : -1;
  } else {
    sum = xlvs_sum(ctx, pkt->l3_off, header_bytes);
  }
  return sum < 0 || xlvs_csum_fold(sum) ? XLVS_STEP_drop_ip_checksum
                                        : XLVS_STEP_next;
}

static __always_inline struct xlvs_conn* xlvs_conn_at(struct xlvs_place place,
                                                      __u32 slot) {
  const __u32 index = place.bucket;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  return bucket ? &bucket->conn[slot % XLVS_CONNS_PER_BUCKET] : NULL;
}

/* After a lost race: whether another CPU made the connection; then `insert`
 * tells what it made. */
__noinline int xlvs_find_made(const struct xlvs_packet* pkt,
                              struct xlvs_insert* insert) {
  struct xlvs_found found;
  if (!pkt || !insert ||
      !xlvs_conn_find(pkt, XLVS_TO_DEST, &insert->place, &insert->inserts,
                      &found))
    return 0;
  insert->dest = found.dest_id;
  insert->life = found.life;
  return 1;
}

/* The first packet of a connection: a service, a dest, a new record. A
 * connection that it takes the place of is still counted by the scheduler, as
 * in IPVS. On next, `first->insert` tells what was made, here or, just now, by
 * another CPU. */
__noinline int xlvs_new_conn(struct xdp_md* ctx, const struct xlvs_packet* pkt,
                             struct xlvs_first* first) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!pkt || !first || !control) return XLVS_STEP_drop_internal;
  if (pkt->fragment == XLVS_FRAGMENT_later) return XLVS_STEP_pass_fragment;
  /* Never begun with anything but a SYN or INIT (ip_vs_proto_tcp.c). */
  if (!xlvs_begins_conn(pkt)) return XLVS_STEP_pass_no_conn;
  const struct xlvs_service* service = xlvs_service_find(pkt);
  if (!service) return XLVS_STEP_pass_no_service;
  if (pkt->sport == XLVS_FTP_DATA_PORT) return XLVS_STEP_pass_source_port_20;
  const int check = xlvs_check_first(ctx, pkt);
  if (check != XLVS_STEP_next) return check;

  struct xlvs_insert* insert = &first->insert;
  const __u16 nexthop = xlvs_nexthop_learn(ctx, pkt->l3_off);
  const __u32 dest = xlvs_schedule(service->id);
  if (first->is_reused) {
    struct xlvs_conn* conn = xlvs_conn_at(insert->place, first->reused_slot);
    if (conn)
      xlvs_conn_end(insert->place, conn, first->reused_slot,
                    first->reused_life);
  }
  if (!dest) return XLVS_STEP_tx_icmp_port_unreach;
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  if (!record) return XLVS_STEP_drop_internal;

  const enum xlvs_method method = record->method;
  const __u8 state = xlvs_state_after(
      pkt, method == XLVS_METHOD_masq ? XLVS_TO_DEST : XLVS_TO_DEST_ONLY,
      pkt->l4_proto == XLVS_IPPROTO_SCTP ? XLVS_CONN_sctp_none
                                         : XLVS_CONN_tcp_none);
  insert->dest = dest;
  insert->life.life = (struct xlvs_conn_life){
      .expires_ticks = pkt->now_ticks +
                       control->timeout_ticks[state % XLVS_CONN_STATE_SLOTS],
      .state = state,
      .flags = (xlvs_state_is_active(state) ? 0 : XLVS_CONN_inactive) |
               method << XLVS_CONN_METHOD_SHIFT,
      .nexthop = nexthop,
  };
  for (int attempt = 0; attempt < XLVS_INSERT_ATTEMPTS; attempt++) {
    const int result = xlvs_conn_insert(pkt, insert);
    if (result == XLVS_INSERT_full) return XLVS_STEP_drop_table_full;
    if (result == XLVS_INSERT_done) {
      xlvs_count_conn_made(dest, insert->life.life.flags);
      if (method == XLVS_METHOD_masq) xlvs_conn_shadow_older(pkt, insert);
      return XLVS_STEP_next;
    }
    if (xlvs_find_made(pkt, insert)) return XLVS_STEP_next;
  }
  return XLVS_STEP_drop_table_busy;
}

/* Whether a SYN or INIT starts anew although the old connection's record is
 * still there (IPVS's conn_reuse_mode 1). */
static __always_inline bool xlvs_is_reused(const struct xlvs_packet* pkt,
                                           const struct xlvs_found* found) {
  const __u8 state = found->life.life.state;
  if (pkt->l4_proto == IPPROTO_TCP)
    return pkt->event == XLVS_TCP_syn &&
           (state == XLVS_CONN_tcp_time_wait || state == XLVS_CONN_tcp_close);
  return pkt->l4_proto == XLVS_IPPROTO_SCTP && pkt->event == XLVS_SCTP_init &&
         state == XLVS_CONN_sctp_closed;
}

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
  return method == XLVS_METHOD_tunnel ? xlvs_tunnel_bytes(dest) : 0;
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
         (method == XLVS_METHOD_route ||
          dest->tunnel_type == XLVS_TUNNEL_ipip || !xlvs_tunnel_sums(dest));
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

static __always_inline bool xlvs_is_pass(enum xlvs_step step) {
  return step >= XLVS_STEP_pass_no_services && step < XLVS_STEP_drop_v4_mapped;
}

/* Whatever may stand between a packet and its real server. Returns an ending;
 * of tx_icmp_frag_needed with `ret_mtu`. `quoted` only of an error. */
__noinline int xlvs_deliver_any(struct xdp_md* ctx,
                                const struct xlvs_packet* pkt,
                                const struct xlvs_packet* quoted,
                                struct xlvs_delivery* delivery) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!pkt || !delivery || !scratch) return XLVS_STEP_drop_internal;
  const __u32 dest_id = delivery->dest_id;
  struct xlvs_found found = {.dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id),
                             .vport = delivery->vport,
                             .life = delivery->life};
  if (!found.dest) return XLVS_STEP_drop_internal;
  const enum xlvs_method method = xlvs_method_of(found.life);
  struct xlvs_way* way = &scratch->way;
  const enum xlvs_step step =
      xlvs_decide(ctx, pkt, found.dest, method, way, &delivery->ret_mtu);
  if (step != XLVS_STEP_next && !xlvs_is_pass(step)) return step;
  if (method == XLVS_METHOD_masq) {
    const int done = xlvs_masq_any(ctx, pkt, quoted, found.dest,
                                   xlvs_dport(found.dest, found.vport));
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
      step = (enum xlvs_step)xlvs_tunnel(ctx, pkt, dest, &way);
    } else {
      struct xlvs_view view;
      const bool masq = method == XLVS_METHOD_masq;
      if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
      if (masq)
        step = xlvs_masq(ctx, &view, pkt, shape, XLVS_TO_DEST, &dest->daddr,
                         xlvs_dport(dest, found->vport));
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

/* Begins a connection; `found` as it was if it is `reused`. */
static __always_inline enum xlvs_step xlvs_begin(struct xdp_md* ctx,
                                                 const struct xlvs_packet* pkt,
                                                 struct xlvs_place place,
                                                 __u32 inserts, bool reused,
                                                 struct xlvs_found* found) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return XLVS_STEP_drop_internal;
  struct xlvs_first* first = &scratch->first;
  first->insert.place = place;
  first->insert.inserts = inserts;
  first->reused_life = found->life;
  first->reused_slot = found->slot;
  first->is_reused = reused;
  const enum xlvs_step step = (enum xlvs_step)xlvs_new_conn(ctx, pkt, first);

  if (step != XLVS_STEP_next) return step;
  const __u32 dest_id = first->insert.dest;
  found->dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
  if (!found->dest) return XLVS_STEP_drop_internal;
  found->dest_id = dest_id;
  found->vport = pkt->dport;
  found->life = first->insert.life;
  return XLVS_STEP_next;
}

/* To the connection's dest, or to one chosen now. */
static __always_inline enum xlvs_step xlvs_to_dest(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control, __u32* ret_mtu) {
  struct xlvs_place place;
  struct xlvs_found found = {};
  __u32 inserts = 0;
  const bool known =
      xlvs_conn_find(pkt, XLVS_TO_DEST, &place, &inserts, &found);
  const bool reused = known && xlvs_is_reused(pkt, &found);
  if (known && !reused) {
    if (found.dest->state != XLVS_DEST_available)
      return XLVS_STEP_drop_dest_removed;
    if (shape.fragment != XLVS_FRAGMENT_later)
      xlvs_conn_advance(pkt,
                        xlvs_method_of(found.life) == XLVS_METHOD_masq
                            ? XLVS_TO_DEST
                            : XLVS_TO_DEST_ONLY,
                        place, &found, control);
  } else {
    const enum xlvs_step step =
        xlvs_begin(ctx, pkt, place, inserts, reused, &found);
    if (step != XLVS_STEP_next) return step;
  }
  if (shape.fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  xlvs_count_in(found.dest_id, pkt->ip_bytes);
  return xlvs_deliver(ctx, pkt, shape, &found, ret_mtu);
}

#endif
