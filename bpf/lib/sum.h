/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Checksums over whole messages: of ICMP errors and of tunnels that want one.
 * Reads the packet by helper, so also where it is not in one piece. */
#ifndef XLVS_BPF_LIB_SUM_H
#define XLVS_BPF_LIB_SUM_H

#include "bpf/lib/csum.h"
#include "bpf/tables.h"

#define XLVS_SUM_CHUNKS_MAX (65536 / XLVS_SUM_CHUNK)

struct xlvs_summing {
  struct xdp_md* ctx;
  __u32 offset;
  __u32 left;
  __u32 sum;
  __u32 failed;
};

static long xlvs_sum_chunk(__u32 index, void* context) {
  (void)index;
  struct xlvs_summing* summing = context;
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch || !summing->left) return 1;
  __u8* chunk = scratch->chunk;
  __u32 last =
      (summing->left < XLVS_SUM_CHUNK ? summing->left : XLVS_SUM_CHUNK) - 1;
  asm volatile("" : "+r"(last)); /* clang would know better, and say less */
  const __u32 bytes = (last & (XLVS_SUM_CHUNK - 1)) + 1;
  __builtin_memset(chunk, 0, XLVS_SUM_CHUNK);
  if (bpf_xdp_load_bytes(summing->ctx, summing->offset, chunk, bytes)) {
    summing->failed = 1;
    return 1;
  }
  summing->sum =
      bpf_csum_diff(NULL, 0, (__be32*)chunk, XLVS_SUM_CHUNK, summing->sum);
  summing->offset += bytes;
  summing->left -= bytes;
  return 0;
}

/* The one's complement sum of `bytes` of the packet from `offset` on, or a
 * negative number if they are not there. */
__noinline __s64 xlvs_sum(struct xdp_md* ctx, __u32 offset, __u32 bytes) {
  struct xlvs_summing summing = {.ctx = ctx, .offset = offset, .left = bytes};
  bpf_loop(XLVS_SUM_CHUNKS_MAX + 1, xlvs_sum_chunk, &summing, 0);
  return summing.failed || summing.left ? -1 : (__s64)summing.sum;
}

/* What the pseudo header adds to a transport checksum (RFC 768, RFC 8200 8.1).
 */
static __always_inline __u64 xlvs_sum_pseudo_v6(const void* saddr,
                                                const void* daddr,
                                                __u32 l4_bytes, __u8 l4_proto) {
  const __u32* s = saddr;
  const __u32* d = daddr;
  __u64 sum = bpf_htonl(l4_bytes);
  sum += bpf_htonl(l4_proto);
  for (int i = 0; i < 4; i++) sum += (__u64)s[i] + d[i];
  return sum;
}

static __always_inline __u64 xlvs_sum_pseudo_v4(__be32 saddr, __be32 daddr,
                                                __u16 l4_bytes, __u8 l4_proto) {
  return (__u64)saddr + daddr + bpf_htons(l4_bytes) + bpf_htons(l4_proto);
}

#endif
