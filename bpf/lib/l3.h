/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Writing to the network header, IPv4 or IPv6. */
#ifndef XLVS_BPF_LIB_L3_H
#define XLVS_BPF_LIB_L3_H

#include "bpf/lib/addr.h"
#include "bpf/lib/csum.h"
#include "bpf/lib/cursor.h"
#include "bpf/lib/packet.h"

/* The family, as a constant on each of the two ways that follow. The verifier
 * of Linux 6.1 knows nothing of a value that was spilled before a branch on it,
 * so not either that what is checked for IPv6's header is written as IPv6's. */
static __always_inline enum xlvs_l3 xlvs_known_l3(enum xlvs_l3 l3) {
  if (__builtin_constant_p(l3)) return l3;
  __u32 known;
  if (l3 == XLVS_V4) {
    known = XLVS_V4;
    asm volatile("" : "+r"(known)); /* clang would make it one way */
  } else {
    known = XLVS_V6;
    asm volatile("" : "+r"(known));
  }
  return (enum xlvs_l3)known;
}

static __always_inline __u32 xlvs_l3_bytes(enum xlvs_l3 l3) {
  return l3 == XLVS_V4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* Writes an address over another. Returns what that adds to a checksum that
 * covers it. */
static __always_inline __u64 xlvs_put_v4(__be32* at,
                                         const struct xlvs_addr* addr) {
  const __be32 wire = xlvs_addr_to_v4(addr);
  const __u64 change = xlvs_csum_change32(*at, wire);
  *at = wire;
  return change;
}

static __always_inline __u64 xlvs_put_v6(void* at,
                                         const struct xlvs_addr* addr) {
  __u32* words = at;
  const __u32* wire = (const __u32*)addr->byte;
  __u64 change = 0;
  for (int i = 0; i < 4; i++) {
    change += xlvs_csum_change32(words[i], wire[i]);
    words[i] = wire[i];
  }
  return change;
}

/* The address in the network header at `l3`: the source or the destination.
 * Returns what that adds to a checksum that covers it. */
static __always_inline __u64 xlvs_put_addr(void* l3, enum xlvs_l3 family,
                                           bool source,
                                           const struct xlvs_addr* addr) {
  if (family == XLVS_V6) {
    struct ipv6hdr* ip = l3;
    return xlvs_put_v6(source ? (void*)&ip->saddr : (void*)&ip->daddr, addr);
  }
  struct iphdr* ip = l3;
  return xlvs_put_v4(source ? &ip->saddr : &ip->daddr, addr);
}

/* Mends IPv4's header checksum for what has changed in the header. */
static __always_inline void xlvs_mend_l3(void* l3, enum xlvs_l3 family,
                                         __u64 change) {
  if (family == XLVS_V6) return;
  struct iphdr* ip = l3;
  ip->check = xlvs_csum_apply(ip->check, change);
}

/* One hop less, as a router does (RFC 1812, 5.3.1; RFC 8200, 3). It is above 1.
 * Returns the change for xlvs_mend_l3. */
static __always_inline __u64 xlvs_decrement_ttl(void* l3, enum xlvs_l3 family) {
  if (family == XLVS_V6) {
    ((struct ipv6hdr*)l3)->hop_limit--;
    return 0;
  }
  ((struct iphdr*)l3)->ttl--;
  /* TTL is the high byte of its 16-bit word. */
  return xlvs_csum_change16(bpf_htons(0x0100), 0);
}

/* The same where nothing else in the header changes (ip_decrease_ttl). */
static __always_inline void xlvs_hop_v4(struct iphdr* ip) {
  ip->ttl--;
  const __u32 check = ip->check + (__u32)bpf_htons(0x0100);
  ip->check = check + (check >= 0xffff);
}

/* The sum of an IPv4 header without options; 0xffff (folded) if its checksum
 * is in it and right. */
static __always_inline __u64 xlvs_sum_v4_header(const struct iphdr* ip) {
  const __u32* word = (const __u32*)ip;
  __u64 sum = 0;
  for (__u32 i = 0; i < sizeof(*ip) / 4; i++) sum += word[i];
  return sum;
}

/* The network header, for writing. */
struct xlvs_view {
  void* l3;
  enum xlvs_l3 family;
  __u64 l3_change; /* not yet in its checksum */
};

static __always_inline bool xlvs_view(struct xdp_md* ctx,
                                      struct xlvs_shape shape,
                                      struct xlvs_view* ret) {
  ret->family = xlvs_known_l3(shape.l3);
  ret->l3 = xlvs_at(ctx, shape.l3_off, xlvs_l3_bytes(ret->family));
  ret->l3_change = 0;
  return ret->l3 != NULL;
}

/* One hop less, of a packet that is quoted as it went on. */
static __always_inline bool xlvs_count_hop(struct xdp_md* ctx,
                                           struct xlvs_shape shape) {
  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return false;
  xlvs_mend_l3(view.l3, view.family, xlvs_decrement_ttl(view.l3, view.family));
  return true;
}

#endif
