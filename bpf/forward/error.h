/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Masq of an ICMP error about a connection: the packet itself and the one that
 * it quotes (ip_vs_core.c, ip_vs_nat_icmp). As there, the quoted packet's
 * transport checksum is left alone: most of what it covers is not quoted. */
#ifndef XLVS_BPF_FORWARD_ERROR_H
#define XLVS_BPF_FORWARD_ERROR_H

#include "bpf/lib/cursor.h"
#include "bpf/lib/l3.h"
#include "maps/step.h"

/* To the dest: destination, and source of what is quoted, become `addr`:`port`;
 * to the client the other way round. `port` in host order. */
static __always_inline enum xlvs_step xlvs_masq_error(
    struct xdp_md* ctx, struct xlvs_shape shape,
    const struct xlvs_packet* quoted, enum xlvs_direction direction,
    const struct xlvs_addr* addr, __u16 port) {
  const bool source = direction == XLVS_TO_CLIENT;
  const enum xlvs_l3 family = xlvs_known_l3(shape.l3);
  const __u32 l3_bytes = xlvs_l3_bytes(family);
  void* l3 = xlvs_at(ctx, shape.l3_off, l3_bytes);
  struct xlvs_icmp_header* icmp = xlvs_at(ctx, shape.l4_off, sizeof(*icmp));
  void* quoted_l3 = xlvs_at(ctx, quoted->l3_off, l3_bytes);
  struct xlvs_ports_header* ports =
      xlvs_at(ctx, quoted->l4_off, sizeof(*ports));
  if (!l3 || !icmp || !quoted_l3 || !ports) return XLVS_STEP_drop_internal;
  __be16* at = source ? &ports->dest : &ports->source;
  const __be16 new_port = bpf_htons(port);
  __u64 change = xlvs_csum_change16(*at, new_port);
  *at = new_port;
  const __u64 outer = xlvs_put_addr(l3, family, source, addr);
  const __u64 inner = xlvs_put_addr(quoted_l3, family, !source, addr);
  xlvs_mend_l3(l3, family, outer);
  xlvs_mend_l3(quoted_l3, family, inner);
  /* ICMPv6 covers the outer addresses (pseudo header), and nothing in the
   * quoted header makes up for its address; in IPv4's its checksum does. */
  if (family == XLVS_V6) change += outer + inner;
  icmp->checksum = xlvs_csum_apply(icmp->checksum, change);
  return XLVS_STEP_next;
}

#endif
