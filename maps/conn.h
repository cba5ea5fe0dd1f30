/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_conns: the connections, a set-associative table in one array.
 *
 * A connection is one record, found from both sides: the hash covers only what
 * both directions know (protocol, client address, client port). A bucket holds
 * 64 connections in 16 groups of 4; a group is two neighbouring cache lines. A
 * connection lives in its home group, or, where that is full, anywhere in its
 * bucket, and then the home group's `spilled` count in xlvs_heads says so: a
 * lookup that misses its home group and finds 0 there is over.
 *
 * bpf/lookup/conn.h has the protocol between CPUs. */
#ifndef XLVS_MAPS_CONN_H
#define XLVS_MAPS_CONN_H

#include "maps/addr.h"

/* States and numbers of IPVS (ip_vs.h). The protocol is in the state, so that
 * one byte tells a TCP record from a UDP or SCTP record. */
#define XLVS_CONN_STATES(X)                             \
  X(free, 0)                                            \
  X(tcp_none, 1)                                        \
  X(tcp_established, 2)                                 \
  X(tcp_syn_sent, 3)                                    \
  X(tcp_syn_recv, 4)                                    \
  X(tcp_fin_wait, 5)                                    \
  X(tcp_time_wait, 6)                                   \
  X(tcp_close, 7)                                       \
  X(tcp_close_wait, 8)                                  \
  X(tcp_last_ack, 9)                                    \
  X(tcp_listen, 10)                                     \
  X(tcp_synack, 11)                                     \
  X(udp, 12)                                            \
  X(sctp_none, 13)                                      \
  X(sctp_init1, 14)                                     \
  X(sctp_init, 15)                                      \
  X(sctp_cookie_sent, 16)                               \
  X(sctp_cookie_replied, 17)                            \
  X(sctp_cookie_wait, 18)                               \
  X(sctp_cookie, 19)                                    \
  X(sctp_cookie_echoed, 20)                             \
  X(sctp_established, 21)                               \
  X(sctp_shutdown_sent, 22)                             \
  X(sctp_shutdown_received, 23)                         \
  X(sctp_shutdown_ack_sent, 24)                         \
  X(sctp_rejected, 25)                                  \
  X(sctp_closed, 26)                                    \
  /* Templates of persistence: not assured, assured. */ \
  X(template_none, 27)                                  \
  X(template_assured, 28)

enum xlvs_conn_state {
#define XLVS_X(name, number) XLVS_CONN_##name = number,
  XLVS_CONN_STATES(XLVS_X)
#undef XLVS_X
} XLVS_BYTE_ENUM;
/* Arrays by state: a power of two above 28. */
#define XLVS_CONN_STATE_SLOTS 32

/* Counted as inactive on its dest (UDP always, TCP from the first FIN or RST,
 * SCTP unless established). */
#define XLVS_CONN_inactive 0x01U
/* `nexthop` was taken from the FIB, not only from the request's frame. */
#define XLVS_CONN_routed 0x02U
/* Another connection has come since that replies cannot be told apart from: the
 * same client address and port, the same real server address and port, by
 * another service. They go to the newer one while it lives, as in IPVS. */
#define XLVS_CONN_shadowed 0x04U
/* A template (a connection of one) brought it to its dest, and stays while it
 * lives. */
#define XLVS_CONN_controlled 0x08U
/* Bits 4 and 5: how its packets are forwarded (enum xlvs_method), as its dest
 * had it when the connection was made: editing a dest does not touch the
 * connections that it has (ip_vs_ctl.c, __ip_vs_update_dest). */
#define XLVS_CONN_METHOD_SHIFT 4
#define XLVS_CONN_METHOD_MASK 0x30U
/* Of a template: its own time is over, it stays for its connections, a minute
 * at a time (ip_vs_conn.c, ip_vs_conn_expire). */
#define XLVS_CONN_rearmed 0x40U
/* Of a connection: its packets keep their port (ip_vs_core.c,
 * ip_vs_sched_persist, ip_vs_schedule), whatever becomes of the service. */
#define XLVS_CONN_keeps_port 0x40U
/* Of a template: its dest is not to be had, another was chosen; it stays for
 * its connections and is listed with port 65535 (ip_vs_check_template). Of a
 * connection of UDP: its template has been told that the dest answers. Of one
 * of TCP or SCTP: a template held it until its service's persistence changed;
 * its client does not begin anew with it. */
#define XLVS_CONN_stale 0x80U
#define XLVS_CONN_assured 0x80U
#define XLVS_CONN_was_controlled 0x80U

/* Everything of a connection that changes, one 64-bit word: changed by
 * compare-and-swap only, so whoever made a transition knows that it was he, and
 * counts it once. */
struct xlvs_conn_life {
  __u32 expires_ticks;
  enum xlvs_conn_state state;
  __u8 flags;
  /* Towards the client: index into xlvs_nexthops, 0 = none. Of a template: how
   * many connections it holds; at 65,535 it is not counted any more. */
  __u16 nexthop;
} __attribute__((aligned(8)));

/* Ports and dest are one 64-bit word too: read at once, never half new. A
 * template has cport 0 and the client's network as caddr. `dest` has the dest's
 * id in its low bits; above, for a service by mark, where its virtual address
 * is: index into xlvs_vaddrs (mark.h), 0 = the address of the dest's service.
 */
struct xlvs_conn_ports {
  __u16 cport; /* host order */
  __u16 vport;
  __u32 dest;
} __attribute__((aligned(8)));
#define XLVS_CONN_DEST_BITS 18
#define XLVS_CONN_DEST_MASK ((1U << XLVS_CONN_DEST_BITS) - 1)

struct xlvs_conn {
  struct xlvs_addr caddr;
  struct xlvs_conn_ports ports;
  struct xlvs_conn_life life;
};
XLVS_ASSERT_SIZE(struct xlvs_conn, 32);
XLVS_ASSERT_NO_PADDING(struct xlvs_conn);

#define XLVS_CONNS_PER_GROUP 4
#define XLVS_GROUPS_PER_BUCKET 16
#define XLVS_CONNS_PER_BUCKET 64
/* Buckets are filled to this on average when `--conns` connections exist; the
 * chance that any of a million finds its bucket full is then about 6e-5
 * (docs/simulation.md). */
#define XLVS_CONNS_PER_BUCKET_PLANNED 28

struct xlvs_bucket {
  struct xlvs_conn conn[XLVS_CONNS_PER_BUCKET];
};
XLVS_ASSERT_SIZE(struct xlvs_bucket, 2048);
XLVS_ASSERT_NO_PADDING(struct xlvs_bucket);

/* xlvs_heads: per bucket, the writers' count and the expiry's hint. No
 * connection of the bucket expires before `next_due_ticks`. */
struct xlvs_head {
  /* Goes up by two with each insertion: tells that nobody inserted since one
   * looked. Odd while somebody writes, which keeps others from it. */
  __u32 inserts;
  __u32 next_due_ticks;
  __u32 pad0[2];
  __u8 spilled[XLVS_GROUPS_PER_BUCKET];
};
XLVS_ASSERT_SIZE(struct xlvs_head, 32);

#endif
