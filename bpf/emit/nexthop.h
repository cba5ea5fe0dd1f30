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
#include "bpf/lib/l2.h"
#include "bpf/lib/way.h"
#include "bpf/tables.h"

#define XLVS_FIB_LOOKUP_SRC (1U << 4) /* <linux/bpf.h> of Linux 6.7 */
#define XLVS_FRESH_TICKS XLVS_TICKS_PER_SECOND
/* Every connection asks the FIB for itself once in this many ticks. */
#define XLVS_REVALIDATE_TICKS 64
#define XLVS_CONFIRM_SECONDS 32

/* The index of these tags in xlvs_vlans, entered if they are new; 0 if there is
 * no room near their place. */
__noinline int xlvs_vlan_index(__u32 outer, __u32 inner) {
  const __u32 hash = ((outer * 31) ^ inner) * 0x9e3779b1U >> 16;
  XLVS_NO_UNROLL
  for (int probe = 0; probe < 8; probe++) {
    const __u32 index = (hash + probe) % XLVS_VLANS;
    if (!index) continue; /* 0 means none */
    struct xlvs_vlan* entry = bpf_map_lookup_elem(&xlvs_vlans, &index);
    if (!entry) return 0;
    __u32* tags = (__u32*)entry->tag;
    if (!__sync_val_compare_and_swap(&entry->taken, 0, 1)) {
      tags[0] = outer;
      tags[1] = inner;
      XLVS_WRITE_ONCE(entry->ready, 1);
      return index;
    }
    if (XLVS_READ_ONCE(entry->ready) && tags[0] == outer && tags[1] == inner)
      return index;
  }
  return 0;
}

static __always_inline __u32 xlvs_tag_word(struct xlvs_vlan_tag tag) {
  return tag.tpid | (__u32)tag.tci << 16;
}

/* A VLAN device's frames leave by the device below it, tagged. Leaves a way by
 * any other device as it is. */
static __always_inline void xlvs_resolve_link(struct xlvs_nexthop* way) {
  const __u32 ifindex = way->ifindex;
  const struct xlvs_link* link = bpf_map_lookup_elem(&xlvs_links, &ifindex);
  if (!link) return;
  const int vlan =
      xlvs_vlan_index(xlvs_tag_word(link->tag[0]), xlvs_tag_word(link->tag[1]));
  if (!vlan) return;
  way->ifindex = link->ifindex;
  way->vlan = vlan;
}

/* Returns BPF_FIB_LKUP_RET_* or a negative errno. */
__noinline int xlvs_fib(struct xdp_md* ctx, struct xlvs_fib_query* query) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!query || !scratch) return -1;
  struct bpf_fib_lookup* fib = &scratch->fib;
  __builtin_memset(fib, 0, sizeof(*fib));
  fib->l4_protocol = query->l4_proto;
  fib->ifindex = ctx->ingress_ifindex;
  const bool v4 = xlvs_addr_is_v4(&query->daddr);
  if (v4) {
    fib->family = XLVS_AF_INET;
    fib->ipv4_dst = xlvs_addr_to_v4(&query->daddr);
    if (xlvs_addr_is_v4(&query->saddr))
      fib->ipv4_src = xlvs_addr_to_v4(&query->saddr);
  } else {
    fib->family = XLVS_AF_INET6;
    __builtin_memcpy(fib->ipv6_dst, &query->daddr, sizeof(fib->ipv6_dst));
    if (!xlvs_addr_is_v4(&query->saddr))
      __builtin_memcpy(fib->ipv6_src, &query->saddr, sizeof(fib->ipv6_src));
  }
  const bool source = xlvs_cfg.fib_source && query->wants_source;
  const int result =
      bpf_fib_lookup(ctx, fib, sizeof(*fib), source ? XLVS_FIB_LOOKUP_SRC : 0);
  if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
    return result;
  /* An IPv4 route may have an IPv6 gateway (RFC 5549). */
  if (fib->family == XLVS_AF_INET)
    xlvs_addr_from_v4(fib->ipv4_dst, &query->ret_gateway);
  else
    __builtin_memcpy(&query->ret_gateway, fib->ipv6_dst,
                     sizeof(query->ret_gateway));
  if (source) {
    if (v4)
      xlvs_addr_from_v4(fib->ipv4_src, &query->ret_saddr);
    else
      __builtin_memcpy(&query->ret_saddr, fib->ipv6_src,
                       sizeof(query->ret_saddr));
  }
  query->ret.ifindex = fib->ifindex;
  query->ret_route_ifindex = fib->ifindex;
  if (result != BPF_FIB_LKUP_RET_SUCCESS) return result;
  query->ret.fresh_ticks = query->now_ticks;
  query->ret.mtu = fib->mtu_result;
  __builtin_memcpy(query->ret.dmac, fib->dmac, ETH_ALEN);
  __builtin_memcpy(query->ret.smac, fib->smac, ETH_ALEN);
  xlvs_resolve_link(&query->ret);
  return result;
}

