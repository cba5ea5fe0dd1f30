/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Packets that are ready but for the neighbour's MAC address. XDP passes them
 * up with a note before the frame (metadata); the TC program at the same
 * device's ingress reads it and has the kernel send the packet to that
 * neighbour, resolving or confirming it, before IP sees the packet: to IP, a
 * packet to a service would be one to this host, and one from this host (a
 * tunnel's) would be a lie. */
#ifndef XLVS_BPF_EMIT_HANDOVER_H
#define XLVS_BPF_EMIT_HANDOVER_H

#include "bpf/lib/addr.h"
#include "bpf/tables.h"
#include "maps/step.h"

/* 32 bytes: the most that Linux carries from XDP to TC. */
struct xlvs_note {
  __u64 secret; /* hash_key[0]: nobody else's metadata */
  struct xlvs_addr gateway;
  __u32 ifindex;
  __u32 pad0;
};

/* Writes the note. Returns `step`, which passes the packet, or a drop. */
static __always_inline enum xlvs_step xlvs_hand_over(
    struct xdp_md* ctx, __u32 ifindex, const struct xlvs_addr* gateway,
    enum xlvs_step step) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!control || !XLVS_READ_ONCE(control->handover) || !ifindex)
    return XLVS_STEP_drop_neighbour;
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct xlvs_note)))
    return XLVS_STEP_drop_neighbour;
  struct xlvs_note* note = (void*)(long)ctx->data_meta;
  if ((void*)(note + 1) > (void*)(long)ctx->data)
    return XLVS_STEP_drop_internal;
  note->secret = xlvs_cfg.hash_key[0];
  note->gateway = *gateway;
  note->ifindex = ifindex;
  note->pad0 = 0;
  return step;
}

/* What follows in this device's chain: TC_ACT_UNSPEC; <linux/pkt_cls.h>. */
#define XLVS_TC_NEXT (-1)

/* At ingress: sends what has our note, and nothing else. */
SEC("tc")
int xlvs_handover(struct __sk_buff* skb) {
  const struct xlvs_note* note = (const void*)(long)skb->data_meta;
  if ((const void*)(note + 1) > (const void*)(long)skb->data ||
      note->secret != xlvs_cfg.hash_key[0])
    return XLVS_TC_NEXT;
  const __u32 ifindex = note->ifindex;
  struct bpf_redir_neigh neighbour = {};
  if (xlvs_addr_is_v4(&note->gateway)) {
    neighbour.nh_family = XLVS_AF_INET;
    neighbour.ipv4_nh = xlvs_addr_to_v4(&note->gateway);
  } else {
    neighbour.nh_family = XLVS_AF_INET6;
    __builtin_memcpy(neighbour.ipv6_nh, &note->gateway,
                     sizeof(neighbour.ipv6_nh));
  }
  /* The device adds what tags its frames have. */
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return XLVS_TC_NEXT;
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return XLVS_TC_NEXT;
  return bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0);
}

#endif
