/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Turns a client's packet into the ICMP error that answers it, sent from the
 * service's address as IPVS does through the kernel's icmp_send: up to 576
 * bytes, TOS 0xc0 (RFC 1812, 4.3.2.3), TTL 64, the packet quoted as it came. At
 * most XLVS_ICMP_PER_TICK a tick and CPU. */
#ifndef XLVS_BPF_EMIT_ICMP_ERROR_H
#define XLVS_BPF_EMIT_ICMP_ERROR_H

#include "bpf/lib/csum.h"
#include "bpf/lib/packet.h"
#include "bpf/tables.h"

#define XLVS_ICMP_PER_TICK \
  125 /* 1,000 a second, as net.ipv4.icmp_msgs_per_sec */
#define XLVS_ICMP_BYTES_MAX 576

/* RFC 792. <linux/icmp.h> would pull in half of the C library. */
struct xlvs_icmp_header {
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be16 unused;
  __be16 mtu; /* RFC 1191, only with XLVS_ICMP_FRAG_NEEDED */
};
#define XLVS_ICMP_DEST_UNREACH 3
#define XLVS_ICMP_HOST_UNREACH 1
#define XLVS_ICMP_PORT_UNREACH 3
#define XLVS_ICMP_FRAG_NEEDED 4
#define XLVS_ICMP_TIME_EXCEEDED 11

#define XLVS_ICMP_HEADERS \
  (sizeof(struct iphdr) + sizeof(struct xlvs_icmp_header))
#define XLVS_QUOTED_MAX (XLVS_ICMP_BYTES_MAX - (int)XLVS_ICMP_HEADERS)

static __always_inline bool xlvs_icmp_allowed(__u32 now_ticks) {
  struct xlvs_icmp_budget* budget = XLVS_ONLY(xlvs_icmp);
  if (!budget) return false;
  if (budget->tick != now_ticks) {
    budget->tick = now_ticks;
    budget->sent = 0;
  }
  return budget->sent++ < XLVS_ICMP_PER_TICK;
}

/* The one's complement sum of the ICMP message, which ends with the frame. A
 * function of its own, so that its bounds checks do not confuse the caller's.
 */
__noinline __u32 xlvs_sum_icmp(struct xdp_md* ctx) {
  const void* end = (const void*)(long)ctx->data_end;
  const __u16* word = (const void*)(long)ctx->data + sizeof(struct ethhdr) +
                      sizeof(struct iphdr);
  __u32 sum = 0; /* 288 words of 16 bits: no overflow */
  for (int i = 0; i < XLVS_ICMP_BYTES_MAX / 2; i++, word++) {
    if ((const void*)(word + 1) > end) break;
    sum += *word;
  }
  const __u8* odd = (const __u8*)word;
  if ((const void*)(odd + 1) <= end) sum += *odd;
  return sum;
}

static __always_inline __u16 xlvs_ip_check(const struct iphdr* ip) {
  const __u16* word = (const __u16*)ip;
  __u64 sum = 0;
  for (__u32 i = 0; i < sizeof(*ip) / 2; i++) sum += word[i];
  return xlvs_csum_fold(sum);
}

/* Rewrites the frame in place. `mtu` only for "fragmentation needed". Returns
 * `step`, or the drop that it became. */
__noinline int xlvs_icmp_error(struct xdp_md* ctx,
                               const struct xlvs_packet* pkt, __u32 step,
                               __u32 mtu) {
  if (!pkt) return XLVS_STEP_drop_internal;
  if (!xlvs_icmp_allowed(pkt->now_ticks)) return XLVS_STEP_drop_icmp_rate;
  __u32 quoted = pkt->ip_bytes;
  if (quoted > XLVS_QUOTED_MAX) quoted = XLVS_QUOTED_MAX;
  const int frame_bytes = (int)(ctx->data_end - ctx->data);
  /* Also cuts off Ethernet padding, which is not part of the IP packet. */
  if (bpf_xdp_adjust_tail(
          ctx, (int)(sizeof(struct ethhdr) + quoted) - frame_bytes) ||
      bpf_xdp_adjust_head(ctx, -(int)XLVS_ICMP_HEADERS))
    return XLVS_STEP_drop_icmp_failed;

  void* data = (void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  struct iphdr* ip = data + sizeof(*eth);
  struct xlvs_icmp_header* icmp = (void*)(ip + 1);
  struct ethhdr* old_eth = data + XLVS_ICMP_HEADERS;
  const struct iphdr* old_ip = (const void*)(icmp + 1);
  if ((const void*)(old_ip + 1) > end) return XLVS_STEP_drop_icmp_failed;

  struct ethhdr swapped = {.h_proto = bpf_htons(ETH_P_IP)};
  __builtin_memcpy(swapped.h_dest, old_eth->h_source, ETH_ALEN);
  __builtin_memcpy(swapped.h_source, old_eth->h_dest, ETH_ALEN);
  *eth = swapped;

  *ip = (struct iphdr){
      .version = 4,
      .ihl = 5,
      .tos = (old_ip->tos & 0x1e) | 0xc0,
      .tot_len = bpf_htons(XLVS_ICMP_HEADERS + quoted),
      .id = bpf_htons((__u16)bpf_get_prandom_u32()),
      .ttl = 64,
      .protocol = IPPROTO_ICMP,
      .saddr = old_ip->daddr,
      .daddr = old_ip->saddr,
  };
  ip->check = xlvs_ip_check(ip);

  struct xlvs_icmp_header header = {.type = XLVS_ICMP_DEST_UNREACH,
                                    .code = XLVS_ICMP_PORT_UNREACH};
  if (step == XLVS_STEP_tx_icmp_ttl_exceeded) {
    header.type = XLVS_ICMP_TIME_EXCEEDED;
    header.code = 0; /* in transit */
  } else if (step == XLVS_STEP_tx_icmp_host_unreach) {
    header.code = XLVS_ICMP_HOST_UNREACH;
  } else if (step == XLVS_STEP_tx_icmp_frag_needed) {
    header.code = XLVS_ICMP_FRAG_NEEDED;
    header.mtu = bpf_htons(mtu);
  }
  *icmp = header;
  icmp->checksum = xlvs_csum_fold(xlvs_sum_icmp(ctx));
  return step;
}

#endif
