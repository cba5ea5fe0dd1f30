/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * lblc and lblcr: an address keeps the dest (lblcr: a set of them, the least
 * loaded of which is taken) that it had, until that has more active connections
 * than its weight while another has less than half of its own; then wlc chooses
 * (ip_vs_lblc.c, ip_vs_lblcr.c of Linux 6.12). What is remembered, and how CPUs
 * share it: maps/lblc.h.
 *
 * A packet takes a copy of its address's entry (struct xlvs_lblc_view in the
 * scratch record), chooses by it, changes it, and writes it back if nobody else
 * did meanwhile. If somebody did, only what is remembered is lost, as in IPVS
 * when there is no memory. */
#ifndef XLVS_BPF_SCHEDULE_BY_CACHE_H
#define XLVS_BPF_SCHEDULE_BY_CACHE_H

#include "bpf/lib/addr.h"
#include "bpf/schedule/by_load.h"

#define XLVS_BARRIER() asm volatile("" ::: "memory")

static __always_inline struct xlvs_lblc_view* xlvs_lblc_view(void) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  return scratch ? &scratch->lblc : NULL;
}

static __always_inline struct xlvs_lblc_entry* xlvs_lblc_entry_at(
    struct xlvs_lblc_bucket* bucket, __u32 slot) {
  return &bucket->entry[slot % XLVS_LBLC_PER_BUCKET];
}

/* The entry of an address: its slot. If there is none, that of the one that was
 * not used for longest. */
__noinline __u32 xlvs_lblc_slot(const struct xlvs_packet* pkt, __u32 index,
                                __u64 epoch) {
  struct xlvs_lblc_bucket* bucket = bpf_map_lookup_elem(&xlvs_lblc, &index);
  if (!pkt || !bucket) return 0;
  __u32 oldest = 0;
  __u32 oldest_idle_ticks = 0;
  for (__u32 slot = 0; slot < XLVS_LBLC_PER_BUCKET; slot++) {
    const struct xlvs_lblc_entry* entry = &bucket->entry[slot];
    const __u64 owner = XLVS_READ_ONCE(entry->epoch);
    if (owner == epoch && xlvs_addr_equal(&entry->daddr, &pkt->daddr))
      return slot;
    const __u32 idle_ticks =
        owner ? pkt->now_ticks - XLVS_READ_ONCE(entry->used_ticks) : ~0U;
    if (idle_ticks <= oldest_idle_ticks) continue;
    oldest = slot;
    oldest_idle_ticks = idle_ticks;
  }
  return oldest;
}

/* Fills this CPU's view of the packet's address. After `most_idle_ticks`
 * without use it is forgotten. */
__noinline int xlvs_lblc_look(const struct xlvs_packet* pkt, __u64 epoch,
                              __u64 most_idle_ticks, __u32 is_set) {
  struct xlvs_lblc_view* view = xlvs_lblc_view();
  if (!pkt || !view) return 0;
  const __u32 index =
      xlvs_lblc_bucket_of(&pkt->daddr, epoch, xlvs_cfg.hash_key);
  struct xlvs_lblc_bucket* bucket = bpf_map_lookup_elem(&xlvs_lblc, &index);
  if (!bucket) return 0;
  view->bucket = index;
  view->slot = xlvs_lblc_slot(pkt, index, epoch);
  view->is_set = is_set;
  view->changed = 0;
  struct xlvs_lblc_entry* entry = xlvs_lblc_entry_at(bucket, view->slot);
  const __u32 version = XLVS_READ_ONCE(entry->version);
  XLVS_BARRIER();
  __builtin_memcpy(&view->entry, entry, sizeof(*entry));
  XLVS_BARRIER();
  const bool whole =
      !(version & 1) && version == XLVS_READ_ONCE(entry->version);
  if (!whole || view->entry.epoch != epoch ||
      !xlvs_addr_equal(&view->entry.daddr, &pkt->daddr) ||
      pkt->now_ticks - view->entry.used_ticks >= most_idle_ticks)
    view->entry.count = 0;
  else if (view->entry.used_ticks != pkt->now_ticks)
    XLVS_WRITE_ONCE(entry->used_ticks, pkt->now_ticks);
  view->entry.version = version;
  view->entry.epoch = epoch;
  view->entry.daddr = pkt->daddr;
  view->entry.used_ticks = pkt->now_ticks;
  return 0;
}

