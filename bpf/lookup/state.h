/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * IPVS's state machines (ip_vs_proto_tcp.c, tcp_states; ip_vs_proto_sctp.c,
 * sctp_states): no sequence numbers, only flags and chunk types, seen from the
 * middle. A table is the machine; a row is an event in a direction, a column
 * the state before. */
#ifndef XLVS_BPF_LOOKUP_STATE_H
#define XLVS_BPF_LOOKUP_STATE_H

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
#define XLVS_TCP_STATES 16 /* array size: a power of two above 11 */
/* clang-format off */
static const __u8
    xlvs_tcp_next[XLVS_DIRECTIONS + XLVS_SECURE][XLVS_TCP_EVENTS]
                 [XLVS_TCP_STATES] = {
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
  [XLVS_TO_DEST_ONLY] = {
    /* from:               -  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
    [XLVS_TCP_syn]     = { 0, SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR },
    [XLVS_TCP_fin]     = { 0, CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW },
    [XLVS_TCP_ack]     = { 0, ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES },
    [XLVS_TCP_rst]     = { 0, CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL },
    [XLVS_TCP_nothing] = { 0, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL },
  },
  /* tcp_states_dos: a client alone does not make a connection established. */
  [XLVS_SECURE + XLVS_TO_DEST] = {
    /* from:               -  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
    [XLVS_TCP_syn]     = { 0, SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA },
    [XLVS_TCP_fin]     = { 0, CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA },
    [XLVS_TCP_ack]     = { 0, ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA },
    [XLVS_TCP_rst]     = { 0, CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL },
    [XLVS_TCP_nothing] = { 0, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL },
  },
  [XLVS_SECURE + XLVS_TO_CLIENT] = {
    /* from:               -  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
    [XLVS_TCP_syn]     = { 0, SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA },
    [XLVS_TCP_fin]     = { 0, TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW },
    [XLVS_TCP_ack]     = { 0, ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES },
    [XLVS_TCP_rst]     = { 0, CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL },
    [XLVS_TCP_nothing] = { 0, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL },
  },
  [XLVS_SECURE + XLVS_TO_DEST_ONLY] = {
    /* from:               -  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
    [XLVS_TCP_syn]     = { 0, SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA },
    [XLVS_TCP_fin]     = { 0, CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW },
    [XLVS_TCP_ack]     = { 0, ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES },
    [XLVS_TCP_rst]     = { 0, CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL },
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

#define NO XLVS_CONN_sctp_none
#define I1 XLVS_CONN_sctp_init1
#define IN XLVS_CONN_sctp_init
#define CS XLVS_CONN_sctp_cookie_sent
#define CR XLVS_CONN_sctp_cookie_replied
#define CW XLVS_CONN_sctp_cookie_wait
#define CO XLVS_CONN_sctp_cookie
#define CE XLVS_CONN_sctp_cookie_echoed
#define ES XLVS_CONN_sctp_established
#define SS XLVS_CONN_sctp_shutdown_sent
#define SR XLVS_CONN_sctp_shutdown_received
#define SA XLVS_CONN_sctp_shutdown_ack_sent
#define RJ XLVS_CONN_sctp_rejected
#define CL XLVS_CONN_sctp_closed
/* Columns from XLVS_CONN_sctp_none on. */
#define XLVS_SCTP_STATES 16 /* array size: a power of two above 13 */
/* clang-format off */
static const __u8
    xlvs_sctp_next[XLVS_DIRECTIONS][XLVS_SCTP_EVENTS][XLVS_SCTP_STATES] = {
  [XLVS_TO_DEST] = {
    /* from:                        NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL */
    [XLVS_SCTP_data]              = { ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_init]              = { I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN },
    [XLVS_SCTP_init_ack]          = { CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_cookie_echo]       = { CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_cookie_ack]        = { ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_shutdown]          = { SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_shutdown_ack]      = { CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL },
    [XLVS_SCTP_shutdown_complete] = { CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL },
    [XLVS_SCTP_error]             = { CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_abort]             = { CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL },
  },
  [XLVS_TO_CLIENT] = {
    /* from:                        NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL */
    [XLVS_SCTP_data]              = { ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_init]              = { CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW },
    [XLVS_SCTP_init_ack]          = { CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_cookie_echo]       = { CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_cookie_ack]        = { ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_shutdown]          = { SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_shutdown_ack]      = { SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL },
    [XLVS_SCTP_shutdown_complete] = { CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_error]             = { CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_abort]             = { CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL },
  },
  [XLVS_TO_DEST_ONLY] = {
    /* from:                        NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL */
    [XLVS_SCTP_data]              = { ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_init]              = { I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN },
    [XLVS_SCTP_init_ack]          = { CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_cookie_echo]       = { ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_cookie_ack]        = { ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_shutdown]          = { SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_shutdown_ack]      = { CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL },
    [XLVS_SCTP_shutdown_complete] = { CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL },
    [XLVS_SCTP_error]             = { CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL },
    [XLVS_SCTP_abort]             = { CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL },
  },
};
/* clang-format on */
#undef NO
#undef I1
#undef IN
#undef CS
#undef CR
#undef CW
#undef CO
#undef CE
#undef ES
#undef SS
#undef SR
#undef SA
#undef RJ
#undef CL

/* The state after a packet: UDP has only one. `state` of a new connection is
 * XLVS_CONN_tcp_none or XLVS_CONN_sctp_none. */
static __always_inline __u8 xlvs_state_after(const struct xlvs_packet* pkt,
                                             enum xlvs_direction direction,
                                             __u8 state) {
  if (pkt->l4_proto == IPPROTO_TCP) {
    __u32 table = direction + pkt->secure_tcp % 2 * XLVS_SECURE;
    /* Linux 6.1 does not know how large what was put together by "or" is: the
     * mask has to stay. */
    asm volatile("" : "+r"(table));
    table %= XLVS_DIRECTIONS + XLVS_SECURE;
    return xlvs_tcp_next[table][pkt->event & (XLVS_TCP_EVENTS - 1)]
                        [state & (XLVS_TCP_STATES - 1)];
  }
  if (pkt->l4_proto == XLVS_IPPROTO_SCTP)
    return xlvs_sctp_next[direction][pkt->event & (XLVS_SCTP_EVENTS - 1)]
                         [(state - XLVS_CONN_sctp_none) &
                          (XLVS_SCTP_STATES - 1)];
  return XLVS_CONN_udp;
}

/* Counted as active on the dest (tcp_state_active_table; of SCTP only what is
 * established; UDP never). */
static __always_inline bool xlvs_state_is_active(__u8 state) {
  return (1U << (state & 31)) &
         (1U << XLVS_CONN_tcp_established | 1U << XLVS_CONN_tcp_syn_sent |
          1U << XLVS_CONN_tcp_syn_recv | 1U << XLVS_CONN_tcp_synack |
          1U << XLVS_CONN_sctp_established);
}

#endif
