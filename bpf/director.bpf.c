/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The director: what happens to a packet, stage by stage.
 *
 *   parse -> lookup -> schedule -> forward -> emit
 *
 * This file is the order of the stages; what each does is in its folder, and
 * the ways a packet can end are in maps/step.h. */
#include "bpf/emit/icmp_error.h"
#include "bpf/emit/nexthop.h"
#include "bpf/emit/send.h"
#include "bpf/expire/timer.h"
#include "bpf/forward/masq.h"
#include "bpf/lib/finish.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/local.h"
#include "bpf/lookup/service.h"
#include "bpf/parse/headers.h"
#include "bpf/schedule/schedule.h"

#define XLVS_INSERT_ATTEMPTS 4
#define XLVS_FTP_DATA_PORT 20

/* The first packet of a connection: a service, a dest, a new record. `reused`:
 * `found` is the connection that it takes the place of; a scheduler still
 * counts it, as in IPVS. On next, `found` is the connection, made here or, just
 * now, by another CPU. */
static __always_inline enum xlvs_step xlvs_new_conn(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
    const struct xlvs_control* control, struct xlvs_place* place, __u32 inserts,
    bool reused, struct xlvs_found* found) {
  /* Never begun with anything but a SYN (ip_vs_proto_tcp.c). */
  if (pkt->l4_proto == IPPROTO_TCP && pkt->tcp_event != XLVS_TCP_syn)
    return XLVS_STEP_pass_no_conn;
  const struct xlvs_service* service = xlvs_service_find(pkt);
  if (!service) return XLVS_STEP_pass_no_service;
  if (pkt->sport == XLVS_FTP_DATA_PORT) return XLVS_STEP_pass_source_port_20;

  struct xlvs_headers headers;
  if (!xlvs_headers(ctx, pkt->l4_proto, &headers))
    return XLVS_STEP_drop_internal;
  const __u16 nexthop = xlvs_nexthop_learn(ctx, headers.eth);
  const __u32 dest = xlvs_schedule(service->id);
  if (reused) xlvs_conn_end(*place, found);
  if (!dest) return XLVS_STEP_tx_icmp_port_unreach;

  const __u8 state = xlvs_state_after(pkt, XLVS_TO_DEST, XLVS_CONN_tcp_none);
  struct xlvs_insert insert = {
      .place = *place,
      .inserts = inserts,
      .dest = dest,
      .life.life = {
          .expires_ticks =
              pkt->now_ticks +
              control->timeout_ticks[state % XLVS_CONN_STATE_SLOTS],
          .state = state,
          .flags = xlvs_state_is_active(state) ? 0 : XLVS_CONN_inactive,
          .nexthop = nexthop,
      }};
  for (int attempt = 0; attempt < XLVS_INSERT_ATTEMPTS; attempt++) {
    const int result = xlvs_conn_insert(pkt, &insert);
    if (result == XLVS_INSERT_full) return XLVS_STEP_drop_table_full;
    if (result == XLVS_INSERT_done) {
      xlvs_count_conn_made(dest, insert.life.life.flags);
      xlvs_conn_shadow_older(pkt, &insert);
      const __u32 index = insert.place.bucket;
      struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
      found->dest = bpf_map_lookup_elem(&xlvs_dests, &dest);
      if (!bucket || !found->dest) return XLVS_STEP_drop_internal;
      found->conn = &bucket->conn[insert.ret_slot % XLVS_CONNS_PER_BUCKET];
      found->dest_id = dest;
      found->slot = insert.ret_slot;
      found->vport = pkt->dport;
      found->life = insert.life;
      return XLVS_STEP_next;
    }
    if (xlvs_conn_find(pkt, XLVS_TO_DEST, place, &insert.inserts, found))
      return XLVS_STEP_next;
  }
  return XLVS_STEP_drop_table_busy;
}

/* Whether a SYN starts anew although the old connection's record is still
 * there (IPVS's conn_reuse_mode 1). */
static __always_inline bool xlvs_is_reused(const struct xlvs_packet* pkt,
                                           const struct xlvs_found* found) {
  return pkt->l4_proto == IPPROTO_TCP && pkt->tcp_event == XLVS_TCP_syn &&
         (found->life.life.state == XLVS_CONN_tcp_time_wait ||
          found->life.life.state == XLVS_CONN_tcp_close);
}

