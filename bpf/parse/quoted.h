/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The packet that an ICMP error quotes: at least its IP header and 8 bytes more
 * (RFC 792, RFC 4443 2.4 c). */
#ifndef XLVS_BPF_PARSE_QUOTED_H
#define XLVS_BPF_PARSE_QUOTED_H

#include "bpf/lib/headers.h"

/* Reads the quoted packet at `offset` of the frame, up to its ports if it has
 * any; nothing from `end` on is part of it. Returns next, or a step that says
 * why it tells us nothing. */
static __always_inline enum xlvs_step xlvs_parse_quoted_any(
    const struct xlvs_cursor frame, __u32 offset, __u32 end, enum xlvs_l3 l3,
    struct xlvs_packet* ret) {
  ret->l3_off = offset;
  if (l3 == XLVS_V4) {
    const struct iphdr* ip = xlvs_peek(frame, offset, sizeof(*ip));
    if (!ip) return XLVS_STEP_pass_truncated;
    if (ip->version != 4 || ip->ihl < 5) return XLVS_STEP_pass_malformed;
    xlvs_parse_v4(ip, ret);
    ret->fragment = xlvs_fragment_of_v4(ip);
    ret->l4_off = offset + ip->ihl * 4;
  } else {
    const struct ipv6hdr* ip = xlvs_peek(frame, offset, sizeof(*ip));
    if (!ip) return XLVS_STEP_pass_truncated;
    if (ip->version != 6) return XLVS_STEP_pass_malformed;
    enum xlvs_step step = xlvs_parse_v6(ip, ret);
    if (step != XLVS_STEP_next) return step;
    ret->l4_off = offset + sizeof(*ip);
    step = xlvs_skip_extensions(frame, ret);
    if (step != XLVS_STEP_next) return step;
  }
  if (ret->fragment == XLVS_FRAGMENT_later) return XLVS_STEP_pass_fragment;
  const struct xlvs_ports_header* ports =
      xlvs_peek(frame, ret->l4_off, sizeof(*ports));
  if (!ports || ret->l4_off + sizeof(*ports) > end)
    return XLVS_STEP_pass_truncated;
  ret->sport = bpf_ntohs(ports->source);
  ret->dport = bpf_ntohs(ports->dest);
  return XLVS_STEP_next;
}

/* Verified once and alone. */
__noinline int xlvs_parse_quoted(struct xdp_md* ctx, __u32 offset, __u32 end,
                                 __u32 l3, struct xlvs_packet* ret) {
  if (!ret) return XLVS_STEP_drop_internal;
  return xlvs_parse_quoted_any(xlvs_cursor(ctx), offset, end, (enum xlvs_l3)l3,
                               ret);
}

#endif
