/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Takes the outer headers off: the frame begins later, with the MAC addresses
 * and tags that it had, and the type of the packet inside. */
#ifndef XLVS_BPF_DECAP_STRIP_H
#define XLVS_BPF_DECAP_STRIP_H

#include "bpf/decap/tunnel.h"

static __always_inline enum xlvs_decap_step xlvs_decap_strip(
    struct xdp_md* ctx, const struct xlvs_tunnel* pkt) {
  if (bpf_xdp_adjust_head(ctx, (int)(pkt->inner_offset - pkt->l3_offset)))
    return XLVS_DECAP_drop_internal;
  struct xlvs_cursor cursor = xlvs_cursor(ctx);
  __u8* macs = xlvs_take(&cursor, sizeof(pkt->macs));
  if (!macs) return XLVS_DECAP_drop_internal;
  __builtin_memcpy(macs, pkt->macs, sizeof(pkt->macs));
  __u32 offset = sizeof(struct ethhdr);
  XLVS_UNROLL
  for (int i = 0; i < XLVS_DECAP_TAGS; i++) {
    if (offset == pkt->l3_offset) break;
    struct xlvs_decap_tag* tag = xlvs_take(&cursor, sizeof(*tag));
    if (!tag) return XLVS_DECAP_drop_internal;
    *tag = pkt->tags[i];
    offset += sizeof(*tag);
  }
  __be16* type = xlvs_take(&cursor, sizeof(*type));
  if (!type) return XLVS_DECAP_drop_internal;
  *type = bpf_htons(pkt->inner_type);
  return pkt->ending;
}

#endif
