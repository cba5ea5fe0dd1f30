/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The way on: interface and MAC addresses for a packet, before anything in it
 * is changed. Cached (a dest keeps its own next hop, a client's is shared and
 * named by its connection), and asked of the kernel's FIB again when older than
 * a second. The kernel resolves neighbours: a packet to a real server whose MAC
 * is not known is handed to it, rewritten. */
#ifndef XLVS_BPF_EMIT_NEXTHOP_H
#define XLVS_BPF_EMIT_NEXTHOP_H

#include "bpf/lib/addr.h"
#include "bpf/lib/cursor.h"
#include "bpf/lib/found.h"
#include "bpf/tables.h"

#define XLVS_AF_INET 2
#define XLVS_FRESH_TICKS XLVS_TICKS_PER_SECOND
/* Every connection asks the FIB for itself once in this many ticks. */
#define XLVS_REVALIDATE_TICKS 64
#define XLVS_CONFIRM_SECONDS 32

struct xlvs_fib_query {
  struct xlvs_addr saddr;
  struct xlvs_addr daddr;
  __u32 l4_proto;
  __u32 now_ticks;
  struct xlvs_nexthop ret; /* filled on BPF_FIB_LKUP_RET_SUCCESS */
};

/* Returns BPF_FIB_LKUP_RET_* or a negative errno. */
__noinline int xlvs_fib(struct xdp_md* ctx, struct xlvs_fib_query* query) {
  if (!query) return -1;
  struct bpf_fib_lookup fib = {
      .family = XLVS_AF_INET,
      .l4_protocol = query->l4_proto,
      .ifindex = ctx->ingress_ifindex,
      .ipv4_src = xlvs_addr_to_v4(&query->saddr),
      .ipv4_dst = xlvs_addr_to_v4(&query->daddr),
  };
  const int result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
  if (result != BPF_FIB_LKUP_RET_SUCCESS) return result;
  query->ret.ifindex = fib.ifindex;
  query->ret.fresh_ticks = query->now_ticks;
  query->ret.mtu = fib.mtu_result;
  __builtin_memcpy(query->ret.dmac, fib.dmac, ETH_ALEN);
  __builtin_memcpy(query->ret.smac, fib.smac, ETH_ALEN);
  return result;
}

/* Puts a next hop where other CPUs read it: unknown while half written. */
static __always_inline void xlvs_nexthop_store(
    struct xlvs_nexthop* to, const struct xlvs_nexthop* from) {
  XLVS_WRITE_ONCE(to->ifindex, 0);
  __builtin_memcpy(to->dmac, from->dmac, ETH_ALEN);
  __builtin_memcpy(to->smac, from->smac, ETH_ALEN);
  XLVS_WRITE_ONCE(to->mtu, from->mtu);
  XLVS_WRITE_ONCE(to->fresh_ticks, from->fresh_ticks);
  XLVS_WRITE_ONCE(to->ifindex, from->ifindex);
}

static __always_inline bool xlvs_same_way(const struct xlvs_nexthop* a,
                                          const struct xlvs_nexthop* b) {
  return a->ifindex == b->ifindex && xlvs_mac_equal(a->dmac, b->dmac) &&
         xlvs_mac_equal(a->smac, b->smac) && a->mtu == b->mtu;
}

static __always_inline bool xlvs_is_fresh(const struct xlvs_nexthop* nexthop,
                                          __u32 now_ticks) {
  return now_ticks - XLVS_READ_ONCE(nexthop->fresh_ticks) < XLVS_FRESH_TICKS;
}

/* Whether the kernel should send the next packet itself. It confirms a
 * neighbour's MAC address only when it uses it, and would keep a stale one for
 * ever: so it gets one packet for each real server in half a minute. Asked when
 * the FIB is, once a second. */
static __always_inline bool xlvs_neighbour_is_due(const struct xlvs_addr* daddr,
                                                  __u32 now_ticks) {
  return (now_ticks / XLVS_TICKS_PER_SECOND + daddr->byte[15]) %
             XLVS_CONFIRM_SECONDS ==
         0;
}

/* The way to a real server. Returns next with `ret` filled; an ICMP ending; or
 * pass_neighbour(_check) / pass_route: rewrite the packet and let the kernel
 * send it.
 */
static __always_inline enum xlvs_step xlvs_way_to_dest(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_dest* dest,
    struct xlvs_nexthop* ret) {
  *ret = dest->nexthop;
  if (ret->ifindex && xlvs_is_fresh(&dest->nexthop, pkt->now_ticks))
    return XLVS_STEP_next;
  struct xlvs_fib_query query = {.saddr = pkt->saddr,
                                 .daddr = dest->daddr,
                                 .l4_proto = pkt->l4_proto,
                                 .now_ticks = pkt->now_ticks};
  switch (xlvs_fib(ctx, &query)) {
    case BPF_FIB_LKUP_RET_SUCCESS:
      if (ret->ifindex && xlvs_same_way(ret, &query.ret))
        XLVS_WRITE_ONCE(dest->nexthop.fresh_ticks, pkt->now_ticks);
      else
        xlvs_nexthop_store(&dest->nexthop, &query.ret);
      *ret = query.ret;
      return xlvs_neighbour_is_due(&dest->daddr, pkt->now_ticks)
                 ? XLVS_STEP_pass_neighbour_check
                 : XLVS_STEP_next;
    case BPF_FIB_LKUP_RET_NO_NEIGH:
      XLVS_WRITE_ONCE(dest->nexthop.ifindex, 0);
      return XLVS_STEP_pass_neighbour;
    case BPF_FIB_LKUP_RET_BLACKHOLE:
    case BPF_FIB_LKUP_RET_UNREACHABLE:
    case BPF_FIB_LKUP_RET_PROHIBIT:
      return XLVS_STEP_tx_icmp_host_unreach;
    default: /* a local address, no route, a tunnel: the kernel knows */
      return XLVS_STEP_pass_route;
  }
}

