/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * IPVS's TCP state machine (ip_vs_proto_tcp.c, tcp_states): no sequence
 * numbers, only flags, seen from the middle. The table is the machine; a row is
 * an event in a direction, a column the state before. */
#ifndef XLVS_BPF_LOOKUP_TCP_STATE_H
#define XLVS_BPF_LOOKUP_TCP_STATE_H

#include "bpf/lib/packet.h"
#include "maps/conn.h"

#define NO XLVS_CONN_tcp_none
#define ES XLVS_CONN_tcp_established
#define SS XLVS_CONN_tcp_syn_sent
#define SR XLVS_CONN_tcp_syn_recv
#define FW XLVS_CONN_tcp_fin_wait
#define TW XLVS_CONN_tcp_time_wait
#define CL XLVS_CONN_tcp_close
#define CW XLVS_CONN_tcp_close_wait
#define LA XLVS_CONN_tcp_last_ack
#define LI XLVS_CONN_tcp_listen
#define SA XLVS_CONN_tcp_synack
/* Column 0 is XLVS_CONN_free, which no connection is in. */
/* clang-format off */
static const __u8
    xlvs_tcp_next[2][XLVS_TCP_EVENTS][XLVS_CONN_STATE_SLOTS] = {
  [XLVS_TO_DEST] = {
    /* from:               -  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
    [XLVS_TCP_syn]     = { 0, SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR },
    [XLVS_TCP_fin]     = { 0, CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW },
    [XLVS_TCP_ack]     = { 0, ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES },
    [XLVS_TCP_rst]     = { 0, CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR },
    [XLVS_TCP_nothing] = { 0, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL },
  },
  [XLVS_TO_CLIENT] = {
    /* from:               -  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
    [XLVS_TCP_syn]     = { 0, SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR },
    [XLVS_TCP_fin]     = { 0, TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW },
    [XLVS_TCP_ack]     = { 0, ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES },
    [XLVS_TCP_rst]     = { 0, CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL },
    [XLVS_TCP_nothing] = { 0, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL },
  },
};
/* clang-format on */
#undef NO
#undef ES
#undef SS
#undef SR
#undef FW
#undef TW
#undef CL
#undef CW
#undef LA
#undef LI
#undef SA

/* The state after a packet: TCP by the table, UDP has only one. */
static __always_inline __u8 xlvs_state_after(const struct xlvs_packet* pkt,
                                             enum xlvs_direction direction,
                                             __u8 state) {
  if (pkt->l4_proto != IPPROTO_TCP) return XLVS_CONN_udp;
  return xlvs_tcp_next[direction][pkt->tcp_event & (XLVS_TCP_EVENTS - 1)]
                      [state & (XLVS_CONN_STATE_SLOTS - 1)];
}

/* Counted as active on the dest (tcp_state_active_table); UDP never is. */
static __always_inline bool xlvs_state_is_active(__u8 state) {
  return (1U << (state & 31)) &
         (1U << XLVS_CONN_tcp_established | 1U << XLVS_CONN_tcp_syn_sent |
          1U << XLVS_CONN_tcp_syn_recv | 1U << XLVS_CONN_tcp_synack);
}

#endif
