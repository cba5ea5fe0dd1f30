/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What cold paths need and the stack (512 bytes for all functions of a call)
 * has no room for: one a CPU, in the map xlvs_scratch. Nothing in it lasts
 * longer than the call that filled it. */
#ifndef XLVS_BPF_LIB_SCRATCH_H
#define XLVS_BPF_LIB_SCRATCH_H

#include "bpf/lib/packet.h"
#include "bpf/lib/way.h"
#include "maps/conn.h"
#include "maps/lblc.h"
#include "maps/service.h"

union xlvs_life {
  struct xlvs_conn_life life;
  __u64 word;
};

union xlvs_ports {
  struct xlvs_conn_ports ports;
  __u64 word;
};

static __always_inline __u32 xlvs_dest_id(union xlvs_ports ports) {
  return ports.ports.dest & XLVS_CONN_DEST_MASK;
}

/* Where a connection belongs. */
struct xlvs_place {
  __u32 bucket;
  __u32 home; /* group in the bucket */
};

/* What a lookup that misses tells the insertion of what it missed. */
struct xlvs_miss {
  __u32 inserts; /* of the head then */
  /* There may be other records of this client's address and port. */
  __u32 has_kin;
};

#define XLVS_SUM_CHUNK 64

/* Whose slots a new record may take. */
enum xlvs_room_for {
  XLVS_ROOM_FOR_any,
  XLVS_ROOM_FOR_embryonic,         /* an embryonic one's, as a bound is met */
  XLVS_ROOM_FOR_service_embryonic, /* the same, of its own service */
};

/* What inserting a record takes and gives. */
struct xlvs_insert {
  struct xlvs_place place;
  struct xlvs_addr caddr;
  union xlvs_ports ports;
  union xlvs_life life;
  struct xlvs_miss miss;
  __u32 now_ticks;
  enum xlvs_room_for room;
  __u32 service; /* id */
  __u32 ret_slot;
  /* Of the record whose slot was taken; 0: it was free. */
  union xlvs_life ret_dead_life;
  struct xlvs_addr ret_dead_caddr;
};

/* A template that is looked for, by service and vport or by its dest, and what
 * was found (lookup/template.h). */
struct xlvs_template {
  struct xlvs_addr caddr; /* under the service's mask */
  struct xlvs_place place;
  __u32 service; /* id */
  __u32 dest;    /* id; 0 = whichever */
  __u32 vport;
  __u32 now_ticks;
  __u32 inserts;
  __u32 ret_slot;
  __u32 ret_dest;
  __u32 pad0;
  union xlvs_life ret_life;
};

/* What becomes of the record that a packet's lookup found. */
enum xlvs_reuse {
  XLVS_REUSE_none,   /* there is none */
  XLVS_REUSE_anew,   /* its client begins anew: counted until the new one is */
  XLVS_REUSE_nodest, /* its dest is gone: it counts no more */
};

/* What making a connection takes and gives. */
struct xlvs_first {
  struct xlvs_insert insert; /* .place and .miss as the lookup left them */
  /* Of a connection that it takes the place of: */
  union xlvs_life reused_life;
  __u32 reused_slot;
  enum xlvs_reuse reuse;
  __u32 is_from_error; /* asked for by an ICMP error */
  __u32 reused_dest;   /* as its record has it */
  struct xlvs_addr reused_caddr;
  struct xlvs_nexthop came_by;
};

/* How a packet is delivered: what xlvs_deliver_any takes of a found connection,
 * and gives. */
struct xlvs_delivery {
  union xlvs_life life;
  __u32 dest_id;
  __u32 ret_mtu;
  __u16 vport;
  __u16 pad0[3];
  struct xlvs_way way; /* that is found meanwhile */
};

/* What lblc or lblcr know of an address, and where it is kept. */
struct xlvs_lblc_view {
  struct xlvs_lblc_entry entry; /* a copy, as it should be */
  __u32 bucket;
  __u32 slot;
  __u32 is_set;  /* lblcr */
  __u32 changed; /* the copy differs from what is kept */
};

struct xlvs_scratch {
  struct xlvs_service_key service_key;
  struct bpf_fib_lookup fib;
  struct xlvs_fib_query query;
  struct xlvs_first first;
  struct xlvs_template tmpl;
  struct xlvs_insert tmpl_insert;
  struct xlvs_template release; /* of a connection that ends */
  __u32 reply_mtu;              /* xlvs_reply_by_kernel */
  __u32 pad0;
  struct xlvs_delivery delivery;
  struct xlvs_packet packet;   /* of the programs for any shape and for ICMP */
  struct xlvs_packet quoted;   /* what an ICMP error quotes */
  struct xlvs_packet probe;    /* the same as it is looked up */
  struct xlvs_packet original; /* what a quoted tunnel packet carries */
  struct xlvs_packet answer;
  __u8 chunk[XLVS_SUM_CHUNK]; /* xlvs_sum */
  struct xlvs_lblc_view lblc;
};

#endif
