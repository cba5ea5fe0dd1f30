/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The first packet of a connection: lookup of the service, schedule, and a new
 * record. */
#ifndef XLVS_BPF_PATH_BEGIN_H
#define XLVS_BPF_PATH_BEGIN_H

#include "bpf/emit/icmp_error.h"
#include "bpf/emit/nexthop.h"
#include "bpf/lib/sum.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/fragment.h"
#include "bpf/lookup/local.h"
#include "bpf/lookup/service.h"
#include "bpf/path/choose.h"
#include "bpf/path/deliver.h"

/* What may begin a connection: TCP a SYN, SCTP an INIT as first chunk, unless
 * the settings are sloppy (ip_vs_proto_tcp.c, ip_vs_proto_sctp.c). */
static __always_inline bool xlvs_begins_conn(
    const struct xlvs_packet* pkt, const struct xlvs_control* control) {
  if (pkt->from_error) return true;
  switch (pkt->l4_proto) {
    case IPPROTO_TCP:
      return pkt->event == XLVS_TCP_syn ||
             (pkt->event != XLVS_TCP_rst &&
              XLVS_READ_ONCE(control->set.sloppy_tcp));
    case XLVS_IPPROTO_SCTP:
      return pkt->event == XLVS_SCTP_init ||
             (pkt->event != XLVS_SCTP_abort &&
              XLVS_READ_ONCE(control->set.sloppy_sctp));
    default:
      return true;
  }
}

/* What the kernel would have thrown away before IPVS: a new connection is not
 * made of it. Established ones are not asked, their packets' checksums are kept
 * wrong if they are. */
