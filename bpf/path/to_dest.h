/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Client -> service: the connection, found or made, and delivery. */
#ifndef XLVS_BPF_PATH_TO_DEST_H
#define XLVS_BPF_PATH_TO_DEST_H

#include "bpf/lookup/fragment.h"
#include "bpf/path/begin.h"
#include "bpf/path/deliver.h"

#define XLVS_REUSE_IN_FIN_WAIT 2 /* of conn_reuse_mode */

/* Whether a SYN or INIT starts anew although the old connection's record is
 * still there (ip_vs_core.c, ip_vs_in_hook, is_new_conn_expected). */
static __always_inline bool xlvs_is_anew(const struct xlvs_packet* pkt,
                                         const struct xlvs_found* found,
                                         const struct xlvs_control* control) {
  const bool tcp = pkt->l4_proto == IPPROTO_TCP;
  if (tcp ? pkt->event != XLVS_TCP_syn
          : pkt->l4_proto != XLVS_IPPROTO_SCTP || pkt->event != XLVS_SCTP_init)
    return false;
  if (XLVS_READ_ONCE(control->set.expire_nodest_conn) && !found->dest->weight)
    return true;
  const __u32 mode = XLVS_READ_ONCE(control->set.conn_reuse_mode);
  if (!mode || (found->life.life.flags &
                (XLVS_CONN_controlled | XLVS_CONN_was_controlled)))
    return false;
  const __u8 state = found->life.life.state;
  if (!tcp) return state == XLVS_CONN_sctp_closed;
  return state == XLVS_CONN_tcp_time_wait || state == XLVS_CONN_tcp_close ||
         (state == XLVS_CONN_tcp_fin_wait && (mode & XLVS_REUSE_IN_FIN_WAIT) &&
          xlvs_method_of(found->life) != XLVS_METHOD_masq);
}

/* What becomes of the connection that was found; none: it goes on. */
static __always_inline enum xlvs_reuse xlvs_reuse_of(
    const struct xlvs_packet* pkt, const struct xlvs_found* found,
    const struct xlvs_control* control) {
  if (xlvs_is_anew(pkt, found, control)) return XLVS_REUSE_anew;
  return found->dest->state != XLVS_DEST_available &&
                 XLVS_READ_ONCE(control->set.expire_nodest_conn)
             ? XLVS_REUSE_nodest
             : XLVS_REUSE_none;
}

/* To the connection's dest. XLVS_STEP_begins: there is no connection, the
 * program for first packets makes one. */
static __always_inline enum xlvs_step xlvs_to_dest(
    struct xdp_md* ctx, struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control, __u32* ret_mtu) {
  struct xlvs_place place;
  struct xlvs_found found = {};
  struct xlvs_miss miss = {.has_kin = true};
  const bool known =
      xlvs_conn_find_shape(pkt, shape, XLVS_TO_DEST, &place, &miss, &found);
  const enum xlvs_reuse reuse =
      known ? xlvs_reuse_of(pkt, &found, control) : XLVS_REUSE_none;
  if (!known || reuse != XLVS_REUSE_none)
    return xlvs_begin(pkt, place, miss, reuse, &found);
  if (found.dest->state != XLVS_DEST_available)
    return XLVS_STEP_drop_dest_removed;
  if (shape.fragment != XLVS_FRAGMENT_later)
    xlvs_conn_advance(pkt,
                      xlvs_method_of(found.life) == XLVS_METHOD_masq
                          ? XLVS_TO_DEST
                          : XLVS_TO_DEST_ONLY,
                      place, &found, control);
  if (shape.fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  xlvs_count_in(found.dest_id, pkt->ip_bytes);
  return xlvs_deliver(ctx, pkt, shape, &found, ret_mtu);
}

#endif