/* Writes the view back. */
__noinline int xlvs_lblc_keep(void) {
  const struct xlvs_lblc_view* view = xlvs_lblc_view();
  if (!view || !view->changed) return 0;
  const __u32 index = view->bucket;
  struct xlvs_lblc_bucket* bucket = bpf_map_lookup_elem(&xlvs_lblc, &index);
  if (!bucket) return 0;
  struct xlvs_lblc_entry* entry = xlvs_lblc_entry_at(bucket, view->slot);
  const __u32 version = view->entry.version;
  bpf_spin_lock(&bucket->lock);
  if (entry->version == version && !(version & 1)) {
    XLVS_WRITE_ONCE(entry->version, version + 1);
    XLVS_BARRIER();
    entry->daddr = view->entry.daddr;
    entry->epoch = view->entry.epoch;
    entry->used_ticks = view->entry.used_ticks;
    entry->changed_ticks = view->entry.changed_ticks;
    entry->count = view->entry.count;
    __builtin_memcpy(entry->member, view->entry.member, sizeof(entry->member));
    XLVS_BARRIER();
    XLVS_WRITE_ONCE(entry->version, version + 2);
  }
  bpf_spin_unlock(&bucket->lock);
  return 0;
}

/* The least loaded of the view's members that may be chosen, or the most loaded
 * of all. */
struct xlvs_lblc_search {
  __u32 most;
  __u32 index;  /* of the best so far */
  __u32 weight; /* its; 0: none yet */
  __u32 pad0;
  __s64 cost; /* its */
};
/* What any member is better than, with a weight of 0. */
#define XLVS_COST_WORSE_THAN_LEAST 1
#define XLVS_COST_WORSE_THAN_MOST (-1)

static long xlvs_lblc_weigh(__u32 index, void* context) {
  struct xlvs_lblc_search* search = context;
  const struct xlvs_lblc_view* view = xlvs_lblc_view();
  if (!view) return 1;
  const __u32 member = view->entry.member[index % XLVS_LBLC_MEMBERS];
  const __u32 dest = member & XLVS_CONN_DEST_MASK;
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  if (!record || xlvs_lblc_member(dest, record->born) != member) return 0;
  const __u32 weight = XLVS_READ_ONCE(record->weight);
  if (!weight || record->state == XLVS_DEST_free) return 0;
  /* lblc does not ask for the mark of thresholds. */
  if (!search->most && (record->state != XLVS_DEST_available ||
                        (view->is_set && XLVS_READ_ONCE(record->overloaded))))
    return 0;
  const __s64 cost =
      xlvs_cost(xlvs_load_rule_of(XLVS_SCHED_wlc), xlvs_load_seen(dest));
  const __s64 best = search->cost * weight;
  const __s64 this = cost * search->weight;
  if (search->most ? best >= this : best <= this) return 0;
  search->index = index;
  search->weight = weight;
  search->cost = cost;
  return 0;
}

/* The member's index, XLVS_LBLC_MEMBERS if there is none. `worst` is one of the
 * two above, and an argument so that it is unknown here: Linux 6.1 goes through
 * the loop's body once only, and takes out what then never happens. */
__noinline __u32 xlvs_lblc_best(__u32 count, __u32 most, __s64 worst) {
  struct xlvs_lblc_search search = {
      .most = most, .index = XLVS_LBLC_MEMBERS, .cost = worst};
  if (count > XLVS_LBLC_MEMBERS) count = XLVS_LBLC_MEMBERS;
  bpf_loop(count, xlvs_lblc_weigh, &search, 0);
  return search.index;
}

/* Takes a member out of the view. */
__noinline int xlvs_lblc_remove(__u32 index) {
  struct xlvs_lblc_view* view = xlvs_lblc_view();
  if (!view) return 0;
  XLVS_NO_UNROLL
  for (__u32 i = 0; i < XLVS_LBLC_MEMBERS - 1; i++)
    if (i >= index) view->entry.member[i] = view->entry.member[i + 1];
  view->entry.count--;
  view->entry.changed_ticks = view->entry.used_ticks;
  view->changed = 1;
  return 0;
}