static __always_inline enum xlvs_step xlvs_check_first(
    struct xdp_md* ctx, const struct xlvs_packet* pkt) {
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

/* After a lost race: whether another CPU made the connection; then `insert`
 * tells what it made. */
__noinline int xlvs_find_made(struct xlvs_packet* pkt,
                              struct xlvs_insert* insert) {
  struct xlvs_found found;
  if (!pkt || !insert ||
      !xlvs_conn_find(pkt, XLVS_TO_DEST, &insert->place, &insert->miss, &found))
    return 0;
  insert->ports.ports.dest = found.dest_id;
  insert->life = found.life;
  return 1;
}

/* Defence: of so many first packets one is dropped (ip_vs_todrop). */
static __always_inline bool xlvs_drops_first(void) {
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  struct xlvs_flood* flood = XLVS_ONLY(xlvs_flood);
  const __u32 rate = clock ? XLVS_READ_ONCE(clock->drop_rate) : 0;
  return rate && flood &&
         __sync_fetch_and_add(&flood->first_packets, 1) % rate == 0;
}

/* Whether a new embryonic connection has to take the place of another. */
static __always_inline enum xlvs_room_for xlvs_room_for_new(
    __u8 state, const struct xlvs_pool* pool,
    const struct xlvs_control* control) {
  const struct xlvs_flood* flood = XLVS_ONLY(xlvs_flood);
  if (!flood || !xlvs_state_is_embryonic(state)) return XLVS_ROOM_FOR_any;
  if (XLVS_READ_ONCE(pool->embryonic) >=
      (__s32)XLVS_READ_ONCE(control->set.service_embryonic_max))
    return XLVS_ROOM_FOR_service_embryonic;
  return XLVS_READ_ONCE(flood->embryonic) >=
                 (__s32)XLVS_READ_ONCE(control->set.embryonic_max)
             ? XLVS_ROOM_FOR_embryonic
             : XLVS_ROOM_FOR_any;
}

/* The record that the packet's lookup found goes, to make place for a new one.
 * It is still counted. */
static __always_inline void xlvs_erase_reused(struct xlvs_first* first) {
  const __u32 index = first->insert.place.bucket;
  const __u32 slot = first->reused_slot % XLVS_CONNS_PER_BUCKET;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  if (!bucket) return;
  struct xlvs_conn* conn = &bucket->conn[slot];
  first->reused_dest = conn->ports.dest;
  first->reused_caddr = conn->caddr;
  if (!xlvs_record_erase(index, conn, slot, first->reused_life))
    first->reuse = XLVS_REUSE_none; /* another CPU did it, or it goes on */
}

static __always_inline void xlvs_uncount_reused(struct xlvs_first* first) {
  xlvs_record_gone(first->reused_dest, first->reused_life, &first->reused_caddr,
                   /*forced=*/true);
  first->reuse = XLVS_REUSE_none;
}

/* Puts the connection into the table. What was taken for it is given back if
 * there is no room, or if another CPU made it meanwhile. */
static __always_inline enum xlvs_step xlvs_insert_conn(
    struct xlvs_packet* pkt, struct xlvs_insert* insert) {
  const union xlvs_life life = insert->life;
  const __u32 dest = insert->ports.ports.dest;
  enum xlvs_step step = XLVS_STEP_drop_table_busy;
  bool made = false;
  XLVS_NO_UNROLL
  for (int attempt = 0; attempt < XLVS_INSERT_ATTEMPTS; attempt++) {
    const int result = xlvs_conn_insert(insert);
    made = result == XLVS_INSERT_done;
    if (result == XLVS_INSERT_full)
      step = insert->room == XLVS_ROOM_FOR_any ? XLVS_STEP_drop_table_full
                                               : XLVS_STEP_drop_embryonic;
    if (result != XLVS_INSERT_lost) break;
    if (xlvs_find_made(pkt, insert)) {
      step = XLVS_STEP_next;
      break;
    }
  }
  if (made) {
    const __u32 dest_id = dest & XLVS_CONN_DEST_MASK;
    if ((life.life.flags & XLVS_CONN_controlled) &&
        xlvs_state_assures(life.life.state)) /* sloppy_tcp, sloppy_sctp */
      xlvs_template_assure(dest_id, &insert->caddr);
    if (xlvs_method_of(life) == XLVS_METHOD_masq && insert->miss.has_kin)
      xlvs_conn_shadow_older(pkt, insert);
    return XLVS_STEP_next;
  }
  xlvs_give_back(dest, life.word, &pkt->saddr, /*forced=*/1);
  return step;
}

/* As long as a connection waits for a packet of its own (ip_vs_conn_new). */
#define XLVS_CONN_UNBEGUN_TICKS (3 * XLVS_TICKS_PER_SECOND)

/* Whether packets to a dest keep their port: where it has none, and, but for
 * services by mark that are not persistent, where theirs is not the service's
 * (ip_vs_core.c, ip_vs_sched_persist, ip_vs_schedule). */
static __always_inline bool xlvs_keeps_port(const struct xlvs_dest* dest,
                                            __u16 vport, bool persistent) {
  if (!dest->dport) return true;
  return vport != dest->vport && (persistent || !dest->fwmark);
}

/* What the connection of `pkt` to `dest` is like. */
static __always_inline void xlvs_describe_conn(
    const struct xlvs_packet* pkt, const struct xlvs_control* control,
    enum xlvs_method method, bool is_controlled, __u16 nexthop,
    struct xlvs_insert* insert) {
  const __u8 none = pkt->l4_proto == XLVS_IPPROTO_SCTP ? XLVS_CONN_sctp_none
                                                       : XLVS_CONN_tcp_none;
  /* An error moves no connection on. */
  const __u8 state =
      pkt->from_error && pkt->l4_proto != IPPROTO_UDP
          ? none
          : xlvs_state_after(
                pkt,
                method == XLVS_METHOD_masq ? XLVS_TO_DEST : XLVS_TO_DEST_ONLY,
                none);
  insert->caddr = pkt->saddr;
  insert->now_ticks = pkt->now_ticks;
  insert->ports.ports.cport = pkt->sport;
  insert->ports.ports.vport = pkt->dport;
  insert->life.life = (struct xlvs_conn_life){
      .expires_ticks =
          pkt->now_ticks +
          (pkt->from_error
               ? XLVS_CONN_UNBEGUN_TICKS
               : control->timeout_ticks[state % XLVS_CONN_STATE_SLOTS]),
      .state = state,
      .flags = (xlvs_state_is_active(state) ? 0 : XLVS_CONN_inactive) |
               (is_controlled ? XLVS_CONN_controlled : 0) |
               method << XLVS_CONN_METHOD_SHIFT,
      .nexthop = nexthop,
  };
}

/* The first packet of a connection: a service, a dest, a new record. A
 * connection whose client begins anew with it is counted until the new one is,
 * as in IPVS. On next, `first->insert` tells what was made, here or, just now,
 * by another CPU. */
static __always_inline enum xlvs_step xlvs_new_conn(struct xdp_md* ctx,
                                                    struct xlvs_packet* pkt,
                                                    struct xlvs_first* first) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!control) return XLVS_STEP_drop_internal;
  if (first->reuse != XLVS_REUSE_none) xlvs_erase_reused(first);
  if (first->reuse == XLVS_REUSE_nodest) xlvs_uncount_reused(first);
  if (pkt->fragment == XLVS_FRAGMENT_later) return XLVS_STEP_pass_fragment;
  if (!xlvs_begins_conn(pkt, control)) return XLVS_STEP_pass_no_conn;
  const __u32 service = xlvs_service_find(pkt, control);
  if (!service) return XLVS_STEP_pass_no_service;
  const bool by_mark = service & XLVS_SERVICE_BY_MARK;
  const __u32 service_id = service & ~XLVS_SERVICE_BY_MARK;
  const struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service_id);
  if (!pool) return XLVS_STEP_drop_internal;
  if (pkt->sport == XLVS_FTP_DATA_PORT) return XLVS_STEP_pass_source_port_20;
  const enum xlvs_step check = xlvs_check_first(ctx, pkt);
  if (check != XLVS_STEP_next) return check;
  if (xlvs_drops_first()) return XLVS_STEP_drop_defence;

  struct xlvs_insert* insert = &first->insert;
  const __u32 flags = XLVS_READ_ONCE(pool->flags);
  const bool one_packet =
      pkt->l4_proto == IPPROTO_UDP && (flags & XLVS_SERVICE_one_packet);
  const bool persistent = flags & XLVS_SERVICE_persistent;
  /* FTP's data, which only a template can bring to the right server. */
  if (!persistent && !by_mark && pool->vport && pool->vport != pkt->dport)
    return XLVS_STEP_pass_no_service;
  const __u16 nexthop =
      one_packet ? 0 : xlvs_nexthop_learn(ctx, pkt->l3_off, &first->came_by);
  const int chosen = persistent ? xlvs_choose_by_template(pkt, service_id,
                                                          /*holds=*/!one_packet)
                                : xlvs_schedule(pkt, service_id);
  if (chosen < 0) return XLVS_STEP_drop_table_full;
  if (!chosen)
    return by_mark && control->set.cache_bypass
               ? XLVS_STEP_pass_cache_bypass
               : XLVS_STEP_tx_icmp_port_unreach;
  const __u32 dest = chosen;
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  if (!record) return XLVS_STEP_drop_internal;

  xlvs_describe_conn(pkt, control, record->method, persistent && !one_packet,
                     nexthop, insert);
  insert->ports.ports.dest = dest;
  if (xlvs_keeps_port(record, pkt->dport, persistent))
    insert->life.life.flags |= XLVS_CONN_keeps_port;
  if (one_packet) { /* scheduled for itself: there is no record (-o) */
    xlvs_count_one_packet(dest);
    return XLVS_STEP_next;
  }
  insert->service = service_id;
  insert->room = xlvs_room_for_new(insert->life.life.state, pool, control);
  if (by_mark) {
    const __u32 vaddr = xlvs_vaddr_acquire(&pkt->daddr);
    insert->ports.ports.dest |= vaddr << XLVS_CONN_DEST_BITS;
    if (!vaddr) {
      xlvs_give_back(dest, insert->life.word, &pkt->saddr, /*forced=*/1);
      return XLVS_STEP_drop_vaddrs_full;
    }
  }
  return xlvs_insert_conn(pkt, insert);
}

