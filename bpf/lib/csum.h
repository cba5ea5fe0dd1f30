/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Internet checksums, updated for what changed (RFC 1624, equation 3:
 * HC' = ~(~HC + ~m + m')). Words are taken as they stand in the packet: the sum
 * is the same in either byte order. */
#ifndef XLVS_BPF_LIB_CSUM_H
#define XLVS_BPF_LIB_CSUM_H

#include "bpf/lib/prelude.h"

/* What replacing 32 (or 16, zero-extended) bits adds to a sum. */
static __always_inline __u64 xlvs_csum_change32(__u32 old_bits,
                                                __u32 new_bits) {
  return (__u64)(__u32)~old_bits + new_bits;
}

static __always_inline __u64 xlvs_csum_change16(__u16 old_bits,
                                                __u16 new_bits) {
  return (__u64)(__u16)~old_bits + new_bits;
}

/* Adding the halves to each other, both ways at once, leaves their sum with its
 * carry, in the upper half. */
static __always_inline __u16 xlvs_csum_fold(__u64 sum) {
  sum += sum >> 32 | sum << 32;
  __u32 half = sum >> 32;
  half += half >> 16 | half << 16;
  return (__u16) ~(half >> 16);
}

static __always_inline __u16 xlvs_csum_apply(__u16 check, __u64 change) {
  return xlvs_csum_fold((__u64)(__u16)~check + change);
}

#endif
