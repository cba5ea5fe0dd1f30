/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Layouts for the connection table, lookup only: what is left of a packet's
 * cost when only the connection is looked up. For
 * docs/decisions/connection-table-layout.md; nothing of this is shipped.
 *
 *   record  what we have: 32-byte records, home group of 4 in two lines
 *   entry   16-byte entries (IPv4 only), 4 to a line
 *   tag     a line with 16-bit tags for 8 slots of 64 bytes
 *   hash    the kernel's hash map
 *
 * All but `hash` are filled to 44 % (28 of 64) and check the dest's record. */
#include "bpf/lookup/conn.h"
#include "tools/bench.d/traffic.h"

#define LAYOUT_PROBES 8

struct layout_entry {
  __be32 caddr;
  __u16 cport;
  __u16 dest;
  __u32 expires_ticks;
  __u8 state;
  __u8 flags;
  __u16 nexthop;
} __attribute__((aligned(8)));

struct layout_line {
  struct layout_entry entry[4];
};

struct layout_slot {
  struct xlvs_conn conn;
  __u8 room[32];
};

struct layout_tagged {
  __u16 tag[8]; /* 0 = free */
  __u8 room[48];
  struct layout_slot slot[8];
};

struct layout_key {
  __be32 saddr;
  __be32 daddr;
  __u16 sport;
  __u16 dport;
  __u32 l4_proto;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE); /* so that entries begin on a line */
  __type(key, __u32);
  __type(value, struct layout_line);
  __uint(max_entries, 1); /* loader */
} layout_lines SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct layout_tagged);
  __uint(max_entries, 1); /* loader */
} layout_tags SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct layout_key);
  __type(value, struct xlvs_conn);
  __uint(max_entries, 1); /* loader */
} layout_hash SEC(".maps");

/* How many lines and tagged buckets there are. */
const volatile __u32 layout_line_count;
const volatile __u32 layout_tag_count;

static __always_inline struct xlvs_packet layout_packet(__u32 flow) {
  struct xlvs_packet pkt = {.sport = bpf_ntohs(bench_client_port(flow)),
                            .dport = bpf_ntohs(bench_traffic.vport),
                            .l4_proto = IPPROTO_TCP};
  const __u64 prefix = bpf_cpu_to_be64(0x0000ffff00000000ULL);
  ((__u64*)pkt.saddr.byte)[1] = prefix | (__u64)bench_client(flow) << 32;
  ((__u64*)pkt.daddr.byte)[1] = prefix | (__u64)bpf_htonl(BENCH_VIP) << 32;
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (clock) pkt.now_ticks = clock->now_ticks;
  return pkt;
}

static __always_inline __u32 layout_hash_of(const struct xlvs_packet* pkt) {
  return xlvs_hash_any(&pkt->saddr, xlvs_flow_rest(pkt->sport, pkt->l4_proto));
}

static __always_inline bool layout_dest_matches(__u32 id,
                                                const struct xlvs_packet* pkt) {
  const struct xlvs_dest* dest = bpf_map_lookup_elem(&xlvs_dests, &id);
  return dest && dest->l4_proto == pkt->l4_proto && dest->vport == pkt->dport &&
         xlvs_addr_equal(&dest->vaddr, &pkt->daddr);
}

static __always_inline int layout_result(bool found) {
  if (!found) bench_traffic.failures++;
  return XDP_TX;
}

SEC("xdp")
int layout_control(struct xdp_md* ctx) {
  (void)ctx;
  const struct xlvs_packet pkt = layout_packet(bench_next_flow());
  asm volatile("" ::"r"(&pkt) : "memory");
  return XDP_TX;
}

/* ---- record */

SEC("xdp")
int layout_find_record(struct xdp_md* ctx) {
  (void)ctx;
  struct xlvs_packet pkt = layout_packet(bench_next_flow());
  struct xlvs_place place;
  struct xlvs_found found;
  struct xlvs_miss miss;
  return layout_result(
      xlvs_conn_find(&pkt, XLVS_TO_DEST, &place, &miss, &found));
}

/* ---- entry */

static __always_inline __u32 layout_line_of(__u32 hash, int probe) {
  const __u32 line = ((__u64)hash * layout_line_count) >> 32;
  return line + probe < layout_line_count ? line + probe : probe;
}

static __always_inline bool layout_entry_matches(
    const struct layout_entry* entry, const struct xlvs_packet* pkt) {
  const __u64 first = *(volatile __u64*)entry;
  const __u64 wanted = xlvs_addr_to_v4(&pkt->saddr) | (__u64)pkt->sport << 32;
  if (first << 16 != wanted << 16) return false;
  const __u64 second = *((volatile __u64*)entry + 1);
  if (!xlvs_is_later((__u32)second, pkt->now_ticks)) return false;
  return layout_dest_matches(first >> 48, pkt);
}

SEC("xdp")
int layout_find_entry(struct xdp_md* ctx) {
  (void)ctx;
  const struct xlvs_packet pkt = layout_packet(bench_next_flow());
  const __u32 hash = layout_hash_of(&pkt);
  for (int probe = 0; probe < LAYOUT_PROBES; probe++) {
    const __u32 index = layout_line_of(hash, probe);
    const struct layout_line* line = bpf_map_lookup_elem(&layout_lines, &index);
    if (!line) break;
    if (layout_entry_matches(&line->entry[0], &pkt) ||
        layout_entry_matches(&line->entry[1], &pkt) ||
        layout_entry_matches(&line->entry[2], &pkt) ||
        layout_entry_matches(&line->entry[3], &pkt))
      return layout_result(true);
  }
  return layout_result(false);
}

