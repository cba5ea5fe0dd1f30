/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The checksum of a tunnel's UDP or GRE header, over everything that it holds,
 * in whatever buffers of the frame. */
#ifndef XLVS_BPF_DECAP_VERIFY_H
#define XLVS_BPF_DECAP_VERIFY_H

#include "bpf/decap/tables.h"
#include "bpf/decap/tunnel.h"
#include "bpf/lib/csum.h"

#define XLVS_SUM_PIECES (0x10000 / XLVS_SUM_BYTES)

struct xlvs_sum {
  struct xdp_md* ctx;
  __u32 offset;
  __u32 end;
  __u32 sum;
  __u32 failed;
};

static long xlvs_sum_piece(__u32 index, void* context) {
  struct xlvs_sum* state = context;
  const __u32 zero = 0;
  struct xlvs_sum_buffer* buffer = bpf_map_lookup_elem(&xlvs_decap_sum, &zero);
  if (!buffer) {
    state->failed = 1;
    return 1;
  }
  const __u32 offset = state->offset + index * XLVS_SUM_BYTES;
  if (offset >= state->end) return 1;
  __u64 last = state->end - offset - 1;
  if (last >= XLVS_SUM_BYTES) last = XLVS_SUM_BYTES - 1;
  /* The last byte's place in the piece, as Linux 6.1 must see it: there,
   * knowledge about a 32-bit register does not extend to its copies, and "not
   * zero" not to "one or more" (docs/verifier.md). */
  asm volatile("" : "+r"(last));
  last &= XLVS_SUM_BYTES - 1;
  /* To whole words, with zeros. */
  buffer->word[last / 4] = 0;
  if (bpf_xdp_load_bytes(state->ctx, offset, buffer, last + 1)) {
    state->failed = 1;
    return 1;
  }
  const __s64 sum =
      bpf_csum_diff(NULL, 0, buffer->word, (last & ~3ULL) + 4, state->sum);
  if (sum < 0) {
    state->failed = 1;
    return 1;
  }
  state->sum = sum;
  return 0;
}

/* Of IPv4's pseudo header and of IPv6's: an IPv4 address in our form has ffff
 * before it, which is zero in one's complement. */
static __always_inline __u64 xlvs_pseudo_sum(const struct xlvs_tunnel* pkt) {
  const __u32* words = (const __u32*)&pkt->saddr;
  __u64 sum =
      bpf_htons(pkt->l4_proto) + (__u64)bpf_htons(pkt->end - pkt->l4_offset);
  XLVS_UNROLL
  for (int i = 0; i < 8; i++) sum += words[i]; /* and daddr */
  return sum;
}

static __always_inline enum xlvs_decap_step xlvs_decap_verify(
    struct xdp_md* ctx, const struct xlvs_tunnel* pkt) {
  if (!pkt->has_check) return XLVS_DECAP_next;
  const bool is_udp = pkt->l4_proto == IPPROTO_UDP;
  struct xlvs_sum state = {
      .ctx = ctx, .offset = pkt->l4_offset, .end = pkt->end};
  bpf_loop(XLVS_SUM_PIECES, xlvs_sum_piece, &state, 0);
  if (state.failed) return XLVS_DECAP_drop_internal;
  if (xlvs_csum_fold(state.sum + (is_udp ? xlvs_pseudo_sum(pkt) : 0)) == 0)
    return XLVS_DECAP_next;
  return is_udp ? XLVS_DECAP_drop_udp_checksum : XLVS_DECAP_drop_gre_checksum;
}

#endif
