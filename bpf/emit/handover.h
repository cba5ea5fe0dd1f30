/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Packets that are ready but for what XDP cannot do: ask for the neighbour's
 * MAC address, send by a device that we are not attached to, make two of one.
 * XDP passes them up with a note before the frame (metadata); the TC program at
 * the same device's ingress reads it and has the kernel send the packet to that
 * neighbour, before IP sees it: to IP, a packet to a service would be one to
 * this host, and one from this host (a tunnel's) would be a lie. */
#ifndef XLVS_BPF_EMIT_HANDOVER_H
#define XLVS_BPF_EMIT_HANDOVER_H

#include "bpf/emit/pieces.h"
#include "bpf/lib/addr.h"
#include "bpf/tables.h"
#include "maps/step.h"

/* Writes the note. Returns `step`, which passes the packet, or a drop. */
static __always_inline enum xlvs_step xlvs_hand_over(
    struct xdp_md* ctx, const struct xlvs_handover* handover,
    enum xlvs_step step) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!control) return XLVS_STEP_drop_internal;
  const enum xlvs_handover_level level = XLVS_READ_ONCE(control->handover);
  if (handover->mtu && level != XLVS_HANDOVER_cut)
    return XLVS_STEP_drop_too_big;
  if (level == XLVS_HANDOVER_none || !handover->ifindex)
    return XLVS_STEP_drop_neighbour;
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct xlvs_note)))
    return XLVS_STEP_drop_neighbour;
  struct xlvs_note* note = (void*)(long)ctx->data_meta;
  if ((void*)(note + 1) > (void*)(long)ctx->data)
    return XLVS_STEP_drop_internal;
  note->secret = xlvs_cfg.hash_key[0];
  note->to = *handover;
  return step;
}

static __always_inline int xlvs_send_to_neighbour(
    const struct xlvs_handover* to) {
  struct bpf_redir_neigh neighbour = {};
  if (xlvs_addr_is_v4(&to->gateway)) {
    neighbour.nh_family = XLVS_AF_INET;
    neighbour.ipv4_nh = xlvs_addr_to_v4(&to->gateway);
  } else {
    neighbour.nh_family = XLVS_AF_INET6;
    __builtin_memcpy(neighbour.ipv6_nh, &to->gateway,
                     sizeof(neighbour.ipv6_nh));
  }
  return bpf_redirect_neigh(to->ifindex, &neighbour, sizeof(neighbour), 0);
}

/* The rest of a packet that goes in pieces. */
static __always_inline int xlvs_send_next_piece(struct __sk_buff* skb) {
  const __u32 mark = skb->mark;
  const struct xlvs_handover* found = bpf_map_lookup_elem(&xlvs_pieces, &mark);
  if (!found) return XLVS_TC_NEXT;
  const struct xlvs_handover to = *found;
  bpf_map_delete_elem(&xlvs_pieces, &mark);
  skb->mark = 0;
  return xlvs_cut_piece(skb, &to, true) ? XLVS_TC_DROP
                                        : xlvs_send_to_neighbour(&to);
}

/* At ingress: sends what has our note or mark, and nothing else. */
SEC("tc")
int xlvs_handover(struct __sk_buff* skb) {
  if (skb->mark) return xlvs_send_next_piece(skb);
  const struct xlvs_note* note = (const void*)(long)skb->data_meta;
  if ((const void*)(note + 1) > (const void*)(long)skb->data ||
      note->secret != xlvs_cfg.hash_key[0])
    return XLVS_TC_NEXT;
  const struct xlvs_handover to = note->to;
  /* The device adds what tags its frames have. */
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return XLVS_TC_DROP;
  if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return XLVS_TC_DROP;
  if (to.mtu && xlvs_cut_piece(skb, &to, false)) return XLVS_TC_DROP;
  return xlvs_send_to_neighbour(&to);
}

#endif
