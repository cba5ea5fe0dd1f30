/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The first packet of a connection: lookup of the service, schedule, and a new
 * record. */
#ifndef XLVS_BPF_PATH_BEGIN_H
#define XLVS_BPF_PATH_BEGIN_H

#include "bpf/emit/nexthop.h"
#include "bpf/lib/sum.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/local.h"
#include "bpf/lookup/service.h"
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
  const __u32 dest = xlvs_schedule(pkt, service->id);
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

#endif
