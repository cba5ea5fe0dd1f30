/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Turns a client's packet into the ICMP error that answers it, sent from the
 * service's address as IPVS does through the kernel's icmp_send and
 * icmpv6_send: up to 576 bytes (IPv6: 1280), TOS 0xc0 (RFC 1812, 4.3.2.3), TTL
 * 64, the packet quoted as it came. At most XLVS_ICMP_PER_TICK a tick and CPU.
 */
#ifndef XLVS_BPF_EMIT_ICMP_ERROR_H
#define XLVS_BPF_EMIT_ICMP_ERROR_H

#include "bpf/lib/cursor.h"
#include "bpf/lib/icmp.h"
#include "bpf/lib/l3.h"
#include "bpf/lib/sum.h"
#include "bpf/tables.h"
#include "maps/step.h"

#define XLVS_ICMP_PER_TICK \
  125 /* 1,000 a second, as net.ipv4.icmp_msgs_per_sec */

static __always_inline bool xlvs_icmp_allowed(__u32 now_ticks) {
  struct xlvs_icmp_budget* budget = XLVS_ONLY(xlvs_icmp);
  if (!budget) return false;
  if (budget->tick != now_ticks) {
    budget->tick = now_ticks;
    budget->sent = 0;
  }
  return budget->sent++ < XLVS_ICMP_PER_TICK;
}

/* Type, code and MTU for an ending. */
static __always_inline struct xlvs_icmp_header xlvs_icmp_for(
    enum xlvs_step step, enum xlvs_l3 l3, __u32 mtu) {
  const bool v4 = l3 == XLVS_V4;
  struct xlvs_icmp_header icmp = {};
  switch (step) {
    case XLVS_STEP_tx_icmp_ttl_exceeded:
      icmp.type = v4 ? XLVS_ICMP_TIME_EXCEEDED : XLVS_ICMPV6_TIME_EXCEEDED;
      break;
    case XLVS_STEP_tx_icmp_host_unreach:
      icmp.type = v4 ? XLVS_ICMP_UNREACH : XLVS_ICMPV6_UNREACH;
      icmp.code = v4 ? XLVS_ICMP_HOST : XLVS_ICMPV6_ADDRESS;
      break;
    case XLVS_STEP_tx_icmp_frag_needed:
      icmp.type = v4 ? XLVS_ICMP_UNREACH : XLVS_ICMPV6_TOO_BIG;
      icmp.code = v4 ? XLVS_ICMP_FRAG_NEEDED : 0;
      icmp.rest = bpf_htonl(mtu);
      break;
    default:
      icmp.type = v4 ? XLVS_ICMP_UNREACH : XLVS_ICMPV6_UNREACH;
      icmp.code = v4 ? XLVS_ICMP_PORT : XLVS_ICMPV6_PORT;
  }
  return icmp;
}

/* Copies the frame's header, `bytes` long, to the new start, turned round. */
static __always_inline bool xlvs_turn_l2(struct xdp_md* ctx, __u32 from,
                                         __u32 bytes) {
  const struct ethhdr* old = xlvs_at(ctx, from, sizeof(*old));
  struct ethhdr* eth = xlvs_at(ctx, 0, sizeof(*eth));
  if (!old || !eth) return false;
  struct ethhdr turned = {.h_proto = old->h_proto};
  __builtin_memcpy(turned.h_dest, old->h_source, ETH_ALEN);
  __builtin_memcpy(turned.h_source, old->h_dest, ETH_ALEN);
  *eth = turned;
  XLVS_UNROLL
  for (int i = 0; i < XLVS_VLAN_TAGS; i++) {
    const __u32 at = sizeof(*eth) + i * sizeof(struct xlvs_vlan_header);
    if (bytes <= at) break;
    const struct xlvs_vlan_header* old_tag =
        xlvs_at(ctx, from + at, sizeof(*old_tag));
    struct xlvs_vlan_header* tag = xlvs_at(ctx, at, sizeof(*tag));
    if (!old_tag || !tag) return false;
    const struct xlvs_vlan_header copy = *old_tag;
    *tag = copy;
  }
  return true;
}

/* Rewrites the frame in place. `mtu` only of tx_icmp_frag_needed. Returns
 * `step`, or the drop that it became. */
__noinline int xlvs_icmp_error(struct xdp_md* ctx,
                               const struct xlvs_packet* pkt, __u32 step,
                               __u32 mtu) {
  if (!pkt) return XLVS_STEP_drop_internal;
  /* Of a datagram in pieces, the first is answered (RFC 1122, 3.2.2). */
  if (pkt->fragment == XLVS_FRAGMENT_later) return XLVS_STEP_drop_icmp_failed;
  if (!xlvs_icmp_allowed(pkt->now_ticks)) return XLVS_STEP_drop_icmp_rate;
  const enum xlvs_l3 l3 = pkt->l3;
  const __u32 l3_off = pkt->l3_off;
  const __u32 header_bytes =
      xlvs_l3_bytes(l3) + sizeof(struct xlvs_icmp_header);
  const __u32 quoted_max =
      (l3 == XLVS_V4 ? XLVS_ICMP_BYTES_MAX : XLVS_ICMPV6_BYTES_MAX) -
      header_bytes;
  __u32 quoted = pkt->ip_bytes;
  if (quoted > quoted_max) quoted = quoted_max;
  /* As a router quotes it: it was on its way out (IPVS, Linux). */
  if (step == XLVS_STEP_tx_icmp_frag_needed &&
      !xlvs_count_hop(ctx, xlvs_shape_of(pkt)))
    return XLVS_STEP_drop_icmp_failed;
  const int frame_bytes = bpf_xdp_get_buff_len(ctx);
  /* Also cuts off Ethernet padding, which is not part of the IP packet. */
  if (bpf_xdp_adjust_tail(ctx, (int)(l3_off + quoted) - frame_bytes) ||
      bpf_xdp_adjust_head(ctx, -(int)header_bytes))
    return XLVS_STEP_drop_icmp_failed;
  if (!xlvs_turn_l2(ctx, header_bytes, l3_off))
    return XLVS_STEP_drop_icmp_failed;
  const struct xlvs_icmp_header icmp =
      xlvs_icmp_for((enum xlvs_step)step, l3, mtu);
  return xlvs_write_icmp(ctx, l3_off, l3, &pkt->daddr, &pkt->saddr, pkt->tos,
                         quoted, &icmp)
             ? XLVS_STEP_drop_icmp_failed
             : step;
}

#endif