SEC("xdp")
int layout_fill_entry(struct xdp_md* ctx) {
  (void)ctx;
  const __u32 flow = bench_next_flow();
  const struct xlvs_packet pkt = layout_packet(flow);
  const __u32 hash = layout_hash_of(&pkt);
  for (int probe = 0; probe < LAYOUT_PROBES; probe++) {
    const __u32 index = layout_line_of(hash, probe);
    struct layout_line* line = bpf_map_lookup_elem(&layout_lines, &index);
    if (!line) break;
    for (int i = 0; i < 4; i++) {
      if (line->entry[i].state) continue;
      line->entry[i] =
          (struct layout_entry){.caddr = xlvs_addr_to_v4(&pkt.saddr),
                                .cport = pkt.sport,
                                .dest = 1 + bench_real(flow),
                                .expires_ticks = pkt.now_ticks + 7200,
                                .state = XLVS_CONN_tcp_established};
      return layout_result(true);
    }
  }
  return layout_result(false);
}

/* ---- tag */

static __always_inline __u32 layout_tag_of(__u32 hash, int probe) {
  const __u32 bucket = ((__u64)hash * layout_tag_count) >> 32;
  return bucket + probe < layout_tag_count ? bucket + probe : probe;
}

static __always_inline bool layout_slot_matches(struct layout_tagged* tagged,
                                                int slot, __u16 tag,
                                                const struct xlvs_packet* pkt) {
  if (tagged->tag[slot] != tag) return false;
  struct xlvs_found found;
  return xlvs_conn_matches(&tagged->slot[slot].conn, pkt, XLVS_LOOK_to_dest,
                           &found);
}

SEC("xdp")
int layout_find_tag(struct xdp_md* ctx) {
  (void)ctx;
  const struct xlvs_packet pkt = layout_packet(bench_next_flow());
  const __u32 hash = layout_hash_of(&pkt);
  const __u16 tag = hash | 1;
  for (int probe = 0; probe < LAYOUT_PROBES; probe++) {
    const __u32 index = layout_tag_of(hash, probe);
    struct layout_tagged* tagged = bpf_map_lookup_elem(&layout_tags, &index);
    if (!tagged) break;
    if (layout_slot_matches(tagged, 0, tag, &pkt) ||
        layout_slot_matches(tagged, 1, tag, &pkt) ||
        layout_slot_matches(tagged, 2, tag, &pkt) ||
        layout_slot_matches(tagged, 3, tag, &pkt) ||
        layout_slot_matches(tagged, 4, tag, &pkt) ||
        layout_slot_matches(tagged, 5, tag, &pkt) ||
        layout_slot_matches(tagged, 6, tag, &pkt) ||
        layout_slot_matches(tagged, 7, tag, &pkt))
      return layout_result(true);
  }
  return layout_result(false);
}

static __always_inline struct xlvs_conn layout_conn(
    __u32 flow, const struct xlvs_packet* pkt) {
  const struct xlvs_conn conn = {
      .caddr = pkt->saddr,
      .ports = {.cport = pkt->sport,
                .vport = pkt->dport,
                .dest = 1 + bench_real(flow)},
      .life = {.expires_ticks = pkt->now_ticks + 7200,
               .state = XLVS_CONN_tcp_established}};
  return conn;
}

SEC("xdp")
int layout_fill_tag(struct xdp_md* ctx) {
  (void)ctx;
  const __u32 flow = bench_next_flow();
  const struct xlvs_packet pkt = layout_packet(flow);
  const __u32 hash = layout_hash_of(&pkt);
  for (int probe = 0; probe < LAYOUT_PROBES; probe++) {
    const __u32 index = layout_tag_of(hash, probe);
    struct layout_tagged* tagged = bpf_map_lookup_elem(&layout_tags, &index);
    if (!tagged) break;
    for (int i = 0; i < 8; i++) {
      if (tagged->tag[i]) continue;
      tagged->slot[i].conn = layout_conn(flow, &pkt);
      tagged->tag[i] = hash | 1;
      return layout_result(true);
    }
  }
  return layout_result(false);
}

/* ---- hash */

static __always_inline struct layout_key layout_key(
    const struct xlvs_packet* pkt) {
  const struct layout_key key = {.saddr = xlvs_addr_to_v4(&pkt->saddr),
                                 .daddr = xlvs_addr_to_v4(&pkt->daddr),
                                 .sport = pkt->sport,
                                 .dport = pkt->dport,
                                 .l4_proto = pkt->l4_proto};
  return key;
}

SEC("xdp")
int layout_find_hash(struct xdp_md* ctx) {
  (void)ctx;
  const struct xlvs_packet pkt = layout_packet(bench_next_flow());
  const struct layout_key key = layout_key(&pkt);
  const struct xlvs_conn* conn = bpf_map_lookup_elem(&layout_hash, &key);
  return layout_result(conn &&
                       xlvs_is_later(conn->life.expires_ticks, pkt.now_ticks));
}

SEC("xdp")
int layout_fill_hash(struct xdp_md* ctx) {
  (void)ctx;
  const __u32 flow = bench_next_flow();
  const struct xlvs_packet pkt = layout_packet(flow);
  const struct layout_key key = layout_key(&pkt);
  const struct xlvs_conn conn = layout_conn(flow, &pkt);
  return layout_result(!bpf_map_update_elem(&layout_hash, &key, &conn, 0));
}

char layout_license[] SEC("license") = "Dual BSD/GPL";
