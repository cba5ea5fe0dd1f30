/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Defence against floods, as IPVS has it (ip_vs_ctl.c, update_defense_level;
 * ip_vs_conn.c, ip_vs_random_dropentry). Where IPVS looks at free memory, we
 * look at how many connections still fit: the table's memory is ours anyway. */
#ifndef XLVS_BPF_EXPIRE_DEFEND_H
#define XLVS_BPF_EXPIRE_DEFEND_H

#include "bpf/lib/free.h"
#include "bpf/tables.h"

#define XLVS_DEFENCE_needed 1 /* off, but on as soon as it is needed */
#define XLVS_DEFENCE_active 2 /* on, until it is not needed any more */
/* IPVS looks at one of 32 buckets every second: at one of 256 each tick. */
#define XLVS_DEFENCE_SHARE 256
#define XLVS_DEFENCE_BUCKETS_MAX 4096

/* Whether a defence is on; 1 and 2 turn into each other. */
static __always_inline bool xlvs_defends(__u32* mode, bool needed) {
  const __u32 now = XLVS_READ_ONCE(*mode);
  if (now == XLVS_DEFENCE_needed && needed)
    XLVS_WRITE_ONCE(*mode, XLVS_DEFENCE_active);
  else if (now == XLVS_DEFENCE_active && !needed)
    XLVS_WRITE_ONCE(*mode, XLVS_DEFENCE_needed);
  else
    return now >= XLVS_DEFENCE_active;
  return needed;
}

/* Ends the embryonic connections of a bucket. */
__noinline int xlvs_drop_entries(__u32 index) {
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  if (!bucket) return 0;
  XLVS_NO_UNROLL
  for (__u32 slot = 0; slot < XLVS_CONNS_PER_BUCKET; slot++) {
    struct xlvs_conn* conn = &bucket->conn[slot];
    const union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
    if (xlvs_state_is_embryonic(life.life.state))
      xlvs_conn_free(index, conn, slot, life.word, /*forced=*/true);
  }
  return 0;
}

static long xlvs_drop_entries_step(__u32 step, void* context) {
  (void)step;
  (void)context;
  xlvs_drop_entries(bpf_get_prandom_u32() % xlvs_cfg.buckets);
  return 0;
}

static __always_inline void xlvs_defend(struct xlvs_clock* clock,
                                        struct xlvs_control* control) {
  const __u64 room = (__u64)xlvs_cfg.buckets * XLVS_CONNS_PER_BUCKET_PLANNED;
  const __u32 threshold = XLVS_READ_ONCE(control->set.amemthresh);
  const bool needed = clock->conns + (__u64)threshold > room;
  const __u64 left = room > clock->conns ? room - clock->conns : 0;
  XLVS_WRITE_ONCE(clock->secure_tcp,
                  xlvs_defends(&control->set.secure_tcp, needed));
  __u32 rate = 0;
  if (xlvs_defends(&control->set.drop_packet, needed))
    rate = XLVS_READ_ONCE(control->set.drop_packet) > XLVS_DEFENCE_active
               ? XLVS_READ_ONCE(control->set.am_droprate)
               : threshold / (threshold > left ? threshold - left : 1);
  XLVS_WRITE_ONCE(clock->drop_rate, rate);
  if (!xlvs_defends(&control->set.drop_entry, needed)) return;
  __u32 buckets = xlvs_cfg.buckets / XLVS_DEFENCE_SHARE + 1;
  if (buckets > XLVS_DEFENCE_BUCKETS_MAX) buckets = XLVS_DEFENCE_BUCKETS_MAX;
  bpf_loop(buckets, xlvs_drop_entries_step, NULL, 0);
}

#endif
