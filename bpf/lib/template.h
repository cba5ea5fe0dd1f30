/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Templates: the records of persistence. A client (or, with -M, its network)
 * has one for each service while it has connections and for the service's
 * persistence time after the last new one; who has one goes to its dest without
 * the scheduler being asked (ip_vs_core.c, ip_vs_sched_persist). It stands in
 * the table among the connections, with cport 0, and counts those that it holds
 * (`life.nexthop`). */
#ifndef XLVS_BPF_LIB_TEMPLATE_H
#define XLVS_BPF_LIB_TEMPLATE_H

#include "bpf/lib/addr.h"
#include "bpf/lib/place.h"
#include "bpf/tables.h"

#define XLVS_TEMPLATE_REARM_TICKS (60 * XLVS_TICKS_PER_SECOND)
#define XLVS_TEMPLATE_COUNT_MAX 0xffff

static __always_inline void xlvs_template_place(const struct xlvs_addr* caddr,
                                                const struct xlvs_pool* pool,
                                                struct xlvs_template* ret) {
  const __u64* from = (const __u64*)caddr->byte;
  const __u64* mask = (const __u64*)pool->persist_mask.byte;
  __u64* to = (__u64*)ret->caddr.byte;
  to[0] = from[0] & mask[0];
  to[1] = from[1] & mask[1];
  ret->place = xlvs_place_of(&ret->caddr, 0, 0);
}

/* The template of a packet's client. */
static __always_inline void xlvs_template_of_packet(
    const struct xlvs_packet* pkt, const struct xlvs_pool* pool,
    __u32 service_id, struct xlvs_template* ret) {
  xlvs_template_place(&pkt->saddr, pool, ret);
  ret->service = service_id;
  ret->dest = 0;
  /* FTP's data goes with its commands, by one template. */
  ret->vport = pool->vport == XLVS_FTP_PORT ? 0 : pool->vport;
  ret->now_ticks = pkt->now_ticks;
}

/* The template that holds a connection of `dest_id`. */
static __always_inline bool xlvs_template_of_conn(__u32 dest_id,
                                                  const struct xlvs_addr* caddr,
                                                  struct xlvs_template* ret) {
  const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
  if (!dest || !dest->service) return false;
  const __u32 service = dest->service;
  const struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!pool || !clock) return false;
  xlvs_template_place(caddr, pool, ret);
  ret->service = service;
  ret->dest = dest_id;
  ret->now_ticks = XLVS_READ_ONCE(clock->now_ticks);
  return true;
}

static __always_inline bool xlvs_template_matches(struct xlvs_conn* conn,
                                                  struct xlvs_template* tmpl) {
  const union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
  if (life.life.state < XLVS_CONN_template_none ||
      (xlvs_life_is_over(life, tmpl->now_ticks) && !xlvs_is_held(life)))
    return false;
  const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
  if (!xlvs_addr_equal(&conn->caddr, &tmpl->caddr)) return false;
  const __u32 dest_id = xlvs_dest_id(ports);
  if (tmpl->dest) {
    if (dest_id != tmpl->dest) return false;
  } else {
    if ((life.life.flags & XLVS_CONN_stale) || ports.ports.vport != tmpl->vport)
      return false;
    const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
    if (!dest || dest->service != tmpl->service) return false;
  }
  tmpl->ret_life = life;
  tmpl->ret_dest = dest_id;
  return true;
}

/* The template's slot in its bucket, or -1. */
__noinline int xlvs_template_search(struct xlvs_template* tmpl) {
  if (!tmpl) return -1;
  const __u32 index = tmpl->place.bucket;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  const struct xlvs_head* head = bpf_map_lookup_elem(&xlvs_heads, &index);
  if (!bucket || !head) return -1;
  tmpl->inserts = XLVS_READ_ONCE(head->inserts);
  const __u32 home = tmpl->place.home % XLVS_GROUPS_PER_BUCKET;
  const __u32 slots =
      head->spilled[home] ? XLVS_CONNS_PER_BUCKET : XLVS_CONNS_PER_GROUP;
  XLVS_NO_UNROLL
  for (__u32 i = 0; i < XLVS_CONNS_PER_BUCKET && i < slots; i++) {
    const __u32 slot =
        (home * XLVS_CONNS_PER_GROUP + i) % XLVS_CONNS_PER_BUCKET;
    if (xlvs_template_matches(&bucket->conn[slot], tmpl)) return slot;
  }
  return -1;
}

/* Finds the template: its record, or NULL. */
static __always_inline struct xlvs_conn* xlvs_template_find(
    struct xlvs_template* tmpl) {
  const int slot = xlvs_template_search(tmpl);
  const __u32 index = tmpl->place.bucket;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  if (slot < 0 || !bucket) return NULL;
  tmpl->ret_slot = slot;
  return &bucket->conn[(__u32)slot % XLVS_CONNS_PER_BUCKET];
}

enum xlvs_held { XLVS_HELD_lost, XLVS_HELD_done, XLVS_HELD_none };

/* One connection more (`change` 1, for which its time begins anew), or less
 * (-1), or only its time (0). Returns enum xlvs_held; lost: another CPU changed
 * it meanwhile. */
__noinline int xlvs_template_count(struct xlvs_template* tmpl, __s32 change) {
  if (!tmpl) return XLVS_HELD_none;
  struct xlvs_conn* conn = xlvs_template_find(tmpl);
  if (!conn) return XLVS_HELD_none;
  union xlvs_life next = tmpl->ret_life;
  if (next.life.nexthop < XLVS_TEMPLATE_COUNT_MAX &&
      (change > 0 || next.life.nexthop))
    next.life.nexthop += change;
  if (change >= 0) {
    const __u32 service = tmpl->service;
    const struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service);
    if (!pool) return XLVS_HELD_none;
    next.life.expires_ticks =
        tmpl->now_ticks + (next.life.flags & XLVS_CONN_rearmed
                               ? XLVS_TEMPLATE_REARM_TICKS
                               : pool->persist_ticks);
  }
  if (__sync_val_compare_and_swap((__u64*)&conn->life, tmpl->ret_life.word,
                                  next.word) != tmpl->ret_life.word)
    return XLVS_HELD_lost;
  tmpl->ret_life = next;
  return XLVS_HELD_done;
}

/* A connection that the template holds was answered. */
__noinline int xlvs_template_assure(__u32 dest_id,
                                    const struct xlvs_addr* caddr) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!caddr || !scratch) return 0;
  struct xlvs_template* tmpl = &scratch->release;
  if (!xlvs_template_of_conn(dest_id, caddr, tmpl)) return 0;
  struct xlvs_conn* conn = xlvs_template_find(tmpl);
  if (!conn) return 0;
  union xlvs_life next = tmpl->ret_life;
  next.life.state = XLVS_CONN_template_assured;
  /* If it fails, it is used: its next connection will tell. */
  __sync_val_compare_and_swap((__u64*)&conn->life, tmpl->ret_life.word,
                              next.word);
  return 0;
}

#define XLVS_TEMPLATE_ATTEMPTS 16

/* The same, until it is done or there is none. */
static __always_inline int xlvs_template_hold(struct xlvs_template* tmpl,
                                              __s32 change) {
  int held = XLVS_HELD_lost;
  XLVS_NO_UNROLL
  for (int attempt = 0;
       attempt < XLVS_TEMPLATE_ATTEMPTS && held == XLVS_HELD_lost; attempt++)
    held = xlvs_template_count(tmpl, change);
  return held;
}

#endif
