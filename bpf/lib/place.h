/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Where a connection belongs in the table, and when something in its bucket is
 * due: what packets and the expiry both need. */
#ifndef XLVS_BPF_LIB_PLACE_H
#define XLVS_BPF_LIB_PLACE_H

#include "bpf/lib/found.h"
#include "bpf/lib/hash.h"
#include "bpf/tables.h"

/* What a connection hashes beside its client's address. */
static __always_inline __u32 xlvs_flow_rest(__u16 cport, __u8 l4_proto) {
  return cport | (__u32)l4_proto << 16;
}

static __always_inline struct xlvs_place xlvs_place_at(__u32 hash) {
  const __u64 groups = (__u64)xlvs_cfg.buckets * XLVS_GROUPS_PER_BUCKET;
  const __u32 group = (hash * groups) >> 32;
  struct xlvs_place place = {
      .bucket = group / XLVS_GROUPS_PER_BUCKET,
      .home = group % XLVS_GROUPS_PER_BUCKET,
  };
  return place;
}

static __always_inline struct xlvs_place xlvs_place_of(
    const struct xlvs_addr* caddr, __u16 cport, __u8 l4_proto) {
  return xlvs_place_at(xlvs_hash_any(caddr, xlvs_flow_rest(cport, l4_proto)));
}

static __always_inline bool xlvs_life_is_over(union xlvs_life life,
                                              __u32 now_ticks) {
  return life.life.state == XLVS_CONN_free ||
         !xlvs_is_later(life.life.expires_ticks, now_ticks);
}

/* 0 of a template: no packet's protocol. */
static __always_inline __u8 xlvs_protocol_of_state(__u8 state) {
  if (state >= XLVS_CONN_template_none) return 0;
  if (state >= XLVS_CONN_sctp_none) return XLVS_IPPROTO_SCTP;
  return state == XLVS_CONN_udp ? IPPROTO_UDP : IPPROTO_TCP;
}

/* The home group of a connection in the table. Its state tells the protocol. */
static __always_inline __u32 xlvs_home_of(const struct xlvs_conn* conn,
                                          __u8 state) {
  return xlvs_place_of(&conn->caddr, conn->ports.cport,
                       xlvs_protocol_of_state(state))
             .home %
         XLVS_GROUPS_PER_BUCKET;
}

/* A template that holds connections stays after its time. */
static __always_inline bool xlvs_is_held(union xlvs_life life) {
  return life.life.state >= XLVS_CONN_template_none && life.life.nexthop;
}

/* Tells the expiry that something in this bucket ends at `expires_ticks`. */
static __always_inline void xlvs_note_due(struct xlvs_head* head,
                                          __u32 expires_ticks) {
  for (int attempt = 0; attempt < 4; attempt++) {
    const __u32 due = XLVS_READ_ONCE(head->next_due_ticks);
    if (!xlvs_is_later(due, expires_ticks)) return;
    if (__sync_val_compare_and_swap(&head->next_due_ticks, due,
                                    expires_ticks) == due)
      return;
  }
  /* Four lost races: have the bucket looked at in the next round. */
  XLVS_WRITE_ONCE(head->next_due_ticks, 0);
}

#endif
