/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The connection table: find, insert, change. Layout: maps/conn.h.
 *
 * Why several CPUs may meet in one bucket:
 *
 *  1. A connection's changing part is one 64-bit word, `life`, and every change
 *     is a compare-and-swap from the value that was read: exactly one CPU makes
 *     each transition, and that one adjusts the dest's counts.
 *  2. Insertion makes the CPU the bucket's writer, and only if `inserts` is
 *     what it was before the lookup that missed: two first packets of one
 *     connection cannot make two records. The loser looks again.
 *  3. A slot is taken in this order: life := 0 (compare-and-swap), caddr,
 *     ports, life. A reader reads in this order: life, ports, caddr. So ports
 *     and caddr that both match belong together: ports are written last, in
 *     one 64-bit store, and caddr is complete by then. If the slot changed
 *     hands after `life` was read, the reader's compare-and-swap of `life`
 *     fails.
 *  4. Loads are not reordered with loads, nor stores with stores: true on
 *     x86-64, the architecture that this is made for.
 *
 * Q: can `life` be the same for the old and the new owner of a slot (ABA)?
 * A: no: a slot changes hands when its connection expired, when it was
 *    embryonic for longer than a second, or when its client begins anew after
 *    TIME_WAIT or CLOSE; the new one expires later or is in another state.
 *    All but within one tick: a client that begins and ends twice in it. So
 *    whoever moved a connection on looks again whose it is before it counts.
 *
 * Q: what when a bucket is full? A: an expired connection's slot is taken, else
 *    that of the oldest embryonic one, else the new connection is refused
 *    (drop_table_full). An established connection is never evicted. */
#ifndef XLVS_BPF_LOOKUP_CONN_H
#define XLVS_BPF_LOOKUP_CONN_H

#include "bpf/lib/addr.h"
#include "bpf/lib/counts.h"
#include "bpf/lib/found.h"
#include "bpf/lib/free.h"
#include "bpf/lib/place.h"
#include "bpf/lib/writer.h"
#include "bpf/lookup/state.h"
#include "bpf/tables.h"

/* What a lookup goes by. Replies are looked for among the connections that no
 * newer one shadows; only if there is none, among all. */
enum xlvs_look {
  XLVS_LOOK_to_dest,
  XLVS_LOOK_to_client,
  XLVS_LOOK_to_client_shadowed,
};

/* Whether the packet belongs to `conn`; then `ret` is filled. */
static __always_inline bool xlvs_conn_matches(struct xlvs_conn* conn,
                                              const struct xlvs_packet* pkt,
                                              enum xlvs_look look,
                                              struct xlvs_found* ret) {
  const union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
  const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
  const struct xlvs_addr* client;
  if (look == XLVS_LOOK_to_dest) {
    if ((__u32)ports.word != (pkt->sport | (__u32)pkt->dport << 16))
      return false;
    client = &pkt->saddr;
  } else {
    if (ports.ports.cport != pkt->dport) return false;
    if (look != XLVS_LOOK_to_client_shadowed &&
        (life.life.flags & XLVS_CONN_shadowed))
      return false;
    client = &pkt->daddr;
  }
  if (!xlvs_addr_equal(&conn->caddr, client)) return false;
  if (xlvs_life_is_over(life, pkt->now_ticks)) return false;
  const __u32 dest_id = xlvs_dest_id(ports);
  struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
  if (!dest) return false;
  const __u32 vaddr_index = ports.ports.dest >> XLVS_CONN_DEST_BITS;
  if (vaddr_index) { /* by mark, or a template, which has no protocol */
    if (xlvs_protocol_of_state(life.life.state) != pkt->l4_proto) return false;
    if (look == XLVS_LOOK_to_dest && !xlvs_vaddr_is(vaddr_index, &pkt->daddr))
      return false;
  } else if (dest->l4_proto != pkt->l4_proto) {
    return false;
  }
  if (look == XLVS_LOOK_to_dest) {
    if (!vaddr_index && !xlvs_addr_equal(&dest->vaddr, &pkt->daddr))
      return false;
  } else {
    if (xlvs_dport(dest, life, ports.ports.vport) != pkt->sport ||
        xlvs_method_of(life) != XLVS_METHOD_masq ||
        !xlvs_addr_equal(&dest->daddr, &pkt->saddr))
      return false;
  }
  ret->conn = conn;
  ret->dest = dest;
  ret->dest_id = dest_id;
  ret->vaddr_index = vaddr_index;
  ret->vport = ports.ports.vport;
  ret->life = life;
  return true;
}

