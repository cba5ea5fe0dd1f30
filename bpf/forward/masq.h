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

/* Replaces a port. Returns the change. */
static __always_inline __u64 xlvs_put_port(struct xlvs_ports_header* ports,
                                           bool source, __be16 port) {
  __be16* at = source ? &ports->source : &ports->dest;
  const __u64 change = xlvs_csum_change16(*at, port);
  *at = port;
  return change;
}

static __always_inline enum xlvs_step xlvs_put_sctp_port(
    struct xlvs_sctp_header* sctp, const struct xlvs_packet* pkt,
    struct xlvs_shape shape, bool source, __be16 port) {
  __be16* at = source ? &sctp->source : &sctp->dest;
  if (*at == port) return XLVS_STEP_next;
  /* The checksum covers what is in the later fragments, too. */
  if (shape.fragment != XLVS_WHOLE) return XLVS_STEP_drop_sctp_fragment;
  const __u32 sctp_bytes = pkt->ip_bytes - (shape.l4_off - shape.l3_off);
  const __u32 behind =
      sctp_bytes - (source ? sizeof(__be16) : 2 * sizeof(__be16));
  sctp->checksum ^= xlvs_crc32c_change16(*at ^ port, behind);
  *at = port;
  return XLVS_STEP_next;
}

/* To the dest: the destination becomes `addr`:`port`; to the client: the
 * source does. `port` in host order. Returns next or an ending. The network
 * header's checksum is the caller's: view->l3_change. */
static __always_inline enum xlvs_step xlvs_masq(
    struct xdp_md* ctx, struct xlvs_view* view, const struct xlvs_packet* pkt,
    struct xlvs_shape shape, enum xlvs_direction direction,
    const struct xlvs_addr* addr, __u16 port) {
  const bool source = direction == XLVS_TO_CLIENT;
  const __be16 new_port = bpf_htons(port);
  if (shape.fragment == XLVS_FRAGMENT_later) { /* ports are in the first */
    /* Which did not go on, either. */
    if (pkt->l4_proto == XLVS_IPPROTO_SCTP &&
        (source ? pkt->sport : pkt->dport) != port)
      return XLVS_STEP_drop_sctp_fragment;
    view->l3_change += xlvs_put_addr(view->l3, view->family, source, addr);
  } else if (pkt->l4_proto == IPPROTO_TCP) {
    struct tcphdr* tcp = xlvs_at(ctx, shape.l4_off, sizeof(*tcp));
    if (!tcp) return XLVS_STEP_drop_internal;
    const __u64 change = xlvs_put_addr(view->l3, view->family, source, addr);
    view->l3_change += change;
    tcp->check = xlvs_csum_apply(
        tcp->check, change + xlvs_put_port((void*)tcp, source, new_port));
  } else if (pkt->l4_proto == IPPROTO_UDP) {
    struct udphdr* udp = xlvs_at(ctx, shape.l4_off, sizeof(*udp));
    if (!udp) return XLVS_STEP_drop_internal;
    const __u64 change = xlvs_put_addr(view->l3, view->family, source, addr);
    view->l3_change += change;
    const __u64 ports = xlvs_put_port((void*)udp, source, new_port);
    if (udp->check) { /* 0 = the sender computed none */
      const __u16 check = xlvs_csum_apply(udp->check, change + ports);
      udp->check = check ? check : 0xffff;
    }
  } else {
    struct xlvs_sctp_header* sctp = xlvs_at(ctx, shape.l4_off, sizeof(*sctp));
    if (!sctp) return XLVS_STEP_drop_internal;
    const enum xlvs_step step =
        xlvs_put_sctp_port(sctp, pkt, shape, source, new_port);
    if (step != XLVS_STEP_next) return step;
    view->l3_change += xlvs_put_addr(view->l3, view->family, source, addr);
  }
  return XLVS_STEP_next;
}

#endif
