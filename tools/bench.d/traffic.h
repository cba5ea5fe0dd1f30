/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Which packets are sent while something is measured. BPF_PROG_TEST_RUN runs a
 * program again on the packet that the last run rewrote, so each measured
 * program first makes the packet whole: it picks a flow and writes addresses,
 * ports, TTL, checksums and MACs. What that costs is measured by a control
 * program that does only this. Shared by BPF and C++. */
#ifndef XLVS_TOOLS_BENCH_D_TRAFFIC_H
#define XLVS_TOOLS_BENCH_D_TRAFFIC_H

#include "maps/layout.h"

/* The one global variable of every object here; the loader of the object
 * writes it between runs. */
struct bench_traffic {
  __u64 runs;     /* so far: the number that a flow is picked by */
  __u64 failures; /* runs that a lookup-only program found nothing in */
  __u32 flows;    /* this many, visited at random ... */
  __u32 in_order; /* ... or, if not 0, one after the other */
  __u32 first;    /* flow of run 0 when in order */
  __u16 vport;    /* network order */
  __u16 pad0;
};
XLVS_ASSERT_SIZE(struct bench_traffic, 32);

/* Flow i: client 10.0.0.1 + i / 4, port 32768 + i % 4. All are connections to
 * 192.0.2.1; real server 192.168.1.(2 + i % 29) has the reply. */
#define BENCH_CLIENTS 0x0a000001U
#define BENCH_CLIENT_PORTS 0x8000U
#define BENCH_FLOWS_PER_CLIENT 4U
#define BENCH_VIP 0xc0000201U
#define BENCH_STRANGER 0xc6336401U /* 198.51.100.1 */
#define BENCH_REALS 0xc0a80102U
#define BENCH_REAL_COUNT 29U
#define BENCH_PORT 80U
#define BENCH_TTL 64U
#define BENCH_FRAME_BYTES 64
#define BENCH_IP_BYTES 50
/* Of the header without addresses: words as a little-endian machine reads them.
 */
#define BENCH_IP_SUM \
  (0x0045U + (BENCH_IP_BYTES << 8) + 0x0040U + (BENCH_TTL | IPPROTO_TCP << 8))

#if defined(__bpf__)
#include "bpf/lib/csum.h"

struct bench_traffic bench_traffic;

static __always_inline __u32 bench_mix(__u32 x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ x >> 16;
}

static __always_inline __u32 bench_next_flow(void) {
  const __u32 run = bench_traffic.runs++;
  if (bench_traffic.in_order) return bench_traffic.first + run;
  return ((__u64)bench_mix(run) * bench_traffic.flows) >> 32;
}

static __always_inline __be32 bench_client(__u32 flow) {
  return bpf_htonl(BENCH_CLIENTS + flow / BENCH_FLOWS_PER_CLIENT);
}

static __always_inline __be16 bench_client_port(__u32 flow) {
  return bpf_htons(BENCH_CLIENT_PORTS + flow % BENCH_FLOWS_PER_CLIENT);
}

/* flow % 29, without a division. */
static __always_inline __u32 bench_real(__u32 flow) {
  const __u32 quotient = ((__u64)flow * 148102321U) >> 32;
  return flow - quotient * BENCH_REAL_COUNT;
}

#define BENCH_AT(type, offset) (*(type*)(data + (offset)))

static __always_inline bool bench_write(struct xdp_md* ctx, __be32 saddr,
                                        __be32 daddr, __be16 sport,
                                        __be16 dport) {
  __u8* data = (__u8*)(long)ctx->data;
  if (data + 54 > (__u8*)(long)ctx->data_end) return false;
  BENCH_AT(__u64, 0) = 0x0002020000000002ULL; /* 02:00:00:00:00:02, 02:00 */
  BENCH_AT(__u32, 8) = 0x01000000U;           /* :00:00:00:01 */
  /* The rest of the header is written once, with its sum as checksum. */
  BENCH_AT(__u32, 22) =
      BENCH_TTL | IPPROTO_TCP << 8 |
      (__u32)xlvs_csum_fold((__u64)BENCH_IP_SUM + saddr + daddr) << 16;
  BENCH_AT(__u32, 26) = saddr;
  BENCH_AT(__u32, 30) = daddr;
  BENCH_AT(__u32, 34) = sport | (__u32)dport << 16;
  BENCH_AT(__u16, 50) = 0xcafe;
  /* What follows may know nothing about the packet. */
  asm volatile("" ::: "memory");
  return true;
}

/* The next packet from a client to the service. */
static __always_inline bool bench_request(struct xdp_md* ctx) {
  const __u32 flow = bench_next_flow();
  return bench_write(ctx, bench_client(flow), bpf_htonl(BENCH_VIP),
                     bench_client_port(flow), bench_traffic.vport);
}

/* The next packet from a real server to a client. */
static __always_inline bool bench_reply(struct xdp_md* ctx) {
  const __u32 flow = bench_next_flow();
  return bench_write(ctx, bpf_htonl(BENCH_REALS + bench_real(flow)),
                     bench_client(flow), bpf_htons(BENCH_PORT),
                     bench_client_port(flow));
}
#endif

#endif