/* To the dest of the connection that was made. */
static __always_inline enum xlvs_step xlvs_deliver_first(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
    const struct xlvs_packet* request, struct xlvs_scratch* scratch) {
  const struct xlvs_insert* made = &scratch->first.insert;
  const bool from_error = request->from_error;
  if (pkt->fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  struct xlvs_delivery* delivery = &scratch->delivery;
  delivery->life = made->life;
  delivery->dest_id = xlvs_dest_id(made->ports);
  delivery->vport = request->dport;
  delivery->ret_mtu = 0;
  xlvs_count_in(delivery->dest_id, pkt->ip_bytes);
  return (enum xlvs_step)xlvs_deliver_inline(
      ctx, pkt, from_error ? &scratch->quoted : NULL, delivery);
}

/* The program for first packets: makes the connection that xlvs_begin asked for
 * and delivers the packet. It has a stack of its own. */
static __always_inline enum xlvs_step xlvs_first_path(
    struct xdp_md* ctx, struct xlvs_scratch* scratch) {
  const struct xlvs_packet* pkt = &scratch->packet;
  const bool from_error = scratch->first.is_from_error;
  struct xlvs_packet* request = from_error ? &scratch->probe : &scratch->packet;
  enum xlvs_step step = xlvs_new_conn(ctx, request, &scratch->first);
  if (scratch->first.reuse == XLVS_REUSE_anew)
    xlvs_uncount_reused(&scratch->first);
  if (step == XLVS_STEP_next)
    step = xlvs_deliver_first(ctx, pkt, request, scratch);
  if (from_error && step == XLVS_STEP_pass_no_service)
    return XLVS_STEP_pass_icmp_no_conn;
  if (!xlvs_is_answer(step)) return step;
  /* An error is not answered by an error (RFC 1122, 3.2.2; RFC 4443, 2.4 e). */
  return from_error ? XLVS_STEP_drop_icmp_failed
                    : (enum xlvs_step)xlvs_icmp_error(
                          ctx, pkt, step, scratch->delivery.ret_mtu);
}

/* Has the program for first packets make a connection. `found` is what the
 * lookup found, if anything. */
static __always_inline enum xlvs_step xlvs_begin(
    const struct xlvs_packet* pkt, struct xlvs_place place,
    struct xlvs_miss miss, enum xlvs_reuse reuse,
    const struct xlvs_found* found) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return XLVS_STEP_drop_internal;
  struct xlvs_first* first = &scratch->first;
  first->insert.place = place;
  first->insert.miss = miss;
  first->reused_life = found->life;
  first->reused_slot = found->slot;
  first->reuse = reuse;
  first->is_from_error = pkt->from_error;
  if (!pkt->from_error) scratch->packet = *pkt;
  return XLVS_STEP_begins;
}

#endif
