/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the sender of XDP frames, the programs that receive them and the process
 * that loads both share. See live.bpf.c. */
#ifndef XLVS_TOOLS_BENCH_D_LIVE_H
#define XLVS_TOOLS_BENCH_D_LIVE_H

#include "maps/layout.h"

#define LIVE_FRAME_BYTES 60 /* without the FCS: the smallest there is */
#define LIVE_SAMPLE_BYTES 80
#define LIVE_CPUS 64
#define LIVE_CLIENTS 0x0a400000U /* 10.64.0.0, in host order */
#define LIVE_CLIENT_PORTS 0x4000U
#define LIVE_FLOWS_PER_CLIENT 4U
#define LIVE_TTL 64

/* Written by the process before a run; the sender writes the second part. */
struct live_load {
  __u64 limit;  /* packets of this run */
  __u64 ip_sum; /* checksums' sums without the client's address and port */
  __u64 l4_sum;
  __u64 first;       /* flow of packet 0, if in order */
  __u32 flows;       /* this many, at random; 0: in order, each another one */
  __u32 window;      /* packets on their way at a time */
  __u32 arrival_cpu; /* where packets arrive */
  __be32 daddr;
  __be32 expect_net; /* where what arrives goes to, masked */
  __be32 expect_mask;
  __be16 dport;
  __u8 l4_proto;
  __u8 expect_proto; /* of what arrives, outermost */
  __u32 stop;

  __u64 sent;
  __u64 lost;     /* nothing arrived for a long time: no longer waited for */
  __u64 count;    /* arrivals, as the sender saw them last ... */
  __u64 count_ns; /* ... and when that changed */
  __u64 closed;   /* runs that found the window closed */
  __u64 began_ns; /* when the first was sent */
  __u64 ended_ns; /* when `limit` had arrived; 0: not yet */
};
XLVS_ASSERT_SIZE(struct live_load, 120);

/* By CPU, each a cache line pair of its own. */
struct live_arrivals {
  __u64 packets;
  __u64 strays; /* IPv4, but not what is expected */
  __u64 pad[14];
};
XLVS_ASSERT_SIZE(struct live_arrivals, 128);

/* The first packet that arrived. */
struct live_sample {
  __u32 bytes; /* 0: none yet */
  __u8 frame[LIVE_SAMPLE_BYTES];
};
XLVS_ASSERT_SIZE(struct live_sample, 84);

#endif
