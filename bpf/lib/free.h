/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Ends one connection: the expiry does it when its time has come, a packet when
 * a client begins anew from the same port. Whoever swaps `life` to 0 has ended
 * it and takes it off its dest's counts. */
#ifndef XLVS_BPF_LIB_FREE_H
#define XLVS_BPF_LIB_FREE_H

#include "bpf/lib/counts.h"
#include "bpf/lib/place.h"

/* `life` is what was read. False: it changed since, nothing was done. */
static __always_inline bool xlvs_conn_free(struct xlvs_head* head,
                                           struct xlvs_conn* conn, __u32 slot,
                                           union xlvs_life life) {
  const __u32 dest = conn->ports.dest;
  const __u32 home = xlvs_home_of(conn, life.life.state);
  bool ended;
  if (home == slot / XLVS_CONNS_PER_GROUP) {
    ended = __sync_val_compare_and_swap((__u64*)&conn->life, life.word, 0) ==
            life.word;
  } else {
    bpf_spin_lock(&head->lock);
    ended = __sync_val_compare_and_swap((__u64*)&conn->life, life.word, 0) ==
            life.word;
    if (ended) head->spilled[home % XLVS_GROUPS_PER_BUCKET]--;
    bpf_spin_unlock(&head->lock);
  }
  if (ended) xlvs_count_conn_gone(dest, life.life.flags);
  return ended;
}

#endif
