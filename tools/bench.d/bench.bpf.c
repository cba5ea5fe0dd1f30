/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The director as it is shipped, behind a program that makes the packet first.
 * That xlvs_director is the same code here and there is checked when it is
 * loaded (object.h). The control programs do all but direct. */
#include "bpf/director.bpf.c"
#include "tools/bench.d/traffic.h"

/* A tunnel's header takes the room of one call of bpf_xdp_adjust_head; the
 * packet's maker takes it away by another. */
#define BENCH_HEADER_BYTES 20

#define BENCH_PROGRAMS(name, v6, proto)                                       \
  SEC("xdp.frags")                                                            \
  int bench_control_request_##name(struct xdp_md* ctx) {                      \
    return bench_request_of(ctx, BENCH_FORM(v6, proto)) ? XDP_TX              \
                                                        : XDP_ABORTED;        \
  }                                                                           \
  SEC("xdp.frags")                                                            \
  int bench_control_reply_##name(struct xdp_md* ctx) {                        \
    return bench_reply_of(ctx, BENCH_FORM(v6, proto)) ? XDP_TX : XDP_ABORTED; \
  }                                                                           \
  SEC("xdp.frags")                                                            \
  int bench_control_tunnel_##name(struct xdp_md* ctx) {                       \
    return bench_request_again(ctx, BENCH_FORM(v6, proto)) &&                 \
                   !bpf_xdp_adjust_head(ctx, -BENCH_HEADER_BYTES)             \
               ? XDP_TX                                                       \
               : XDP_ABORTED;                                                 \
  }                                                                           \
  SEC("xdp.frags")                                                            \
  int bench_xlvs_request_##name(struct xdp_md* ctx) {                         \
    return bench_request_of(ctx, BENCH_FORM(v6, proto)) ? xlvs_direct(ctx)    \
                                                        : XDP_ABORTED;        \
  }                                                                           \
  SEC("xdp.frags")                                                            \
  int bench_xlvs_reply_##name(struct xdp_md* ctx) {                           \
    return bench_reply_of(ctx, BENCH_FORM(v6, proto)) ? xlvs_direct(ctx)      \
                                                      : XDP_ABORTED;          \
  }                                                                           \
  SEC("xdp.frags")                                                            \
  int bench_xlvs_tunnel_##name(struct xdp_md* ctx) {                          \
    return bench_request_again(ctx, BENCH_FORM(v6, proto)) ? xlvs_direct(ctx) \
                                                           : XDP_ABORTED;     \
  }
BENCH_FORMS(BENCH_PROGRAMS)

/* Between two strangers, always others: passed. */
SEC("xdp.frags")
int bench_xlvs_stranger_4tcp(struct xdp_md* ctx) {
  const __u32 flow = bench_next_flow();
  const struct bench_addr client = {BENCH_CLIENT_NET, bench_client(flow)};
  const struct bench_addr stranger = {BENCH_VIP_NET, bpf_htonl(BENCH_STRANGER)};
  return bench_write(ctx, BENCH_FORM_4TCP, client, stranger,
                     bench_client_port(flow), bench_traffic.vport)
             ? xlvs_direct(ctx)
             : XDP_ABORTED;
}