/* The slot of the packet's connection among `slots` from `first` on, or -1.
 * `look` is an enum xlvs_look. */
__noinline int xlvs_conn_search(struct xlvs_bucket* bucket,
                                const struct xlvs_packet* pkt, __u32 look,
                                __u32 first, __u32 slots) {
  if (!bucket || !pkt) return -1;
  for (__u32 i = 0; i < XLVS_CONNS_PER_BUCKET && i < slots; i++) {
    const __u32 slot = (first + i) % XLVS_CONNS_PER_BUCKET;
    struct xlvs_found found;
    if (xlvs_conn_matches(&bucket->conn[slot], pkt, look, &found)) return slot;
  }
  return -1;
}

/* How many of the group's slots look like this client's: no fewer than are. */
static __always_inline __u32 xlvs_group_count(const struct xlvs_bucket* bucket,
                                              __u32 home,
                                              const struct xlvs_addr* caddr,
                                              __u16 cport) {
  const __u64 end = *(const __u64*)&caddr->byte[8];
  const __u32 first = (home % XLVS_GROUPS_PER_BUCKET) * XLVS_CONNS_PER_GROUP;
  __u32 count = 0;
  XLVS_UNROLL
  for (__u32 i = 0; i < XLVS_CONNS_PER_GROUP; i++)
    count +=
        XLVS_READ_ONCE(bucket->conn[first + i].ports.cport) == cport &&
        *(const volatile __u64*)&bucket->conn[first + i].caddr.byte[8] == end;
  return count;
}

/* After a miss in the home group. `ret_miss` is what xlvs_conn_insert wants to
 * know. */
static __always_inline bool xlvs_conn_find_further(
    const struct xlvs_packet* pkt, enum xlvs_direction direction,
    struct xlvs_place place, struct xlvs_bucket* bucket,
    struct xlvs_miss* ret_miss, struct xlvs_found* ret) {
  const struct xlvs_head* head =
      bpf_map_lookup_elem(&xlvs_heads, &place.bucket);
  if (!head) return false;
  ret_miss->inserts = XLVS_READ_ONCE(head->inserts);
  ret_miss->has_kin = false;
  const __u32 home = place.home % XLVS_GROUPS_PER_BUCKET;
  const bool spilled = head->spilled[home];
  /* Also the home group again: a connection that another CPU made after the
   * first look, but before `inserts` was read, would be made again. */
  const bool to_dest = direction == XLVS_TO_DEST;
  if (!spilled &&
      !xlvs_group_count(bucket, home, to_dest ? &pkt->saddr : &pkt->daddr,
                        to_dest ? pkt->sport : pkt->dport))
    return false;
  ret_miss->has_kin = true;
  const __u32 slots = spilled ? XLVS_CONNS_PER_BUCKET : XLVS_CONNS_PER_GROUP;
  int slot;
  if (to_dest) {
    slot = xlvs_conn_search(bucket, pkt, XLVS_LOOK_to_dest,
                            home * XLVS_CONNS_PER_GROUP, slots);
  } else {
    slot = xlvs_conn_search(bucket, pkt, XLVS_LOOK_to_client,
                            home * XLVS_CONNS_PER_GROUP, slots);
    if (slot < 0)
      slot = xlvs_conn_search(bucket, pkt, XLVS_LOOK_to_client_shadowed,
                              home * XLVS_CONNS_PER_GROUP, slots);
  }
  if (slot < 0) return false;
  ret->slot = (__u32)slot % XLVS_CONNS_PER_BUCKET;
  return xlvs_conn_matches(&bucket->conn[ret->slot], pkt,
                           direction == XLVS_TO_DEST
                               ? XLVS_LOOK_to_dest
                               : XLVS_LOOK_to_client_shadowed,
                           ret);
}

/* Finds the packet's connection. On a miss, `ret_miss` is as above. `shape`:
 * as far as it is known beforehand (xlvs_hash_of). */
static __always_inline bool xlvs_conn_find_shape(struct xlvs_packet* pkt,
                                                 struct xlvs_shape shape,
                                                 enum xlvs_direction direction,
                                                 struct xlvs_place* ret_place,
                                                 struct xlvs_miss* ret_miss,
                                                 struct xlvs_found* ret) {
  const bool to_dest = direction == XLVS_TO_DEST;
  pkt->flow_hash = xlvs_hash_of(
      to_dest ? &pkt->saddr : &pkt->daddr, shape,
      xlvs_flow_rest(to_dest ? pkt->sport : pkt->dport, pkt->l4_proto));
  const struct xlvs_place place = xlvs_place_at(pkt->flow_hash);
  *ret_place = place;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &place.bucket);
  if (!bucket) return false;
  const __u32 first =
      (place.home % XLVS_GROUPS_PER_BUCKET) * XLVS_CONNS_PER_GROUP;
  XLVS_UNROLL
  for (__u32 i = 0; i < XLVS_CONNS_PER_GROUP; i++) {
    if (xlvs_conn_matches(&bucket->conn[first + i], pkt,
                          to_dest ? XLVS_LOOK_to_dest : XLVS_LOOK_to_client,
                          ret)) {
      ret->slot = first + i;
      return true;
    }
  }
  return xlvs_conn_find_further(pkt, direction, place, bucket, ret_miss, ret);
}

