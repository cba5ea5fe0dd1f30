/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Ends one record: the expiry does it when its time has come, a packet when a
 * client begins anew from the same port. Whoever swaps `life` to 0 has ended it
 * and takes it off all that counts it: its dest, its template, its virtual
 * address. */
#ifndef XLVS_BPF_LIB_FREE_H
#define XLVS_BPF_LIB_FREE_H

#include "bpf/lib/counts.h"
#include "bpf/lib/place.h"
#include "bpf/lib/template.h"
#include "bpf/lib/vaddr.h"
#include "bpf/lib/writer.h"

/* A record out of its home group ends, which the head counts. False: it changed
 * since, or others wrote for all the time. */
__noinline int xlvs_spilled_erase(__u32 bucket, struct xlvs_conn* conn,
                                  __u64 life_word, __u32 home) {
  struct xlvs_head* head = bpf_map_lookup_elem(&xlvs_heads, &bucket);
  if (!head || !conn) return false;
  XLVS_NO_UNROLL
  for (int attempt = 0; attempt < XLVS_WRITER_ATTEMPTS; attempt++) {
    const __u32 seen = xlvs_head_await(bucket);
    if (!xlvs_head_take(head, seen)) continue;
    const bool ended = __sync_val_compare_and_swap((__u64*)&conn->life,
                                                   life_word, 0) == life_word;
    if (ended) head->spilled[home % XLVS_GROUPS_PER_BUCKET]--;
    xlvs_head_leave(head, seen + 2);
    return ended;
  }
  return false;
}

/* `life` is what was read. False: it changed since, nothing was done. */
static __always_inline bool xlvs_record_erase(__u32 bucket,
                                              struct xlvs_conn* conn,
                                              __u32 slot,
                                              union xlvs_life life) {
  const __u32 home = xlvs_home_of(conn, life.life.state);
  if (home == slot / XLVS_CONNS_PER_GROUP)
    return __sync_val_compare_and_swap((__u64*)&conn->life, life.word, 0) ==
           life.word;
  return xlvs_spilled_erase(bucket, conn, life.word, home);
}

/* Ends a template as it was found. */
static __always_inline void xlvs_template_end(struct xlvs_template* tmpl) {
  const __u32 index = tmpl->place.bucket;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  if (!bucket) return;
  const __u32 slot = tmpl->ret_slot % XLVS_CONNS_PER_BUCKET;
  if (xlvs_record_erase(index, &bucket->conn[slot], slot, tmpl->ret_life))
    xlvs_count_conn_gone(tmpl->ret_dest, tmpl->ret_life.word);
}

/* What a connection had taken beside its record: a virtual address, its
 * template's attention. `forced`: it did not end by its time. A template of
 * which no connection was answered goes with the last one then (ip_vs_conn.c,
 * ip_vs_conn_expire). */
__noinline int xlvs_give_back(__u32 dest, __u64 life_word,
                              const struct xlvs_addr* caddr, __u32 forced) {
  const union xlvs_life life = {.word = life_word};
  if (!caddr) return 0;
  const __u32 dest_id = dest & XLVS_CONN_DEST_MASK;
  if (dest >> XLVS_CONN_DEST_BITS)
    xlvs_vaddr_release(dest >> XLVS_CONN_DEST_BITS);
  if (!(life.life.flags & XLVS_CONN_controlled)) return 0;
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return 0;
  struct xlvs_template* tmpl = &scratch->release;
  if (!xlvs_template_of_conn(dest_id, caddr, tmpl)) return 0;
  if (xlvs_template_hold(tmpl, -1) == XLVS_HELD_done && forced &&
      !tmpl->ret_life.life.nexthop &&
      tmpl->ret_life.life.state == XLVS_CONN_template_none)
    xlvs_template_end(tmpl);
  return 0;
}

/* A record ended: what counts it is told. */
static __always_inline void xlvs_record_gone(__u32 dest, union xlvs_life life,
                                             const struct xlvs_addr* caddr,
                                             bool forced) {
  xlvs_count_conn_gone(dest & XLVS_CONN_DEST_MASK, life.word);
  if (life.life.state < XLVS_CONN_template_none &&
      (dest >> XLVS_CONN_DEST_BITS || (life.life.flags & XLVS_CONN_controlled)))
    xlvs_give_back(dest, life.word, caddr, forced);
}

/* Returns 0 if it changed since: then nothing was done. */
__noinline int xlvs_conn_free(__u32 bucket, struct xlvs_conn* conn, __u32 slot,
                              __u64 life_word, __u32 forced) {
  if (!conn) return 0;
  const union xlvs_life life = {.word = life_word};
  const __u32 dest = conn->ports.dest;
  struct xlvs_addr caddr = conn->caddr;
  if (!xlvs_record_erase(bucket, conn, slot, life)) return 0;
  xlvs_record_gone(dest, life, &caddr, forced);
  return 1;
}

#endif
