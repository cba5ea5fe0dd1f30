/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A connection as the lookup found it: what later stages need of it. */
#ifndef XLVS_BPF_LIB_FOUND_H
#define XLVS_BPF_LIB_FOUND_H

#include "bpf/tables.h"

/* A connection that was found, as it was then. */
struct xlvs_found {
  struct xlvs_conn* conn;
  struct xlvs_dest* dest;
  __u32 dest_id;
  __u32 slot; /* in its bucket */
  __u16 vport;
  union xlvs_life life;
};

/* How the connection's packets are forwarded. */
static __always_inline enum xlvs_method xlvs_method_of(union xlvs_life life) {
  return (enum xlvs_method)((life.life.flags & XLVS_CONN_METHOD_MASK) >>
                            XLVS_CONN_METHOD_SHIFT);
}

/* The real server's port for packets to `vport`: its own, but a service for any
 * port, or a real server without one, keeps the packet's (ip_vs_core.c,
 * ip_vs_sched_persist). */
static __always_inline __u16 xlvs_dport(const struct xlvs_dest* dest,
                                        __u16 vport) {
  return dest->flags & XLVS_DEST_keeps_port ? vport : dest->dport;
}

#endif
