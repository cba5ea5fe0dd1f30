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

/* Flow i: client BENCH_CLIENTS + i / 4, port 32768 + i % 4. All are connections
 * to BENCH_VIP; real server BENCH_REALS + i % 29 has the reply. With IPv6 the
 * same numbers end an address whose first half tells whose it is. */
#define BENCH_CLIENTS 0x0a000001U
#define BENCH_CLIENT_PORTS 0x8000U
#define BENCH_FLOWS_PER_CLIENT 4U
#define BENCH_VIP 0xc0000201U
#define BENCH_STRANGER 0xc6336401U /* 198.51.100.1 */
#define BENCH_REALS 0xc0a80102U
#define BENCH_REAL_COUNT 29U
#define BENCH_CLIENT_NET 0x20010db800010000ULL
#define BENCH_VIP_NET 0x20010db800020000ULL
#define BENCH_REAL_NET 0x20010db800030000ULL
#define BENCH_PORT 80U
#define BENCH_TTL 64U
#define BENCH_IP_BYTES 50
#define BENCH_IP_BYTES_V6 70 /* the same with a larger header */
#define BENCH_FRAME_BYTES 64
#define BENCH_FRAME_BYTES_V6 84

/* What kinds of packets there are programs for. */
#define BENCH_FORMS(X)        \
  X(4tcp, false, IPPROTO_TCP) \
  X(4udp, false, IPPROTO_UDP) \
  X(6tcp, true, IPPROTO_TCP)  \
  X(6udp, true, IPPROTO_UDP)

#if defined(__bpf__)
#include "bpf/lib/csum.h"
#include "tools/bench.d/mix.h"

struct bench_traffic bench_traffic;

/* Passed by value, constant all the way down. */
struct bench_form {
  bool is_v6;
  __u8 l4_proto;
};
#define BENCH_FORM(v6, proto) \
  ((struct bench_form){.is_v6 = (v6), .l4_proto = (proto)})
#define BENCH_FORM_4TCP BENCH_FORM(false, IPPROTO_TCP)

struct bench_addr {
  __u64 net; /* of IPv6, host order */
  __be32 host;
};

static __always_inline __u32 bench_next_flow(void) {
  const __u32 run = bench_traffic.runs++;
  if (bench_traffic.in_order) return bench_traffic.first + run;
  return bench_pick(run, bench_traffic.flows);
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

/* Of the IPv4 header without addresses: words as a little-endian machine reads
 * them. The rest of the header is written once, with its sum as checksum. */
static __always_inline void bench_write_v4(__u8* data, __u8 l4_proto,
                                           __be32 saddr, __be32 daddr) {
  const __u32 life = BENCH_TTL | (__u32)l4_proto << 8;
  const __u64 sum = 0x0045U + (BENCH_IP_BYTES << 8) + 0x0040U + life;
  BENCH_AT(__u32, 22) = life | (__u32)xlvs_csum_fold(sum + saddr + daddr) << 16;
  BENCH_AT(__u32, 26) = saddr;
  BENCH_AT(__u32, 30) = daddr;
}

static __always_inline void bench_write_v6(__u8* data, struct bench_addr saddr,
                                           struct bench_addr daddr) {
  BENCH_AT(__u8, 21) = BENCH_TTL;
  BENCH_AT(__u64, 22) = bpf_cpu_to_be64(saddr.net);
  BENCH_AT(__u64, 30) = (__u64)saddr.host << 32;
  BENCH_AT(__u64, 38) = bpf_cpu_to_be64(daddr.net);
  BENCH_AT(__u64, 46) = (__u64)daddr.host << 32;
}

static __always_inline bool bench_write(struct xdp_md* ctx,
                                        struct bench_form form,
                                        struct bench_addr saddr,
                                        struct bench_addr daddr, __be16 sport,
                                        __be16 dport) {
  __u8* data = (__u8*)(long)ctx->data;
  const __u32 l4_off = form.is_v6 ? 54 : 34;
  if (data + l4_off + 20 > (__u8*)(long)ctx->data_end) return false;
  BENCH_AT(__u64, 0) = 0x0002020000000002ULL; /* 02:00:00:00:00:02, 02:00 */
  /* :00:00:00:01, the ethertype, and how the IP header begins. */
  BENCH_AT(__u64, 8) =
      form.is_v6 ? 0x0060dd8601000000ULL : 0x0045000801000000ULL;
  if (form.is_v6)
    bench_write_v6(data, saddr, daddr);
  else
    bench_write_v4(data, form.l4_proto, saddr.host, daddr.host);
  BENCH_AT(__u32, l4_off) = sport | (__u32)dport << 16;
  BENCH_AT(__u16, l4_off + (form.l4_proto == IPPROTO_UDP ? 6 : 16)) = 0xcafe;
  /* What follows may know nothing about the packet. */
  asm volatile("" ::: "memory");
  return true;
}

/* The next packet from a client to the service. */
static __always_inline bool bench_request_of(struct xdp_md* ctx,
                                             struct bench_form form) {
  const __u32 flow = bench_next_flow();
  const struct bench_addr client = {BENCH_CLIENT_NET, bench_client(flow)};
  const struct bench_addr vip = {BENCH_VIP_NET, bpf_htonl(BENCH_VIP)};
  return bench_write(ctx, form, client, vip, bench_client_port(flow),
                     bench_traffic.vport);
}

/* The next packet from a real server to a client. */
static __always_inline bool bench_reply_of(struct xdp_md* ctx,
                                           struct bench_form form) {
  const __u32 flow = bench_next_flow();
  const struct bench_addr real = {BENCH_REAL_NET,
                                  bpf_htonl(BENCH_REALS + bench_real(flow))};
  const struct bench_addr client = {BENCH_CLIENT_NET, bench_client(flow)};
  return bench_write(ctx, form, real, client, bpf_htons(BENCH_PORT),
                     bench_client_port(flow));
}

static __always_inline bool bench_request(struct xdp_md* ctx) {
  return bench_request_of(ctx, BENCH_FORM_4TCP);
}

static __always_inline bool bench_reply(struct xdp_md* ctx) {
  return bench_reply_of(ctx, BENCH_FORM_4TCP);
}

/* As bench_request_of, where the last run put a header before the packet. */
static __always_inline bool bench_request_again(struct xdp_md* ctx,
                                                struct bench_form form) {
  const int bytes = form.is_v6 ? BENCH_FRAME_BYTES_V6 : BENCH_FRAME_BYTES;
  const int excess =
      (int)((void*)(long)ctx->data_end - (void*)(long)ctx->data) - bytes;
  if (excess && bpf_xdp_adjust_head(ctx, excess)) return false;
  return bench_request_of(ctx, form);
}
#endif

#endif