/* Puts a next hop where other CPUs read it: unknown while half written. */
static __always_inline void xlvs_nexthop_store(
    struct xlvs_nexthop* to, const struct xlvs_nexthop* from) {
  XLVS_WRITE_ONCE(to->ifindex, 0);
  __builtin_memcpy(to->dmac, from->dmac, ETH_ALEN);
  __builtin_memcpy(to->smac, from->smac, ETH_ALEN);
  XLVS_WRITE_ONCE(to->mtu, from->mtu);
  XLVS_WRITE_ONCE(to->vlan, from->vlan);
  XLVS_WRITE_ONCE(to->fresh_ticks, from->fresh_ticks);
  XLVS_WRITE_ONCE(to->ifindex, from->ifindex);
}

static __always_inline bool xlvs_same_way(const struct xlvs_nexthop* a,
                                          const struct xlvs_nexthop* b) {
  return a->ifindex == b->ifindex && xlvs_mac_equal(a->dmac, b->dmac) &&
         xlvs_mac_equal(a->smac, b->smac) && a->mtu == b->mtu &&
         a->vlan == b->vlan;
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

/* The way to a real server, by the FIB; the dest remembers it for a second.
 * Returns next with `ret` filled; an ICMP ending; or pass_neighbour(_check) /
 * pass_route: let the kernel send it. */
__noinline int xlvs_way_to_dest(struct xdp_md* ctx,
                                const struct xlvs_packet* pkt,
                                struct xlvs_dest* dest, __u32 method,
                                struct xlvs_way* ret) {
  if (!pkt || !dest || !ret) return XLVS_STEP_drop_internal;
  ret->nexthop = dest->nexthop;
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return XLVS_STEP_drop_internal;
  struct xlvs_fib_query* query = &scratch->query;
  __builtin_memset(query, 0, sizeof(*query));
  query->daddr = dest->daddr;
  query->l4_proto = pkt->l4_proto;
  query->now_ticks = pkt->now_ticks;
  query->wants_source = method == XLVS_METHOD_tunnel;
  query->saddr = method == XLVS_METHOD_tunnel ? dest->tunnel_saddr : pkt->saddr;
  const int result = xlvs_fib(ctx, query);
  ret->gateway = query->ret_gateway;
  ret->route_ifindex = query->ret_route_ifindex;
  if (method == XLVS_METHOD_tunnel && !xlvs_addr_is_zero(&query->ret_saddr) &&
      !xlvs_addr_equal(&query->ret_saddr, &dest->tunnel_saddr))
    dest->tunnel_saddr = query->ret_saddr;
  switch (result) {
    case BPF_FIB_LKUP_RET_SUCCESS:
      if (ret->nexthop.ifindex && xlvs_same_way(&ret->nexthop, &query->ret))
        XLVS_WRITE_ONCE(dest->nexthop.fresh_ticks, pkt->now_ticks);
      else
        xlvs_nexthop_store(&dest->nexthop, &query->ret);
      ret->nexthop = query->ret;
      return xlvs_neighbour_is_due(&dest->daddr, pkt->now_ticks)
                 ? XLVS_STEP_pass_neighbour_check
                 : XLVS_STEP_next;
    case BPF_FIB_LKUP_RET_NO_NEIGH:
      XLVS_WRITE_ONCE(dest->nexthop.ifindex, 0);
      return XLVS_STEP_pass_neighbour;
    case BPF_FIB_LKUP_RET_NOT_FWDED: /* no route */
    case BPF_FIB_LKUP_RET_BLACKHOLE:
    case BPF_FIB_LKUP_RET_UNREACHABLE:
    case BPF_FIB_LKUP_RET_PROHIBIT:
      XLVS_WRITE_ONCE(dest->nexthop.ifindex, 0);
      return XLVS_STEP_tx_icmp_host_unreach;
    default:
      /* A route by a tunnel, forwarding is off: the kernel knows better, but
       * would take a packet that is not rewritten for its own. */
      XLVS_WRITE_ONCE(dest->nexthop.ifindex, 0);
      return method == XLVS_METHOD_masq ? XLVS_STEP_pass_route
                                        : XLVS_STEP_tx_icmp_host_unreach;
  }
}

/* The index of this way in xlvs_nexthops, entered if it is new; 0 if there is
 * no room near its place. */
static __always_inline int xlvs_nexthop_enter(const struct xlvs_nexthop* way) {
  const __u64 mixed =
      (xlvs_macs_first(way->dmac) ^ way->ifindex) * 0x9e3779b97f4a7c15ULL ^
      (xlvs_macs_last(way->dmac) | (__u64)way->vlan << 32);
  const __u32 hash = (mixed * 0x9e3779b97f4a7c15ULL) >> 48;
  XLVS_NO_UNROLL
  for (int probe = 0; probe < 8; probe++) {
    const __u32 index = (hash + probe) % XLVS_NEXTHOPS;
    if (!index) continue; /* 0 means none */
    struct xlvs_nexthop* entry = bpf_map_lookup_elem(&xlvs_nexthops, &index);
    if (!entry) return 0;
    __u32 seen = XLVS_READ_ONCE(entry->ifindex);
    /* ~0: another CPU is writing the entry. Written to only if it is free: all
     * CPUs read it for each new connection. */
    if (!seen) seen = __sync_val_compare_and_swap(&entry->ifindex, 0, ~0U);
    if (!seen) {
      __builtin_memcpy(entry->dmac, way->dmac, ETH_ALEN);
      __builtin_memcpy(entry->smac, way->smac, ETH_ALEN);
      entry->mtu = way->mtu;
      entry->vlan = way->vlan;
      XLVS_WRITE_ONCE(entry->fresh_ticks, way->fresh_ticks);
      XLVS_WRITE_ONCE(entry->ifindex, way->ifindex);
      return index;
    }
    if (seen == way->ifindex && entry->vlan == way->vlan &&
        xlvs_macs_first(entry->dmac) == xlvs_macs_first(way->dmac) &&
        xlvs_macs_last(entry->dmac) == xlvs_macs_last(way->dmac))
      return index;
  }
  return 0;
}

/* The same for who does it seldom. */
__noinline int xlvs_nexthop_index(const struct xlvs_nexthop* way) {
  return way ? xlvs_nexthop_enter(way) : 0;
}

/* The way back to where a request came from, learnt from its frame: what there
 * is until the FIB is asked, and where the FIB knows no neighbour (the kernel
 * does not learn neighbours from frames that it never sees). `way` is room for
 * it. */
static __always_inline int xlvs_nexthop_learn(struct xdp_md* ctx, __u32 l3_off,
                                              struct xlvs_nexthop* way) {
  struct xlvs_cursor cursor = xlvs_cursor(ctx);
  const struct ethhdr* eth = xlvs_take(&cursor, sizeof(*eth));
  if (!eth) return 0;
  __builtin_memset(way, 0, sizeof(*way));
  way->ifindex = ctx->ingress_ifindex;
  xlvs_learn_macs(eth, way);
  if (l3_off != sizeof(*eth)) {
    struct xlvs_vlan_tag tags[XLVS_VLAN_TAGS] = {};
    __be16 tpid = eth->h_proto;
    XLVS_UNROLL
    for (int i = 0; i < XLVS_VLAN_TAGS; i++) {
      if (l3_off < sizeof(*eth) + (i + 1) * sizeof(struct xlvs_vlan_header))
        break;
      const struct xlvs_vlan_header* tag = xlvs_take(&cursor, sizeof(*tag));
      if (!tag) return 0;
      tags[i].tpid = bpf_ntohs(tpid);
      tags[i].tci = bpf_ntohs(tag->tci) & 0x0fff;
      tpid = tag->ethertype;
    }
    way->vlan = xlvs_vlan_index(xlvs_tag_word(tags[0]), xlvs_tag_word(tags[1]));
    if (!way->vlan) return 0;
  }
  return xlvs_nexthop_enter(way);
}

/* Asks the FIB for the way to a client and has the connection remember it.
 * Without a better answer the way that the request came stays.*/
__noinline int xlvs_way_to_client_by_fib(struct xdp_md* ctx,
                                         const struct xlvs_packet* pkt,
                                         struct xlvs_conn* conn,
                                         const struct xlvs_addr* vaddr,
                                         struct xlvs_nexthop* ret) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!pkt || !conn || !vaddr || !ret || !scratch)
    return XLVS_STEP_drop_internal;
  const union xlvs_life life = {.word = *(volatile __u64*)&conn->life};
  struct xlvs_fib_query* query = &scratch->query;
  __builtin_memset(query, 0, sizeof(*query));
  query->saddr = *vaddr; /* what it goes out with */
  query->daddr = pkt->daddr;
  query->l4_proto = pkt->l4_proto;
  query->now_ticks = pkt->now_ticks;
  __u32 index = life.life.nexthop;
  const int result = xlvs_fib(ctx, query);
  if (result == BPF_FIB_LKUP_RET_BLACKHOLE ||
      result == BPF_FIB_LKUP_RET_UNREACHABLE ||
      result == BPF_FIB_LKUP_RET_PROHIBIT)
    return XLVS_STEP_pass_reply_route;
  if (result == BPF_FIB_LKUP_RET_SUCCESS) {
    *ret = query->ret;
    index = xlvs_nexthop_index(&query->ret);
    if (!index) return XLVS_STEP_next;
  } else if (!index) {
    return XLVS_STEP_pass_reply_route;
  }
  struct xlvs_nexthop* entry = bpf_map_lookup_elem(&xlvs_nexthops, &index);
  if (!entry) return XLVS_STEP_drop_internal;
  if (result == BPF_FIB_LKUP_RET_SUCCESS)
    XLVS_WRITE_ONCE(entry->mtu, query->ret.mtu);
  XLVS_WRITE_ONCE(entry->fresh_ticks, pkt->now_ticks);
  union xlvs_life next = life;
  next.life.nexthop = index;
  next.life.flags |= XLVS_CONN_routed;
  /* Lost to another CPU's change: the next packet asks again. */
  if (next.word != life.word)
    __sync_val_compare_and_swap((__u64*)&conn->life, life.word, next.word);
  *ret = *entry;
  return XLVS_STEP_next;
}

/* The way to a client. Returns next with `ret` filled, or pass_reply_route. */
static __always_inline enum xlvs_step xlvs_way_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_found* found,
    const struct xlvs_addr* vaddr, struct xlvs_nexthop* ret) {
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
  return (enum xlvs_step)xlvs_way_to_client_by_fib(ctx, pkt, found->conn, vaddr,
                                                   ret);
}

#endif
