/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Real server -> client: a reply on a Masq connection goes out as the
 * service's. A reply that the kernel should handle is passed as it came:
 * rewritten, it would carry one of the host's own addresses as source, and be
 * thrown away. */
#ifndef XLVS_BPF_PATH_TO_CLIENT_H
#define XLVS_BPF_PATH_TO_CLIENT_H

#include "bpf/emit/nexthop.h"
#include "bpf/emit/send.h"
#include "bpf/forward/masq.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/fragment.h"

/* The way to the client, as far as the packet may take it. */
static __always_inline enum xlvs_step xlvs_find_way_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_found* found,
    struct xlvs_nexthop* ret) {
  if (pkt->ttl <= 1) return XLVS_STEP_pass_reply_ttl;
  const enum xlvs_step step = xlvs_way_to_client(ctx, pkt, found, ret);
  if (step != XLVS_STEP_next) return step;
  if (ret->mtu && pkt->ip_bytes > ret->mtu) return XLVS_STEP_pass_too_big;
  return xlvs_can_send(ctx, ret->ifindex) ? XLVS_STEP_next
                                          : XLVS_STEP_pass_reply_route;
}

static __always_inline enum xlvs_step xlvs_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control) {
  struct xlvs_place place;
  struct xlvs_found found = {};
  __u32 inserts = 0;
  if (!xlvs_conn_find(pkt, XLVS_TO_CLIENT, &place, &inserts, &found))
    return XLVS_STEP_pass_reply_no_conn;
  if (shape.fragment != XLVS_FRAGMENT_later)
    xlvs_conn_advance(pkt, XLVS_TO_CLIENT, place, &found, control);
  if (shape.fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  if (found.dest->state == XLVS_DEST_available)
    xlvs_count_out(found.dest_id, pkt->ip_bytes);

  struct xlvs_nexthop way;
  enum xlvs_step step = xlvs_find_way_to_client(ctx, pkt, &found, &way);
  if (step != XLVS_STEP_next) return step;
  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
  step = xlvs_masq(ctx, &view, pkt, shape, XLVS_TO_CLIENT, &found.dest->vaddr,
                   found.vport);
  if (step != XLVS_STEP_next) return step;
  step = xlvs_hop(ctx, &view, shape, &way);
  return step == XLVS_STEP_next
             ? xlvs_sent(ctx, way.ifindex, XLVS_TO_CLIENT, XLVS_KIND_packet)
             : step;
}

#endif
