/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Fragments an IPv4 packet that may be (DF is not set) and is too big for the
 * way to its real server (RFC 791, 3.2). Of a tunnel's it is the client's
 * packet that is cut, not the outer one as in IPVS: then each piece is a tunnel
 * packet of its own, and whoever takes it out needs no reassembly.
 *
 * A program sends one packet for one. So each run cuts off the first piece and
 * gives a clone of the whole to the same device's ingress again, with a mark
 * that says that its first piece has gone. */
#ifndef XLVS_BPF_EMIT_PIECES_H
#define XLVS_BPF_EMIT_PIECES_H

#include "bpf/lib/csum.h"
#include "bpf/lib/headers.h"
#include "bpf/lib/l3.h"
#include "bpf/tables.h"

/* <linux/pkt_cls.h>: TC_ACT_UNSPEC, what follows in the device's chain;
 * TC_ACT_SHOT. */
#define XLVS_TC_NEXT (-1)
#define XLVS_TC_DROP 2

/* Before the frame; 32 bytes are the most that Linux carries from XDP to TC. */
struct xlvs_note {
  __u64 secret; /* hash_key[0]: nobody else's metadata */
  struct xlvs_handover to;
};

#define XLVS_FRAME_HEADER ((__u32)sizeof(struct ethhdr)) /* tags are gone */
#define XLVS_SHIM_MAX 12U                                /* GUE's */

static __always_inline __u32 xlvs_base_bytes(const struct __sk_buff* skb) {
  return skb->protocol == bpf_htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr)
                                                : sizeof(struct iphdr);
}

/* Removes the first `bytes` of the inner packet's payload. The kernel removes
 * behind the outer header: what stood there is written anew. 0: done. */
static __always_inline int xlvs_drop_payload(struct __sk_buff* skb,
                                             __u32 inner_off, __u32 bytes) {
  __u8 kept[XLVS_SHIM_MAX + sizeof(struct iphdr)];
  const __u32 base = xlvs_base_bytes(skb);
  __u32 kept_bytes = 0;
  if (inner_off) {
    const __u32 shim = inner_off - base;
    if (shim > XLVS_SHIM_MAX) return -1;
    kept_bytes = shim + sizeof(struct iphdr);
    if (bpf_skb_load_bytes(skb, XLVS_FRAME_HEADER + base, kept, kept_bytes))
      return -1;
  }
  if (bpf_skb_adjust_room(skb, -(__s32)bytes, BPF_ADJ_ROOM_NET, 0)) return -1;
  return kept_bytes && bpf_skb_store_bytes(skb, XLVS_FRAME_HEADER + base, kept,
                                           kept_bytes, 0)
             ? -1
             : 0;
}

static __always_inline int xlvs_put_inner(struct __sk_buff* skb,
                                          __u32 inner_off, struct iphdr* ip) {
  ip->check = 0;
  ip->check = xlvs_csum_fold(xlvs_sum_v4_header(ip));
  return bpf_skb_store_bytes(skb, XLVS_FRAME_HEADER + inner_off, ip,
                             sizeof(*ip), 0);
}

/* Lengths before the inner packet, which has `inner_bytes`. */
static __always_inline int xlvs_put_outer(struct __sk_buff* skb,
                                          __u32 inner_off, __u32 inner_bytes) {
  if (!inner_off) return 0;
  const __u32 base = xlvs_base_bytes(skb);
  const __u32 at = XLVS_FRAME_HEADER;
  const __be16 l4_bytes = bpf_htons(inner_off - base + inner_bytes);
  if (inner_off - base == XLVS_SHIM_MAX &&
      bpf_skb_store_bytes(skb, at + base + offsetof(struct udphdr, len),
                          &l4_bytes, sizeof(l4_bytes), 0))
    return -1;
  if (base == sizeof(struct ipv6hdr))
    return bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, payload_len),
                               &l4_bytes, sizeof(l4_bytes), 0);
  struct iphdr ip;
  if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip))) return -1;
  ip.tot_len = bpf_htons(inner_off + inner_bytes);
  return xlvs_put_inner(skb, 0, &ip);
}

/* Has the packet, as it is now, come again. 0: done. */
static __always_inline int xlvs_come_again(struct __sk_buff* skb,
                                           const struct xlvs_handover* to) {
  const __u32 mark = bpf_get_prandom_u32() | 1;
  if (bpf_map_update_elem(&xlvs_pieces, &mark, to, BPF_ANY)) return -1;
  skb->mark = mark;
  const long failed = bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
  skb->mark = 0;
  return failed ? -1 : 0;
}

/* Leaves one piece in `skb`: the first, or, of what comes again, the first that
 * has not gone. Has the rest come (again). 0: done. */
static __always_inline int xlvs_cut_piece(struct __sk_buff* skb,
                                          const struct xlvs_handover* to,
                                          bool again) {
  const __u32 inner_off = to->inner_off;
  const __u32 room =
      (to->mtu - inner_off - (__u32)sizeof(struct iphdr)) & 0xff8;
  struct iphdr ip;
  if (bpf_skb_load_bytes(skb, XLVS_FRAME_HEADER + inner_off, &ip, sizeof(ip)) ||
      ip.ihl != 5 || !room)
    return -1;
  __u32 payload = bpf_ntohs(ip.tot_len) - (__u32)sizeof(ip);
  if (again) {
    if (payload <= room || xlvs_drop_payload(skb, inner_off, room)) return -1;
    payload -= room;
    ip.tot_len = bpf_htons(sizeof(ip) + payload);
    ip.frag_off = bpf_htons(bpf_ntohs(ip.frag_off) + room / 8);
  }
  if (payload > room) {
    if (xlvs_put_inner(skb, inner_off, &ip) || xlvs_come_again(skb, to) ||
        bpf_skb_change_tail(
            skb, XLVS_FRAME_HEADER + inner_off + sizeof(ip) + room, 0))
      return -1;
    payload = room;
    ip.tot_len = bpf_htons(sizeof(ip) + room);
    ip.frag_off |= bpf_htons(XLVS_IP_MORE_FRAGMENTS);
  }
  return xlvs_put_inner(skb, inner_off, &ip) ||
         xlvs_put_outer(skb, inner_off, sizeof(ip) + payload);
}

#endif
