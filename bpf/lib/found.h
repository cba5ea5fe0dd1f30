/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A connection as the lookup found it: what later stages need of it. */
#ifndef XLVS_BPF_LIB_FOUND_H
#define XLVS_BPF_LIB_FOUND_H

#include "bpf/tables.h"

union xlvs_life {
  struct xlvs_conn_life life;
  __u64 word;
};

/* A connection that was found, as it was then. */
struct xlvs_found {
  struct xlvs_conn* conn;
  struct xlvs_dest* dest;
  __u32 dest_id;
  __u16 vport;
  union xlvs_life life;
};

#endif