/* Client -> service: to the connection's dest, or to one chosen now. */
static __always_inline enum xlvs_step xlvs_to_dest(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
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
    xlvs_conn_advance(pkt, XLVS_TO_DEST, place, &found, control);
  } else {
    const enum xlvs_step step =
        xlvs_new_conn(ctx, pkt, control, &place, inserts, reused, &found);
    if (step != XLVS_STEP_next) return step;
  }
  xlvs_count_in(found.dest_id, pkt->ip_bytes);

  if (pkt->ttl <= 1) return XLVS_STEP_tx_icmp_ttl_exceeded;
  struct xlvs_nexthop way;
  enum xlvs_step step = xlvs_way_to_dest(ctx, pkt, found.dest, &way);
  if (step == XLVS_STEP_tx_icmp_host_unreach) return step;
  /* With the MTU known, the kernel need not find out after the rewrite. */
  if (step == XLVS_STEP_next || step == XLVS_STEP_pass_neighbour_check) {
    if (way.mtu && pkt->ip_bytes > way.mtu) {
      *ret_mtu = way.mtu;
      if (pkt->dont_fragment) return XLVS_STEP_tx_icmp_frag_needed;
      step = XLVS_STEP_pass_too_big;
    }
  }
  if (step == XLVS_STEP_next && !xlvs_can_send(ctx, way.ifindex))
    step = XLVS_STEP_pass_route;

  struct xlvs_headers headers;
  if (!xlvs_headers(ctx, pkt->l4_proto, &headers))
    return XLVS_STEP_drop_internal;
  xlvs_masq(&headers, pkt->l4_proto, XLVS_TO_DEST, &found.dest->daddr,
            xlvs_dport(found.dest, found.vport));
  /* Rewritten, the kernel can take it from here, TTL included. */
  if (step != XLVS_STEP_next) return step;
  xlvs_decrement_ttl(headers.ip);
  xlvs_set_macs(headers.eth, &way);
  return way.ifindex == ctx->ingress_ifindex
             ? XLVS_STEP_tx_client_to_dest
             : XLVS_STEP_redirect_client_to_dest;
}

/* Real server -> client: a reply on a connection goes out as the service's. A
 * reply that the kernel should handle is passed as it came: rewritten, it
 * would carry one of the host's own addresses as source, and be thrown away. */
static __always_inline enum xlvs_step xlvs_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
    const struct xlvs_control* control) {
  struct xlvs_place place;
  struct xlvs_found found = {};
  __u32 inserts = 0;
  if (!xlvs_conn_find(pkt, XLVS_TO_CLIENT, &place, &inserts, &found))
    return XLVS_STEP_pass_reply_no_conn;
  xlvs_conn_advance(pkt, XLVS_TO_CLIENT, place, &found, control);
  if (found.dest->state == XLVS_DEST_available)
    xlvs_count_out(found.dest_id, pkt->ip_bytes);

  if (pkt->ttl <= 1) return XLVS_STEP_pass_reply_ttl;
  struct xlvs_nexthop way;
  const enum xlvs_step step = xlvs_way_to_client(ctx, pkt, &found, &way);
  if (step != XLVS_STEP_next) return step;
  if (way.mtu && pkt->ip_bytes > way.mtu) return XLVS_STEP_pass_too_big;
  if (!xlvs_can_send(ctx, way.ifindex)) return XLVS_STEP_pass_reply_route;

  struct xlvs_headers headers;
  if (!xlvs_headers(ctx, pkt->l4_proto, &headers))
    return XLVS_STEP_drop_internal;
  xlvs_masq(&headers, pkt->l4_proto, XLVS_TO_CLIENT, &found.dest->vaddr,
            found.vport);
  xlvs_decrement_ttl(headers.ip);
  xlvs_set_macs(headers.eth, &way);
  return way.ifindex == ctx->ingress_ifindex
             ? XLVS_STEP_tx_dest_to_client
             : XLVS_STEP_redirect_dest_to_client;
}

static __always_inline enum xlvs_step xlvs_handle(struct xdp_md* ctx) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!control || !clock) return XLVS_STEP_drop_internal;
  if (!control->services) return XLVS_STEP_pass_no_services;

  struct xlvs_packet pkt = {.now_ticks = XLVS_READ_ONCE(clock->now_ticks)};
  enum xlvs_step step = xlvs_parse(xlvs_cursor(ctx), &pkt);
  if (step != XLVS_STEP_next) return step;

  /* Which side it comes from decides what the table is asked for: one probe. */
  if (xlvs_local_roles(&pkt.daddr) & XLVS_LOCAL_virtual) {
    __u32 mtu = 0;
    step = xlvs_to_dest(ctx, &pkt, control, &mtu);
    if (step >= XLVS_STEP_tx_icmp_port_unreach &&
        step <= XLVS_STEP_tx_icmp_frag_needed)
      return xlvs_icmp_error(ctx, &pkt, step, mtu);
    return step;
  }
  if (xlvs_local_roles(&pkt.saddr) & XLVS_LOCAL_dest)
    return xlvs_to_client(ctx, &pkt, control);
  return XLVS_STEP_pass_not_ours;
}

SEC("xdp")
int xlvs_director(struct xdp_md* ctx) {
  xlvs_count_rx();
  return xlvs_finish(xlvs_handle(ctx));
}

char xlvs_license[] SEC("license") = "Dual BSD/GPL";
