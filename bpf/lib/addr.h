/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Comparing addresses, eight bytes at a time. */
#ifndef XLVS_BPF_LIB_ADDR_H
#define XLVS_BPF_LIB_ADDR_H

#include "bpf/lib/prelude.h"
#include "maps/addr.h"

static __always_inline bool xlvs_addr_equal(const struct xlvs_addr* a,
                                            const struct xlvs_addr* b) {
  const __u64* x = (const __u64*)a->byte;
  const __u64* y = (const __u64*)b->byte;
  /* The second half first: it is where IPv4 addresses differ. */
  return x[1] == y[1] && x[0] == y[0];
}

static __always_inline bool xlvs_addr_is_zero(const struct xlvs_addr* a) {
  const __u64* x = (const __u64*)a->byte;
  return !(x[0] | x[1]);
}

/* :: or ::1. */
static __always_inline bool xlvs_addr_is_local_v6(const struct xlvs_addr* a) {
  const __u64* x = (const __u64*)a->byte;
  return !x[0] && !(x[1] & bpf_cpu_to_be64(~1ULL));
}

/* The IPv4 address of a v4-mapped one, as on the wire. */
static __always_inline __be32 xlvs_addr_to_v4(const struct xlvs_addr* a) {
  return ((const __be32*)a->byte)[3];
}

static __always_inline bool xlvs_addr_is_v4(const struct xlvs_addr* a) {
  const __u64* x = (const __u64*)a->byte;
  return !x[0] && (__u32)x[1] == bpf_htonl(0x0000ffff);
}

static __always_inline void xlvs_addr_from_v4(__be32 wire,
                                              struct xlvs_addr* ret) {
  const __u64 words[2] = {
      0, bpf_cpu_to_be64(0x0000ffff00000000ULL) | ((__u64)wire << 32)};
  __builtin_memcpy(ret->byte, words, sizeof(words));
}

/* MAC addresses stand at even offsets. */
static __always_inline bool xlvs_mac_equal(const __u8* a, const __u8* b) {
  const __u16* x = (const __u16*)a;
  const __u16* y = (const __u16*)b;
  return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

#endif