/* The same of any shape. */
static __always_inline bool xlvs_conn_find(struct xlvs_packet* pkt,
                                           enum xlvs_direction direction,
                                           struct xlvs_place* ret_place,
                                           struct xlvs_miss* ret_miss,
                                           struct xlvs_found* ret) {
  return xlvs_conn_find_shape(pkt, XLVS_SHAPE_ANY, direction, ret_place,
                              ret_miss, ret);
}

/* Whether a record may give way to a new one for being embryonic, and since
 * when it is. */
static __always_inline bool xlvs_may_give_way(const struct xlvs_insert* insert,
                                              const struct xlvs_conn* conn,
                                              union xlvs_life life,
                                              __u32* ret_began_ticks) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!control || !xlvs_state_is_embryonic(life.life.state)) return false;
  const __u32 timeout =
      control->timeout_ticks[life.life.state % XLVS_CONN_STATE_SLOTS];
  const __u32 began = life.life.expires_ticks - timeout;
  *ret_began_ticks = began;
  if (insert->room == XLVS_ROOM_FOR_any)
    return insert->now_ticks - began > XLVS_TICKS_PER_SECOND;
  if (insert->room == XLVS_ROOM_FOR_embryonic) return true;
  const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
  const __u32 dest_id = xlvs_dest_id(ports);
  const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
  return dest && dest->service == insert->service;
}

/* The slot for a new record, or -1: a free one, nearest to home first, else the
 * oldest embryonic one's that was so for a second; where a bound on embryonic
 * ones is met, the oldest of these. `ret_dead_life` is its present content. */
__noinline int xlvs_conn_choose(struct xlvs_bucket* bucket,
                                struct xlvs_insert* insert) {
  if (!bucket || !insert) return -1;
  int oldest = -1;
  __u32 oldest_began = 0;
  __u64 oldest_life = 0;
  const __u32 home = insert->place.home;
  XLVS_NO_UNROLL
  for (__u32 i = 0; i < XLVS_CONNS_PER_BUCKET; i++) {
    const __u32 slot =
        (home * XLVS_CONNS_PER_GROUP + i) % XLVS_CONNS_PER_BUCKET;
    const struct xlvs_conn* conn = &bucket->conn[slot];
    const union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
    if (insert->room == XLVS_ROOM_FOR_any &&
        xlvs_life_is_over(life, insert->now_ticks) && !xlvs_is_held(life)) {
      insert->ret_dead_life = life;
      return slot;
    }
    __u32 began = 0;
    if (!xlvs_may_give_way(insert, conn, life, &began)) continue;
    if (oldest >= 0 && !xlvs_is_later(oldest_began, began)) continue;
    oldest = slot;
    oldest_began = began;
    oldest_life = life.word;
  }
  insert->ret_dead_life.word = oldest_life;
  return oldest;
}

/* The same for most: a free slot in the home group. */
static __always_inline int xlvs_conn_choose_home(
    const struct xlvs_bucket* bucket, struct xlvs_insert* insert) {
  if (insert->room != XLVS_ROOM_FOR_any) return -1;
  const __u32 first =
      insert->place.home % XLVS_GROUPS_PER_BUCKET * XLVS_CONNS_PER_GROUP;
  XLVS_UNROLL
  for (__u32 i = 0; i < XLVS_CONNS_PER_GROUP; i++) {
    const union xlvs_life life = {
        .word = *(volatile __u64*)&bucket->conn[first + i].life};
    if (xlvs_life_is_over(life, insert->now_ticks) && !xlvs_is_held(life)) {
      insert->ret_dead_life = life;
      return first + i;
    }
  }
  return -1;
}

enum xlvs_insert_result {
  XLVS_INSERT_done,
  XLVS_INSERT_lost, /* another CPU was quicker: look again */
  XLVS_INSERT_full,
};

