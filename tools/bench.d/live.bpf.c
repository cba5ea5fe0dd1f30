/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A load of XDP frames, as a NIC delivers packets, and what receives it.
 *
 * live_send runs by BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES, as often
 * as it may, for the client's device: each run makes one packet, and XDP_TX
 * puts it into the ring of the veth's other end, the director's. No more than a
 * window of packets is on its way, so that no ring of a veth ever
 * overflows: while the window is closed a run ends with XDP_DROP, which is how
 * it waits. A frame comes back as the last receiver left it, so all that a
 * director may have written is written again: Ethernet, TTL, addresses, ports,
 * checksums. */
#include "tools/bench.d/live.h"

#include "bpf/lib/csum.h"
#include "tools/bench.d/mix.h"

#define LIVE_GIVE_UP_NS 500000000ULL
#define LIVE_LOOK_EVERY 32 /* runs that find the window closed */

struct live_load live_load;
struct live_arrivals live_arrivals[LIVE_CPUS];
struct live_sample live_sample;

#define LIVE_AT(type, offset) (*(type*)(data + (offset)))

/* Looks at the receiver's count seldom: it is in the cache of another CPU,
 * whose time is measured. */
static __always_inline bool live_window_is_open(void) {
  const __s64 window = live_load.window;
  /* Signed, as what was given up may arrive yet. */
  if ((__s64)(live_load.sent - live_load.lost - live_load.count) < window)
    return true;
  if (++live_load.closed % LIVE_LOOK_EVERY) return false;
  const __u32 cpu = live_load.arrival_cpu & (LIVE_CPUS - 1);
  const __u64 count = XLVS_READ_ONCE(live_arrivals[cpu].packets);
  const __u64 now_ns = bpf_ktime_get_ns();
  if (count != live_load.count || !live_load.count_ns) {
    live_load.count = count;
    live_load.count_ns = now_ns;
  } else if (now_ns - live_load.count_ns > LIVE_GIVE_UP_NS) {
    live_load.lost = live_load.sent - count;
    live_load.count_ns = 0;
  }
  return false;
}

static __always_inline __u64 live_next_flow(void) {
  if (!live_load.sent) live_load.began_ns = bpf_ktime_get_ns();
  const __u64 run = live_load.sent++;
  if (!live_load.flows) return live_load.first + run;
  return bench_pick(run, live_load.flows);
}

SEC("xdp")
int live_send(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  if (data + LIVE_FRAME_BYTES > (__u8*)(long)ctx->data_end) return XDP_ABORTED;
  if (XLVS_READ_ONCE(live_load.stop) || live_load.sent >= live_load.limit ||
      !live_window_is_open())
    return XDP_DROP;
  const __u64 flow = live_next_flow();
  const __be32 saddr =
      bpf_htonl(LIVE_CLIENTS + (__u32)(flow / LIVE_FLOWS_PER_CLIENT));
  const __be16 sport =
      bpf_htons(LIVE_CLIENT_PORTS + (__u16)(flow % LIVE_FLOWS_PER_CLIENT));
  LIVE_AT(__u64, 0) = 0x0002d00000000002ULL; /* 02:00:00:00:00:d0, 02:00 */
  LIVE_AT(__u32, 8) = 0xc1000000U;           /* :00:00:00:c1 */
  LIVE_AT(__be16, 12) = bpf_htons(ETH_P_IP);
  LIVE_AT(__u8, 22) = LIVE_TTL;
  LIVE_AT(__u8, 23) = live_load.l4_proto;
  LIVE_AT(__u16, 24) = xlvs_csum_fold(live_load.ip_sum + saddr);
  LIVE_AT(__be32, 26) = saddr;
  LIVE_AT(__be32, 30) = live_load.daddr;
  LIVE_AT(__be16, 34) = sport;
  LIVE_AT(__be16, 36) = live_load.dport;
  const __u16 check = xlvs_csum_fold(live_load.l4_sum + saddr + sport);
  if (live_load.l4_proto == IPPROTO_UDP)
    LIVE_AT(__u16, 40) = check;
  else
    LIVE_AT(__u16, 50) = check;
  return XDP_TX;
}

/* The end of a packet's way. */
SEC("xdp")
int live_arrive(struct xdp_md* ctx) {
  const __u8* data = (const __u8*)(long)ctx->data;
  const __u8* end = (const __u8*)(long)ctx->data_end;
  if (data + 34 > end || LIVE_AT(const __be16, 12) != bpf_htons(ETH_P_IP))
    return XDP_DROP;
  struct live_arrivals* arrivals =
      &live_arrivals[bpf_get_smp_processor_id() & (LIVE_CPUS - 1)];
  if (LIVE_AT(const __u8, 23) != live_load.expect_proto ||
      (LIVE_AT(const __be32, 30) & live_load.expect_mask) !=
          live_load.expect_net) {
    arrivals->strays++;
    return XDP_DROP;
  }
  if (!live_sample.bytes) {
    const __u32 bytes = end - data;
    const __u32 some = bytes < LIVE_SAMPLE_BYTES ? bytes : LIVE_SAMPLE_BYTES;
    if (some >= ETH_HLEN && some <= LIVE_SAMPLE_BYTES &&
        !bpf_xdp_load_bytes(ctx, 0, live_sample.frame, some))
      live_sample.bytes = some;
  }
  if (++arrivals->packets == live_load.limit)
    live_load.ended_ns = bpf_ktime_get_ns();
  return XDP_DROP;
}

/* The least that a balancer could do. */
SEC("xdp")
int live_tx(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  if (data + ETH_HLEN > (__u8*)(long)ctx->data_end) return XDP_ABORTED;
  const __u64 low = LIVE_AT(__u64, 0);
  const __u32 high = LIVE_AT(__u32, 8);
  LIVE_AT(__u64, 0) = low >> 48 | (__u64)high << 16 | low << 48;
  LIVE_AT(__u32, 8) = low >> 16;
  return XDP_TX;
}

char live_license[] SEC("license") = "Dual BSD/GPL";
