/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Sends a packet on its way: the frame's header, and out. */
#ifndef XLVS_BPF_EMIT_SEND_H
#define XLVS_BPF_EMIT_SEND_H

#include "bpf/lib/l2.h"
#include "bpf/lib/l3.h"
#include "bpf/tables.h"
#include "maps/step.h"

/* Whether we may send from this interface: it is the one that the packet came
 * in by, or one that we are attached to (then the redirect is prepared). */
static __always_inline bool xlvs_can_send(struct xdp_md* ctx, __u32 ifindex) {
  if (ifindex == ctx->ingress_ifindex) return true;
  return bpf_redirect_map(&xlvs_devices, ifindex, XDP_ABORTED) == XDP_REDIRECT;
}

/* MAC addresses and tags of the way. Returns next or a drop. */
static __always_inline enum xlvs_step xlvs_set_l2(
    struct xdp_md* ctx, struct xlvs_shape shape,
    const struct xlvs_nexthop* way) {
  if (shape.l3_off == sizeof(struct ethhdr) && !way->vlan) {
    struct ethhdr* eth = xlvs_at(ctx, 0, sizeof(*eth));
    if (!eth) return XLVS_STEP_drop_internal;
    xlvs_put_macs(eth, way);
    return XLVS_STEP_next;
  }
  return xlvs_retag(ctx, shape.l3_off, shape.l3, way)
             ? XLVS_STEP_drop_no_headroom
             : XLVS_STEP_next;
}

/* One hop less, and the frame's header for the way. */
static __always_inline enum xlvs_step xlvs_hop(struct xdp_md* ctx,
                                               const struct xlvs_view* view,
                                               struct xlvs_shape shape,
                                               const struct xlvs_nexthop* way) {
  xlvs_mend_l3(view->l3, view->family,
               view->l3_change + xlvs_decrement_ttl(view->l3, view->family));
  return xlvs_set_l2(ctx, shape, way);
}

/* What a packet is, for the name of its ending. */
enum xlvs_kind { XLVS_KIND_packet, XLVS_KIND_error };

static __always_inline enum xlvs_step xlvs_sent(struct xdp_md* ctx,
                                                __u32 ifindex,
                                                enum xlvs_direction direction,
                                                enum xlvs_kind kind) {
  const bool back = ifindex == ctx->ingress_ifindex;
  if (direction == XLVS_TO_CLIENT) {
    if (kind == XLVS_KIND_error)
      return back ? XLVS_STEP_tx_error_to_client
                  : XLVS_STEP_redirect_error_to_client;
    return back ? XLVS_STEP_tx_dest_to_client
                : XLVS_STEP_redirect_dest_to_client;
  }
  if (kind == XLVS_KIND_error)
    return back ? XLVS_STEP_tx_error_to_dest : XLVS_STEP_redirect_error_to_dest;
  return back ? XLVS_STEP_tx_client_to_dest : XLVS_STEP_redirect_client_to_dest;
}

#endif
