/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Client -> service: the connection, found or made, and delivery. */
#ifndef XLVS_BPF_PATH_TO_DEST_H
#define XLVS_BPF_PATH_TO_DEST_H

#include "bpf/lookup/fragment.h"
#include "bpf/path/begin.h"
#include "bpf/path/deliver.h"

/* Whether a SYN or INIT starts anew although the old connection's record is
 * still there (IPVS's conn_reuse_mode 1). */
static __always_inline bool xlvs_is_reused(const struct xlvs_packet* pkt,
                                           const struct xlvs_found* found) {
  const __u8 state = found->life.life.state;
  if (pkt->l4_proto == IPPROTO_TCP)
    return pkt->event == XLVS_TCP_syn &&
           (state == XLVS_CONN_tcp_time_wait || state == XLVS_CONN_tcp_close);
  return pkt->l4_proto == XLVS_IPPROTO_SCTP && pkt->event == XLVS_SCTP_init &&
         state == XLVS_CONN_sctp_closed;
}

/* To the connection's dest, or to one chosen now. */
static __always_inline enum xlvs_step xlvs_to_dest(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control, __u32* ret_mtu) {
  struct xlvs_place place;
  struct xlvs_found found = {};
  __u32 inserts = 0;
  const bool known =
      xlvs_conn_find(pkt, XLVS_TO_DEST, &place, &inserts, &found);
  const bool reused = known && xlvs_is_reused(pkt, &found);
  if (known && !reused) {
    if (found.dest->state != XLVS_DEST_available)
      return XLVS_STEP_drop_dest_removed;
    if (shape.fragment != XLVS_FRAGMENT_later)
      xlvs_conn_advance(pkt,
                        xlvs_method_of(found.life) == XLVS_METHOD_masq
                            ? XLVS_TO_DEST
                            : XLVS_TO_DEST_ONLY,
                        place, &found, control);
  } else {
    const enum xlvs_step step =
        xlvs_begin(ctx, pkt, place, inserts, reused, &found);
    if (step != XLVS_STEP_next) return step;
  }
  if (shape.fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  xlvs_count_in(found.dest_id, pkt->ip_bytes);
  return xlvs_deliver(ctx, pkt, shape, &found, ret_mtu);
}

#endif