/* Makes a record, and counts it. Returns enum xlvs_insert_result. */
__noinline int xlvs_conn_insert(struct xlvs_insert* insert) {
  if (!insert) return XLVS_INSERT_full;
  const __u32 index = insert->place.bucket;
  const __u32 home = insert->place.home % XLVS_GROUPS_PER_BUCKET;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  struct xlvs_head* head = bpf_map_lookup_elem(&xlvs_heads, &index);
  if (!bucket || !head) return XLVS_INSERT_full;
  int chosen = xlvs_conn_choose_home(bucket, insert);
  if (chosen < 0) chosen = xlvs_conn_choose(bucket, insert);
  if (chosen < 0) return XLVS_INSERT_full;
  const union xlvs_life dead = insert->ret_dead_life;
  const __u32 slot = (__u32)chosen % XLVS_CONNS_PER_BUCKET;
  struct xlvs_conn* conn = &bucket->conn[slot];
  __u32 dead_dest = 0;

  const __u32 seen = insert->miss.inserts;
  if (!xlvs_head_take(head, seen)) {
    xlvs_head_await(index); /* for what the other one writes */
    return XLVS_INSERT_lost;
  }
  if (__sync_val_compare_and_swap((__u64*)&conn->life, dead.word, 0) !=
      dead.word) {
    xlvs_head_leave(head, seen);
    return XLVS_INSERT_lost;
  }
  if (dead.word) {
    dead_dest = conn->ports.dest;
    insert->ret_dead_caddr = conn->caddr;
    const __u32 dead_home = xlvs_home_of(conn, dead.life.state);
    if (dead_home != slot / XLVS_CONNS_PER_GROUP) head->spilled[dead_home]--;
  }
  if (home != slot / XLVS_CONNS_PER_GROUP) head->spilled[home]++;
  *(volatile __u64*)&conn->caddr.byte[0] = *(__u64*)&insert->caddr.byte[0];
  *(volatile __u64*)&conn->caddr.byte[8] = *(__u64*)&insert->caddr.byte[8];
  *(volatile __u64*)&conn->ports = insert->ports.word;
  *(volatile __u64*)&conn->life = insert->life.word;
  xlvs_head_leave(head, seen + 2);

  xlvs_note_due(head, insert->life.life.expires_ticks);
  if (dead.word)
    xlvs_record_gone(dead_dest, dead, &insert->ret_dead_caddr,
                     /*forced=*/insert->room != XLVS_ROOM_FOR_any);
  xlvs_count_conn_made(xlvs_dest_id(insert->ports), insert->life);
  insert->ret_slot = slot;
  return XLVS_INSERT_done;
}

/* Takes the replies from older connections of the same client address and port
 * to the same real server, which came by another service, for as long as the
 * newer one lives. */
__noinline int xlvs_conn_shadow_older(const struct xlvs_packet* pkt,
                                      const struct xlvs_insert* newer) {
  if (!pkt || !newer) return 0;
  const __u32 index = newer->place.bucket;
  const __u32 home = newer->place.home % XLVS_GROUPS_PER_BUCKET;
  struct xlvs_bucket* bucket = bpf_map_lookup_elem(&xlvs_conns, &index);
  const struct xlvs_head* head = bpf_map_lookup_elem(&xlvs_heads, &index);
  const __u32 new_dest_id = xlvs_dest_id(newer->ports);
  const struct xlvs_dest* new_dest =
      bpf_map_lookup_elem(&xlvs_dests, &new_dest_id);
  if (!bucket || !head || !new_dest) return 0;
  const __u32 slots =
      head->spilled[home] ? XLVS_CONNS_PER_BUCKET : XLVS_CONNS_PER_GROUP;
  for (__u32 i = 0; i < XLVS_CONNS_PER_BUCKET && i < slots; i++) {
    const __u32 slot =
        (home * XLVS_CONNS_PER_GROUP + i) % XLVS_CONNS_PER_BUCKET;
    struct xlvs_conn* conn = &bucket->conn[slot];
    union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
    const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
    if (ports.ports.cport != pkt->sport || slot == newer->ret_slot ||
        !xlvs_addr_equal(&conn->caddr, &pkt->saddr) ||
        xlvs_life_is_over(life, pkt->now_ticks))
      continue;
    const __u32 dest_id = xlvs_dest_id(ports);
    const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &dest_id);
    if (!dest || xlvs_protocol_of_state(life.life.state) != pkt->l4_proto ||
        xlvs_method_of(life) != XLVS_METHOD_masq ||
        !xlvs_addr_equal(&dest->daddr, &new_dest->daddr) ||
        xlvs_dport(dest, life, ports.ports.vport) !=
            xlvs_dport(new_dest, newer->life, pkt->dport))
      continue;
    union xlvs_life shadowed = life;
    shadowed.life.flags |= XLVS_CONN_shadowed;
    /* If it fails, a packet of the older one came just now: it is no older. */
    __sync_val_compare_and_swap((__u64*)&conn->life, life.word, shadowed.word);
  }
  return 0;
}

