/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The director as it is shipped, behind a program that makes the packet first.
 * That xlvs_director is the same code here and there is checked when it is
 * loaded (object.h). */
#include "bpf/director.bpf.c"
#include "tools/bench.d/traffic.h"

SEC("xdp.frags")
int bench_control_request(struct xdp_md* ctx) {
  return bench_request(ctx) ? XDP_TX : XDP_ABORTED;
}

SEC("xdp.frags")
int bench_control_reply(struct xdp_md* ctx) {
  return bench_reply(ctx) ? XDP_TX : XDP_ABORTED;
}

SEC("xdp.frags")
int bench_xlvs_request(struct xdp_md* ctx) {
  return bench_request(ctx) ? xlvs_direct(ctx) : XDP_ABORTED;
}

SEC("xdp.frags")
int bench_xlvs_reply(struct xdp_md* ctx) {
  return bench_reply(ctx) ? xlvs_direct(ctx) : XDP_ABORTED;
}

/* Between two strangers, always others: passed. */
SEC("xdp.frags")
int bench_xlvs_stranger(struct xdp_md* ctx) {
  const __u32 flow = bench_next_flow();
  return bench_write(ctx, bench_client(flow), bpf_htonl(BENCH_STRANGER),
                     bench_client_port(flow), bench_traffic.vport)
             ? xlvs_direct(ctx)
             : XDP_ABORTED;
}
