/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Masq (NAT): one address and one port are rewritten, in either direction, and
 * the checksums follow. The client's address and port never change. */
#ifndef XLVS_BPF_FORWARD_MASQ_H
#define XLVS_BPF_FORWARD_MASQ_H

#include "bpf/lib/addr.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/packet.h"

/* To the dest: the destination becomes `addr`:`port`; to the client: the
 * source does. `port` in host order. */
static __always_inline void xlvs_masq(const struct xlvs_headers* headers,
                                      __u8 l4_proto,
                                      enum xlvs_direction direction,
                                      const struct xlvs_addr* addr,
                                      __u16 port) {
  const bool to_dest = direction == XLVS_TO_DEST;
  __be32* ip_addr = to_dest ? &headers->ip->daddr : &headers->ip->saddr;
  __be16* l4_port = to_dest ? &headers->ports->dest : &headers->ports->source;
  const __be32 new_addr = xlvs_addr_to_v4(addr);
  const __be16 new_port = bpf_htons(port);

  const __u64 addr_change = xlvs_csum_change32(*ip_addr, new_addr);
  const __u64 change = addr_change + xlvs_csum_change16(*l4_port, new_port);
  headers->ip->check = xlvs_csum_apply(headers->ip->check, addr_change);
  *ip_addr = new_addr;
  *l4_port = new_port;
  if (l4_proto == IPPROTO_TCP) {
    *headers->l4_check = xlvs_csum_apply(*headers->l4_check, change);
  } else if (*headers->l4_check) { /* 0 = the sender computed none */
    const __u16 check = xlvs_csum_apply(*headers->l4_check, change);
    *headers->l4_check = check ? check : 0xffff;
  }
}

#endif
