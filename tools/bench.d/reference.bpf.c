/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What there is to compare with: programs that do next to nothing, and R, the
 * plain way to write a NAT balancer: parse, look the connection up in a kernel
 * hash map, rewrite, note the time, count per CPU, send. R has no TCP states,
 * no expiry, no second direction, no next hop and no TTL. It shares no code
 * with the director. */
#include "tools/bench.d/traffic.h"

struct reference_key {
  __be32 saddr;
  __be32 daddr;
  __be16 sport;
  __be16 dport;
  __u32 l4_proto;
};

struct reference_conn {
  __be32 daddr;
  __be16 dport;
  __u16 dest;
  __u64 seen_ns;
};

struct reference_stats {
  __u64 packets;
  __u64 bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct reference_key);
  __type(value, struct reference_conn);
  __uint(max_entries, 1); /* loader */
} reference_conns SEC(".maps");

/* By dest; the last entry counts packets without a connection. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct reference_stats);
  __uint(max_entries, BENCH_REAL_COUNT + 1);
} reference_stats SEC(".maps");

static __always_inline __u16 reference_csum(__u16 check, __u64 change) {
  __u64 sum = (__u64)(__u16)~check + change;
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static __always_inline int reference_send(struct ethhdr* eth, struct iphdr* ip,
                                          struct tcphdr* tcp,
                                          const struct reference_conn* conn) {
  const __u64 addr_change = (__u64)(__u32)~ip->daddr + conn->daddr;
  const __u64 change = addr_change + (__u16)~tcp->dest + conn->dport;
  ip->check = reference_csum(ip->check, addr_change);
  tcp->check = reference_csum(tcp->check, change);
  ip->daddr = conn->daddr;
  tcp->dest = conn->dport;
  __u8 mac[ETH_ALEN];
  __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
  const __u32 dest = conn->dest;
  struct reference_stats* stats = bpf_map_lookup_elem(&reference_stats, &dest);
  if (stats) {
    stats->packets++;
    stats->bytes += bpf_ntohs(ip->tot_len);
  }
  return XDP_TX;
}

static __always_inline int reference_lost(void) {
  const __u32 none = BENCH_REAL_COUNT;
  struct reference_stats* stats = bpf_map_lookup_elem(&reference_stats, &none);
  if (stats) stats->packets++;
  return XDP_PASS;
}

static __always_inline int reference_handle(struct xdp_md* ctx, bool insert) {
  struct ethhdr* eth = (void*)(long)ctx->data;
  const void* end = (void*)(long)ctx->data_end;
  struct iphdr* ip = (void*)(eth + 1);
  struct tcphdr* tcp = (void*)(ip + 1);
  if ((void*)(tcp + 1) > end) return XDP_PASS;
  if (eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
  if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP ||
      ip->frag_off & bpf_htons(0x3fff))
    return XDP_PASS;
  const struct reference_key key = {.saddr = ip->saddr,
                                    .daddr = ip->daddr,
                                    .sport = tcp->source,
                                    .dport = tcp->dest,
                                    .l4_proto = IPPROTO_TCP};
  struct reference_conn* conn = bpf_map_lookup_elem(&reference_conns, &key);
  if (conn) {
    conn->seen_ns = bpf_ktime_get_ns();
    return reference_send(eth, ip, tcp, conn);
  }
  if (!insert) return reference_lost();
  const __u32 real = bench_real((__u32)bench_traffic.runs);
  const struct reference_conn made = {.daddr = bpf_htonl(BENCH_REALS + real),
                                      .dport = bpf_htons(BENCH_PORT),
                                      .dest = real,
                                      .seen_ns = bpf_ktime_get_ns()};
  if (bpf_map_update_elem(&reference_conns, &key, &made, BPF_NOEXIST))
    return reference_lost();
  return reference_send(eth, ip, tcp, &made);
}

SEC("xdp")
int reference_drop(struct xdp_md* ctx) {
  (void)ctx;
  return XDP_DROP;
}

SEC("xdp")
int reference_tx(struct xdp_md* ctx) {
  struct ethhdr* eth = (void*)(long)ctx->data;
  if ((void*)(eth + 1) > (void*)(long)ctx->data_end) return XDP_ABORTED;
  __u8 mac[ETH_ALEN];
  __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
  return XDP_TX;
}

SEC("xdp")
int reference_known(struct xdp_md* ctx) {
  return bench_request(ctx) ? reference_handle(ctx, false) : XDP_ABORTED;
}

SEC("xdp")
int reference_new(struct xdp_md* ctx) {
  return bench_request(ctx) ? reference_handle(ctx, true) : XDP_ABORTED;
}

/* Takes flows out again. Not measured. */
SEC("xdp")
int reference_forget(struct xdp_md* ctx) {
  (void)ctx;
  const __u32 flow = bench_next_flow();
  const struct reference_key key = {.saddr = bench_client(flow),
                                    .daddr = bpf_htonl(BENCH_VIP),
                                    .sport = bench_client_port(flow),
                                    .dport = bench_traffic.vport,
                                    .l4_proto = IPPROTO_TCP};
  return bpf_map_delete_elem(&reference_conns, &key) ? XDP_ABORTED : XDP_TX;
}

char reference_license[] SEC("license") = "Dual BSD/GPL";