/* Whether a connection in this state assures the template that holds it. */
static __always_inline bool xlvs_state_assures(__u8 state) {
  return state == XLVS_CONN_tcp_established ||
         state == XLVS_CONN_sctp_established;
}

/* A connection is in another state: what counts those in it is told. */
__noinline int xlvs_conn_changed(struct xlvs_conn* conn, __u64 old_word,
                                 __u64 next_word) {
  const union xlvs_life old = {.word = old_word};
  const union xlvs_life next = {.word = next_word};
  if (!conn) return 0;
  const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
  const __u32 dest_id = xlvs_dest_id(ports);
  if ((old.life.flags ^ next.life.flags) & XLVS_CONN_inactive)
    xlvs_count_conn_flip(dest_id, next.life.flags);
  const bool embryonic = xlvs_state_is_embryonic(next.life.state);
  if (xlvs_state_is_embryonic(old.life.state) != embryonic) {
    struct xlvs_counters* counters =
        bpf_map_lookup_elem(&xlvs_counters, &dest_id);
    if (counters) xlvs_count_embryonic(counters, dest_id, embryonic ? 1 : -1);
  }
  if ((next.life.flags & XLVS_CONN_controlled) &&
      xlvs_state_assures(next.life.state))
    xlvs_template_assure(dest_id, &conn->caddr);
  return 0;
}

/* Moves a connection on by one packet: its state, and the time until it
 * expires. The time is rewritten only when that moves it by 1/64 of the timeout
 * (at most a second), so that established connections are read-mostly. */
static __always_inline void xlvs_conn_advance(
    const struct xlvs_packet* pkt, enum xlvs_direction direction,
    struct xlvs_place place, struct xlvs_found* found,
    const struct xlvs_control* control) {
  /* Unrolled: clang turns the loop so that it is re-entered by falling through,
   * which Linux 6.1 takes for an endless one ("back-edge from insn"). */
  XLVS_UNROLL
  for (int attempt = 0; attempt < 3; attempt++) {
    const union xlvs_life old = found->life;
    const __u8 state = xlvs_state_after(pkt, direction, old.life.state);
    const __u32 timeout = control->timeout_ticks[state % XLVS_CONN_STATE_SLOTS];
    const __u32 expires = pkt->now_ticks + timeout;
    const __s32 later = expires - old.life.expires_ticks;
    if (state == old.life.state) {
      const __s32 step = timeout / 64 < XLVS_TICKS_PER_SECOND
                             ? timeout / 64 + 1
                             : XLVS_TICKS_PER_SECOND;
      if (later >= 0 && later < step) return;
    }
    union xlvs_life next = old;
    next.life.expires_ticks = expires;
    next.life.state = state;
    if (xlvs_state_is_active(state))
      next.life.flags &= ~XLVS_CONN_inactive;
    else
      next.life.flags |= XLVS_CONN_inactive;
    const __u64 seen = __sync_val_compare_and_swap((__u64*)&found->conn->life,
                                                   old.word, next.word);
    if (seen == old.word) {
      found->life = next;
      if (state != old.life.state)
        xlvs_conn_changed(found->conn, old.word, next.word);
      if (later < 0) {
        struct xlvs_head* head =
            bpf_map_lookup_elem(&xlvs_heads, &place.bucket);
        if (head) xlvs_note_due(head, expires);
      }
      return;
    }
    /* Another CPU moved it on meanwhile, or it ended. */
    found->life.word = seen;
    if (xlvs_life_is_over(found->life, pkt->now_ticks)) return;
  }
}

/* The first reply on a connection of UDP that a template holds. */
__noinline int xlvs_conn_answered(struct xlvs_conn* conn, __u64 life_word) {
  if (!conn) return 0;
  union xlvs_life next = {.word = life_word};
  next.life.flags |= XLVS_CONN_assured;
  if (__sync_val_compare_and_swap((__u64*)&conn->life, life_word, next.word) !=
      life_word)
    return 0; /* the next reply tells */
  const union xlvs_ports ports = {.word = *(volatile __u64*)&conn->ports};
  xlvs_template_assure(xlvs_dest_id(ports), &conn->caddr);
  return 0;
}

#endif
