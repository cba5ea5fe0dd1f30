/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A frame -> struct xlvs_packet. Reads only. What is not understood is passed
 * to the kernel, by name.
 *
 * Two ways in, one set of readers (bpf/lib/headers.h): the commonest shapes,
 * all of whose offsets are constant, and any shape. */
#ifndef XLVS_BPF_PARSE_FRAME_H
#define XLVS_BPF_PARSE_FRAME_H

#include "bpf/lib/headers.h"
#include "maps/nexthop.h"

/* IPv4 without options and whole, or IPv6 without extension headers; with TCP
 * or UDP. */
static __always_inline bool xlvs_is_plain(const void* l3, enum xlvs_l3 family) {
  __u8 protocol;
  if (family == XLVS_V4) {
    const struct iphdr* ip = l3;
    if (*(const __u8*)l3 != 0x45 || /* version 4, 5 words */
        ip->frag_off & bpf_htons(XLVS_IP_MORE_FRAGMENTS | XLVS_IP_OFFSET))
      return false;
    protocol = ip->protocol;
  } else {
    const struct ipv6hdr* ip = l3;
    if (*(const __u8*)l3 >> 4 != 6) return false;
    protocol = ip->nexthdr;
  }
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* Ethernet without a tag and what is plain, as `shape`, a constant, says.
 * `other_shape`: it may be one of ours, but xlvs_parse has to look. */
static __always_inline enum xlvs_step xlvs_parse_plain(
    struct xlvs_cursor cursor, struct xlvs_shape shape,
    struct xlvs_packet* ret) {
  const struct ethhdr* eth = cursor.next;
  if ((void*)(eth + 1) > cursor.end) return XLVS_STEP_other_shape;
  const __be16 ethertype = xlvs_ethertype_in(eth);
  if (ethertype != xlvs_ethertype(shape.l3))
    return ethertype == bpf_htons(ETH_P_IPV6) ||
                   ethertype == bpf_htons(ETH_P_8021Q) ||
                   ethertype == bpf_htons(ETH_P_8021AD)
               ? XLVS_STEP_other_shape
               : XLVS_STEP_pass_not_ip;
  if (!xlvs_take(&cursor, shape.l4_off)) return XLVS_STEP_other_shape;
  const void* l3 = eth + 1;
  if (!xlvs_is_plain(l3, shape.l3)) return XLVS_STEP_other_shape;
  if (shape.l3 == XLVS_V4) {
    xlvs_parse_v4(l3, ret);
  } else {
    const enum xlvs_step step = xlvs_parse_v6(l3, ret);
    if (step != XLVS_STEP_next) return step;
  }
  if (eth->h_dest[0] & 1) return XLVS_STEP_pass_not_unicast;
  /* Longer than what is here in one piece: it may have frags. */
  if (ret->ip_bytes > (__u64)(cursor.end - l3)) return XLVS_STEP_other_shape;
  ret->l3_off = shape.l3_off;
  ret->l4_off = shape.l4_off;
  ret->fragment = shape.fragment;
  return xlvs_parse_l4(&cursor, shape.l4_off - shape.l3_off, ret);
}

/* Takes up to two VLAN tags. The network header's ethertype, 0 if the frame is
 * too short. */
static __always_inline __be16 xlvs_parse_tags(struct xlvs_cursor* cursor,
                                              __be16 ethertype) {
  XLVS_UNROLL
  for (int i = 0; i < XLVS_VLAN_TAGS; i++) {
    if (ethertype != bpf_htons(ETH_P_8021Q) &&
        ethertype != bpf_htons(ETH_P_8021AD))
      break;
    const struct xlvs_vlan_header* tag = xlvs_take(cursor, sizeof(*tag));
    if (!tag) return 0;
    ethertype = tag->ethertype;
  }
  return ethertype;
}

/* The network header; the cursor stands behind it then, extensions not read. */
static __always_inline enum xlvs_step xlvs_parse_l3(struct xlvs_cursor* cursor,
                                                    __be16 ethertype,
                                                    struct xlvs_packet* ret) {
  if (ethertype == bpf_htons(ETH_P_IP)) {
    const struct iphdr* ip = xlvs_take(cursor, sizeof(*ip));
    if (!ip) return XLVS_STEP_pass_truncated;
    if (ip->version != 4 || ip->ihl < 5) return XLVS_STEP_pass_malformed;
    xlvs_parse_v4(ip, ret);
    ret->fragment = xlvs_fragment_of_v4(ip);
    ret->fragment_id = ip->id;
    return xlvs_skip_v4_options(cursor, ip) ? XLVS_STEP_next
                                            : XLVS_STEP_pass_truncated;
  }
  if (ethertype == bpf_htons(ETH_P_IPV6)) {
    const struct ipv6hdr* ip = xlvs_take(cursor, sizeof(*ip));
    if (!ip) return XLVS_STEP_pass_truncated;
    if (ip->version != 6) return XLVS_STEP_pass_malformed;
    return xlvs_parse_v6(ip, ret);
  }
  if (ethertype == bpf_htons(ETH_P_8021Q) ||
      ethertype == bpf_htons(ETH_P_8021AD))
    return XLVS_STEP_pass_vlan;
  return XLVS_STEP_pass_not_ip;
}

/* `frame_bytes`: the frame's length, also of what is not in one piece. ICMP and
 * later fragments come out without ports. */
static __always_inline enum xlvs_step xlvs_parse_any(
    const struct xlvs_cursor frame, __u32 frame_bytes,
    struct xlvs_packet* ret) {
  struct xlvs_cursor cursor = frame;
  const struct ethhdr* eth = xlvs_take(&cursor, sizeof(*eth));
  if (!eth) return XLVS_STEP_pass_truncated;
  const bool unicast = !(eth->h_dest[0] & 1);
  const __be16 ethertype = xlvs_parse_tags(&cursor, xlvs_ethertype_in(eth));
  if (!ethertype) return XLVS_STEP_pass_truncated;
  ret->l3_off = cursor.next - frame.next;
  enum xlvs_step step = xlvs_parse_l3(&cursor, ethertype, ret);
  if (step != XLVS_STEP_next) return step;
  if (!unicast) return XLVS_STEP_pass_not_unicast;
  ret->l4_off = cursor.next - frame.next;
  if (ret->l3 == XLVS_V6) {
    step = xlvs_skip_extensions(frame, ret);
    if (step != XLVS_STEP_next) return step;
  }
  if (ret->ip_bytes > frame_bytes - ret->l3_off ||
      ret->ip_bytes < ret->l4_off - ret->l3_off)
    return XLVS_STEP_pass_truncated;
  if (ret->fragment == XLVS_FRAGMENT_later) return XLVS_STEP_next;
  if (xlvs_is_icmp(ret))
    return ret->ip_bytes - (ret->l4_off - ret->l3_off) <
                       sizeof(struct xlvs_icmp_header) ||
                   !xlvs_peek(frame, ret->l4_off,
                              sizeof(struct xlvs_icmp_header))
               ? XLVS_STEP_pass_truncated
               : XLVS_STEP_next;
  cursor.next = xlvs_peek(frame, ret->l4_off, 0);
  if (!cursor.next) return XLVS_STEP_pass_truncated;
  return xlvs_parse_l4(&cursor, ret->l4_off - ret->l3_off, ret);
}

/* Verified once and alone: what comes out is any packet to its callers. */
__noinline int xlvs_parse(struct xdp_md* ctx, struct xlvs_packet* ret) {
  if (!ret) return XLVS_STEP_drop_internal;
  return xlvs_parse_any(xlvs_cursor(ctx), bpf_xdp_get_buff_len(ctx), ret);
}

#endif
