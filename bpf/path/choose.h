/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Which real server a new connection gets: its client's template's, if the
 * service is persistent and it has one, else the scheduler's choice, which
 * makes one (ip_vs_core.c, ip_vs_sched_persist). */
#ifndef XLVS_BPF_PATH_CHOOSE_H
#define XLVS_BPF_PATH_CHOOSE_H

#include "bpf/lib/template.h"
#include "bpf/lib/vaddr.h"
#include "bpf/lookup/conn.h"
#include "bpf/schedule/schedule.h"

#define XLVS_INSERT_ATTEMPTS 8

/* Whether a template's dest may be had (ip_vs_check_template). */
static __always_inline bool xlvs_template_is_good(
    __u32 dest_id, const struct xlvs_control* control) {
  const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
  return dest && dest->state == XLVS_DEST_available &&
         (dest->weight || !control->set.expire_quiescent_template);
}

/* It is no client's any more, but stays for its connections. */
static __always_inline void xlvs_template_retire(struct xlvs_conn* conn,
                                                 union xlvs_life life) {
  union xlvs_life next = life;
  next.life.flags |= XLVS_CONN_stale;
  __sync_val_compare_and_swap((__u64*)&conn->life, life.word, next.word);
}

static __always_inline int xlvs_template_make(const struct xlvs_template* tmpl,
                                              const struct xlvs_pool* pool,
                                              struct xlvs_insert* insert,
                                              __u32 dest_id, __u32 holds) {
  insert->place = tmpl->place;
  insert->caddr = tmpl->caddr;
  insert->miss.inserts = tmpl->inserts;
  insert->now_ticks = tmpl->now_ticks;
  insert->room = XLVS_ROOM_FOR_any;
  insert->ports.ports = (struct xlvs_conn_ports){
      .cport = 0,
      .vport = tmpl->vport,
      .dest = dest_id | (__u32)XLVS_VADDR_NONE << XLVS_CONN_DEST_BITS};
  insert->life.life = (struct xlvs_conn_life){
      .expires_ticks = tmpl->now_ticks + pool->persist_ticks,
      .state = XLVS_CONN_template_none,
      .flags = XLVS_CONN_inactive,
      .nexthop = holds};
  return xlvs_conn_insert(insert);
}

/* The dest's id, or 0: none is usable; -1: no room for a template. `holds`: the
 * template counts one connection more. */
__noinline int xlvs_choose_by_template(const struct xlvs_packet* pkt,
                                       __u32 service_id, __u32 holds) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  const struct xlvs_pool* pool = bpf_map_lookup_elem(&xlvs_pools, &service_id);
  if (!pkt || !scratch || !control || !pool) return 0;
  struct xlvs_template* tmpl = &scratch->tmpl;
  xlvs_template_of_packet(pkt, pool, service_id, tmpl);
  int dest_id = 0;
  XLVS_NO_UNROLL
  for (int attempt = 0; attempt < XLVS_INSERT_ATTEMPTS; attempt++) {
    struct xlvs_conn* conn = xlvs_template_find(tmpl);
    if (conn) {
      if (xlvs_template_is_good(tmpl->ret_dest, control)) {
        const __u32 found = tmpl->ret_dest;
        if (xlvs_template_hold(tmpl, holds) == XLVS_HELD_done) return found;
        continue; /* it ended meanwhile */
      }
      xlvs_template_retire(conn, tmpl->ret_life);
      continue;
    }
    if (!dest_id) dest_id = xlvs_schedule(pkt, service_id);
    if (!dest_id) return 0;
    const int made =
        xlvs_template_make(tmpl, pool, &scratch->tmpl_insert, dest_id, holds);
    if (made == XLVS_INSERT_full) return -1;
    if (made == XLVS_INSERT_lost) continue;
    return dest_id;
  }
  return -1;
}

#endif
