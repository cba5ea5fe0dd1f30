/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Masq (NAT): one address and one port are rewritten, in either direction, and
 * the checksums follow. The client's address and port never change. */
#ifndef XLVS_BPF_FORWARD_MASQ_H
#define XLVS_BPF_FORWARD_MASQ_H

#include "bpf/lib/crc32c.h"
#include "bpf/lib/cursor.h"
#include "bpf/lib/l3.h"
#include "maps/step.h"

/* To the dest: the destination becomes `addr`:`port`; to the client: the
 * source does. `port` in host order. Returns next or an ending. */
static __always_inline enum xlvs_step xlvs_masq(
    struct xdp_md* ctx, const struct xlvs_packet* pkt, struct xlvs_shape shape,
    enum xlvs_direction direction, const struct xlvs_addr* addr, __u16 port) {
  const bool source = direction == XLVS_TO_CLIENT;
  void* l3 = xlvs_at(ctx, shape.l3_off, xlvs_l3_bytes(shape.l3));
  if (!l3) return XLVS_STEP_drop_internal;
  if (shape.fragment == XLVS_FRAGMENT_later) {
    xlvs_put_addr(l3, shape.l3, source, addr);
    return XLVS_STEP_next;
  }
  const __be16 new_port = bpf_htons(port);
  if (pkt->l4_proto == IPPROTO_TCP) {
    struct tcphdr* tcp = xlvs_at(ctx, shape.l4_off, sizeof(*tcp));
    if (!tcp) return XLVS_STEP_drop_internal;
    __be16* at = source ? &tcp->source : &tcp->dest;
    const __u64 change = xlvs_put_addr(l3, shape.l3, source, addr) +
                         xlvs_csum_change16(*at, new_port);
    *at = new_port;
    tcp->check = xlvs_csum_apply(tcp->check, change);
  } else if (pkt->l4_proto == IPPROTO_UDP) {
    struct udphdr* udp = xlvs_at(ctx, shape.l4_off, sizeof(*udp));
    if (!udp) return XLVS_STEP_drop_internal;
    __be16* at = source ? &udp->source : &udp->dest;
    const __u64 change = xlvs_put_addr(l3, shape.l3, source, addr) +
                         xlvs_csum_change16(*at, new_port);
    *at = new_port;
    if (udp->check) { /* 0 = the sender computed none */
      const __u16 check = xlvs_csum_apply(udp->check, change);
      udp->check = check ? check : 0xffff;
    }
  } else {
    struct xlvs_sctp_header* sctp = xlvs_at(ctx, shape.l4_off, sizeof(*sctp));
    if (!sctp) return XLVS_STEP_drop_internal;
    __be16* at = source ? &sctp->source : &sctp->dest;
    if (*at != new_port) {
      /* The checksum covers what is in the later fragments, too. */
      if (shape.fragment != XLVS_WHOLE) return XLVS_STEP_drop_sctp_fragment;
      const __u32 sctp_bytes = pkt->ip_bytes - (shape.l4_off - shape.l3_off);
      const __u32 at_byte = source ? 0 : sizeof(__be16);
      sctp->checksum ^= xlvs_crc32c_change16(
          *at ^ new_port, sctp_bytes - at_byte - sizeof(__be16));
      *at = new_port;
    }
    xlvs_put_addr(l3, shape.l3, source, addr);
  }
  return XLVS_STEP_next;
}

#endif