/* A dest for the view's address, one more if it is a set. */
__noinline int xlvs_lblc_add(__u32 dest) {
  struct xlvs_lblc_view* view = xlvs_lblc_view();
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  if (!view || !record) return 0;
  const __u32 member = xlvs_lblc_member(dest, record->born);
  __u32 count = view->entry.count;
  if (!view->is_set) count = 0;
  XLVS_NO_UNROLL
  for (__u32 i = 0; i < XLVS_LBLC_MEMBERS; i++)
    if (i < count && view->entry.member[i] == member) return 0;
  /* The one that came first makes room. */
  if (count >= XLVS_LBLC_MEMBERS) count = XLVS_LBLC_MEMBERS - 1;
  XLVS_NO_UNROLL
  for (__u32 i = XLVS_LBLC_MEMBERS - 1; i > 0; i--)
    view->entry.member[i] = view->entry.member[i - 1];
  view->entry.member[0] = member;
  view->entry.count = count + 1;
  view->entry.changed_ticks = view->entry.used_ticks;
  view->changed = 1;
  return 0;
}

struct xlvs_idle_search {
  struct xlvs_list list;
  __u32 found;
  __u32 pad0;
};

static long xlvs_idle_chunk(__u32 step, void* context) {
  struct xlvs_idle_search* search = context;
  const __u32 chunk = search->list.first_chunk + step;
  const struct xlvs_slots* slots = bpf_map_lookup_elem(&xlvs_slots, &chunk);
  if (!slots) return 1;
  for (__u32 i = 0; i < XLVS_SLOTS_PER_CHUNK; i++) {
    const struct xlvs_slot* slot = &slots->slot[i];
    if (step * XLVS_SLOTS_PER_CHUNK + i >= search->list.count) return 1;
    if (2 * (__s64)xlvs_load_seen(slot->dest).active >= slot->weight) continue;
    search->found = 1;
    return 1;
  }
  return 0;
}

/* Whether a dest of the list has less than half as many active connections as
 * its weight. */
__noinline int xlvs_any_idle(__u32 first_chunk, __u32 count) {
  struct xlvs_idle_search search = {
      .list = {.first_chunk = first_chunk, .count = count}};
  bpf_loop(count / XLVS_SLOTS_PER_CHUNK + 1, xlvs_idle_chunk, &search, 0);
  return search.found;
}

/* Whether a dest has more than it should while another has less. */
static __always_inline bool xlvs_is_too_much(__u32 dest,
                                             struct xlvs_list list) {
  const struct xlvs_dest* record = bpf_map_lookup_elem(&xlvs_dests, &dest);
  return record &&
         xlvs_load_seen(dest).active > (__s64)XLVS_READ_ONCE(record->weight) &&
         xlvs_any_idle(list.first_chunk, list.count);
}

/* The dest that the packet's address keeps; 0: wlc has to choose, and then
 * xlvs_lblc_add and xlvs_lblc_keep to be called. */
static __always_inline __u32 xlvs_pick_by_cache(const struct xlvs_packet* pkt,
                                                const struct xlvs_pool* pool,
                                                bool is_set) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  const struct xlvs_lblc_view* view = xlvs_lblc_view();
  if (!control || !view) return 0;
  const __u64 expiration_ticks =
      (__u64)(is_set ? control->set.lblcr_expiration
                     : control->set.lblc_expiration) *
      XLVS_TICKS_PER_SECOND;
  xlvs_lblc_look(pkt, pool->epoch, expiration_ticks, is_set);
  const __u32 count = view->entry.count;
  if (!count) return 0;
  const __u32 index =
      xlvs_lblc_best(count, /*most=*/false, XLVS_COST_WORSE_THAN_LEAST);
  const __u32 dest =
      index < XLVS_LBLC_MEMBERS
          ? view->entry.member[index % XLVS_LBLC_MEMBERS] & XLVS_CONN_DEST_MASK
          : 0;
  if (is_set && count > 1 &&
      pkt->now_ticks - view->entry.changed_ticks > expiration_ticks) {
    const __u32 most =
        xlvs_lblc_best(count, /*most=*/true, XLVS_COST_WORSE_THAN_MOST);
    if (most < XLVS_LBLC_MEMBERS) xlvs_lblc_remove(most);
  }
  if (!dest || xlvs_is_too_much(dest, xlvs_list_of(pool))) return 0;
  if (view->changed) xlvs_lblc_keep();
  return dest;
}

#endif
