/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The frame's own header: MAC addresses and up to two VLAN tags. */
#ifndef XLVS_BPF_LIB_L2_H
#define XLVS_BPF_LIB_L2_H

#include "bpf/lib/cursor.h"
#include "bpf/lib/packet.h"
#include "bpf/tables.h"

/* The tags of a way, NULL if it has none. */
static __always_inline const struct xlvs_vlan* xlvs_vlan_of(
    const struct xlvs_nexthop* way) {
  const __u32 index = way->vlan;
  if (!index) return NULL;
  const struct xlvs_vlan* vlan = bpf_map_lookup_elem(&xlvs_vlans, &index);
  return vlan && XLVS_READ_ONCE(vlan->ready) ? vlan : NULL;
}

/* Bytes of a frame's header with these tags. */
static __always_inline __u32 xlvs_l2_bytes(const struct xlvs_vlan* vlan) {
  __u32 bytes = sizeof(struct ethhdr);
  if (vlan && vlan->tag[0].tpid) bytes += sizeof(struct xlvs_vlan_header);
  if (vlan && vlan->tag[1].tpid) bytes += sizeof(struct xlvs_vlan_header);
  return bytes;
}

/* Priority and drop eligibility of a frame's tags, host order, the outer's in
 * the lower half; they stay with the packet when its tags change. */
static __always_inline __u32 xlvs_vlan_priority(struct xdp_md* ctx,
                                                __u32 l3_off) {
  if (l3_off == sizeof(struct ethhdr)) return 0;
  const struct xlvs_vlan_header* tag =
      xlvs_at(ctx, sizeof(struct ethhdr), sizeof(*tag));
  if (!tag) return 0;
  const __u32 outer = bpf_ntohs(tag->tci) & 0xf000;
  if (l3_off == sizeof(struct ethhdr) + sizeof(*tag)) return outer;
  tag = xlvs_at(ctx, sizeof(struct ethhdr) + sizeof(*tag), sizeof(*tag));
  return tag ? outer | (__u32)(bpf_ntohs(tag->tci) & 0xf000) << 16 : outer;
}

/* Both addresses of a way stand there as in a frame, and are read and written
 * by two words, as clang would copy single bytes. */
_Static_assert(__builtin_offsetof(struct xlvs_nexthop, smac) ==
                       __builtin_offsetof(struct xlvs_nexthop, dmac) +
                           ETH_ALEN &&
                   __builtin_offsetof(struct xlvs_nexthop, dmac) % 8 == 0,
               "the addresses of a way stand as in a frame");

static __always_inline __u64 xlvs_macs_first(const void* macs) {
  return *(const __u64*)macs;
}

static __always_inline __u32 xlvs_macs_last(const void* macs) {
  return *(const __u32*)(macs + 8);
}

static __always_inline void xlvs_write_macs(void* macs, __u64 first,
                                            __u32 last) {
  *(__u64*)macs = first;
  *(__u32*)(macs + 8) = last;
}

static __always_inline void xlvs_put_macs(struct ethhdr* eth,
                                          const struct xlvs_nexthop* way) {
  xlvs_write_macs(eth, xlvs_macs_first(way->dmac), xlvs_macs_last(way->dmac));
}

/* The way back: the frame's addresses, exchanged. */
static __always_inline void xlvs_learn_macs(const struct ethhdr* eth,
                                            struct xlvs_nexthop* way) {
  const __u64 first = xlvs_macs_first(eth);
  const __u64 last = xlvs_macs_last(eth);
  xlvs_write_macs(way->dmac, first >> 48 | last << 16 | first << 48,
                  first >> 16);
}

/* Writes the whole header. The cursor stands at the frame's start, and after
 * it at the network header. */
static __always_inline bool xlvs_write_l2(struct xlvs_cursor* cursor,
                                          const struct xlvs_nexthop* way,
                                          const struct xlvs_vlan* vlan,
                                          __u32 priority, __be16 ethertype) {
  struct ethhdr* eth = xlvs_take(cursor, sizeof(*eth));
  if (!eth) return false;
  xlvs_put_macs(eth, way);
  const struct xlvs_vlan_tag outer =
      vlan ? vlan->tag[0] : (struct xlvs_vlan_tag){};
  const struct xlvs_vlan_tag inner =
      vlan ? vlan->tag[1] : (struct xlvs_vlan_tag){};
  xlvs_put_ethertype(eth, outer.tpid ? bpf_htons(outer.tpid) : ethertype);
  if (!outer.tpid) return true;
  struct xlvs_vlan_header* tag = xlvs_take(cursor, sizeof(*tag));
  if (!tag) return false;
  tag->tci = bpf_htons((__u16)(outer.tci | priority));
  tag->ethertype = inner.tpid ? bpf_htons(inner.tpid) : ethertype;
  if (!inner.tpid) return true;
  tag = xlvs_take(cursor, sizeof(*tag));
  if (!tag) return false;
  tag->tci = bpf_htons((__u16)(inner.tci | priority >> 16));
  tag->ethertype = ethertype;
  return true;
}

/* Replaces the header of a frame whose tags, or whose way's tags, are not none.
 * Moves the start of the frame. 0: done. */
__noinline int xlvs_retag(struct xdp_md* ctx, __u32 l3_off, __u32 l3,
                          const struct xlvs_nexthop* way) {
  if (!way) return -1;
  const struct xlvs_vlan* vlan = xlvs_vlan_of(way);
  if (way->vlan && !vlan) return -1;
  const __u32 priority = xlvs_vlan_priority(ctx, l3_off);
  const int grows = (int)xlvs_l2_bytes(vlan) - (int)l3_off;
  if (grows && bpf_xdp_adjust_head(ctx, -grows)) return -1;
  struct xlvs_cursor cursor = xlvs_cursor(ctx);
  return xlvs_write_l2(&cursor, way, vlan, priority,
                       xlvs_ethertype((enum xlvs_l3)l3))
             ? 0
             : -1;
}

#endif
