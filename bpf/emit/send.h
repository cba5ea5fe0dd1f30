/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Sends a rewritten packet on its way: TTL, MAC addresses, and out. */
#ifndef XLVS_BPF_EMIT_SEND_H
#define XLVS_BPF_EMIT_SEND_H

#include "bpf/lib/csum.h"
#include "bpf/lib/packet.h"
#include "bpf/tables.h"

/* Whether we may send from this interface: it is the one that the packet came
 * in by, or one that we are attached to (then the redirect is prepared). */
static __always_inline bool xlvs_can_send(struct xdp_md* ctx, __u32 ifindex) {
  if (ifindex == ctx->ingress_ifindex) return true;
  return bpf_redirect_map(&xlvs_devices, ifindex, XDP_ABORTED) == XDP_REDIRECT;
}

/* One hop less, as a router does (RFC 1812, 5.3.1). TTL is above 1. */
static __always_inline void xlvs_decrement_ttl(struct iphdr* ip) {
  /* TTL is the high byte of its 16-bit word. */
  ip->check =
      xlvs_csum_apply(ip->check, xlvs_csum_change16(bpf_htons(0x0100), 0));
  ip->ttl--;
}

static __always_inline void xlvs_set_macs(struct ethhdr* eth,
                                          const struct xlvs_nexthop* way) {
  __builtin_memcpy(eth->h_dest, way->dmac, ETH_ALEN);
  __builtin_memcpy(eth->h_source, way->smac, ETH_ALEN);
}

#endif