/* The index of this way in xlvs_nexthops, entered if it is new; 0 if there is
 * no room near its place. */
__noinline int xlvs_nexthop_index(const struct xlvs_nexthop* way) {
  if (!way) return 0;
  __u32 hash = way->ifindex * 0x9e3779b1U;
  for (int i = 0; i < ETH_ALEN; i++)
    hash = (hash ^ way->dmac[i] ^ (__u32)way->smac[i] << 8) * 0x9e3779b1U;
  hash >>= 16;
  for (int probe = 0; probe < 8; probe++) {
    const __u32 index = (hash + probe) % XLVS_NEXTHOPS;
    if (!index) continue; /* 0 means none */
    struct xlvs_nexthop* entry = bpf_map_lookup_elem(&xlvs_nexthops, &index);
    if (!entry) return 0;
    /* ~0: another CPU is writing the entry. */
    const __u32 seen = __sync_val_compare_and_swap(&entry->ifindex, 0, ~0U);
    if (!seen) {
      __builtin_memcpy(entry->dmac, way->dmac, ETH_ALEN);
      __builtin_memcpy(entry->smac, way->smac, ETH_ALEN);
      entry->mtu = way->mtu;
      XLVS_WRITE_ONCE(entry->fresh_ticks, way->fresh_ticks);
      XLVS_WRITE_ONCE(entry->ifindex, way->ifindex);
      return index;
    }
    if (seen == way->ifindex && xlvs_mac_equal(entry->dmac, way->dmac) &&
        xlvs_mac_equal(entry->smac, way->smac))
      return index;
  }
  return 0;
}

/* The way back to where a request came from, learnt from its frame: what there
 * is until the FIB is asked, and where the FIB knows no neighbour (the kernel
 * does not learn neighbours from frames that it never sees). */
static __always_inline __u16 xlvs_nexthop_learn(struct xdp_md* ctx,
                                                const struct ethhdr* eth) {
  struct xlvs_nexthop way = {.ifindex = ctx->ingress_ifindex};
  __builtin_memcpy(way.dmac, eth->h_source, ETH_ALEN);
  __builtin_memcpy(way.smac, eth->h_dest, ETH_ALEN);
  return xlvs_nexthop_index(&way);
}

/* Asks the FIB for the way to a client and has the connection remember it.
 * Without a better answer the way that the request came stays. */
static __always_inline enum xlvs_step xlvs_way_to_client_from_fib(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_found* found,
    struct xlvs_nexthop* ret) {
  struct xlvs_fib_query query = {.saddr = found->dest->vaddr,
                                 .daddr = pkt->daddr,
                                 .l4_proto = pkt->l4_proto,
                                 .now_ticks = pkt->now_ticks};
  __u32 index = found->life.life.nexthop;
  const int result = xlvs_fib(ctx, &query);
  if (result == BPF_FIB_LKUP_RET_BLACKHOLE ||
      result == BPF_FIB_LKUP_RET_UNREACHABLE ||
      result == BPF_FIB_LKUP_RET_PROHIBIT)
    return XLVS_STEP_pass_reply_route;
  if (result == BPF_FIB_LKUP_RET_SUCCESS) {
    *ret = query.ret;
    index = xlvs_nexthop_index(&query.ret);
    if (!index) return XLVS_STEP_next;
  } else if (!index) {
    return XLVS_STEP_pass_reply_route;
  }
  struct xlvs_nexthop* entry = bpf_map_lookup_elem(&xlvs_nexthops, &index);
  if (!entry) return XLVS_STEP_drop_internal;
  if (result == BPF_FIB_LKUP_RET_SUCCESS)
    XLVS_WRITE_ONCE(entry->mtu, query.ret.mtu);
  XLVS_WRITE_ONCE(entry->fresh_ticks, pkt->now_ticks);
  union xlvs_life next = found->life;
  next.life.nexthop = index;
  next.life.flags |= XLVS_CONN_routed;
  /* Lost to another CPU's change: the next packet asks again. */
  if (next.word != found->life.word &&
      __sync_val_compare_and_swap((__u64*)&found->conn->life, found->life.word,
                                  next.word) == found->life.word)
    found->life = next;
  *ret = *entry;
  return XLVS_STEP_next;
}

/* The way to a client. Returns next with `ret` filled, or pass_reply_route. */
static __always_inline enum xlvs_step xlvs_way_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_found* found,
    struct xlvs_nexthop* ret) {
  const __u32 index = found->life.life.nexthop;
  if (index && (found->life.life.flags & XLVS_CONN_routed) &&
      (pkt->now_ticks + pkt->dport) % XLVS_REVALIDATE_TICKS) {
    const struct xlvs_nexthop* entry =
        bpf_map_lookup_elem(&xlvs_nexthops, &index);
    if (entry && xlvs_is_fresh(entry, pkt->now_ticks)) {
      *ret = *entry;
      return XLVS_STEP_next;
    }
  }
  return xlvs_way_to_client_from_fib(ctx, pkt, found, ret);
}

#endif
