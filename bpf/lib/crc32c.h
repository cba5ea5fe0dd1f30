/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * SCTP's checksum (RFC 9260, appendix A: CRC32c), updated for what changed, as
 * RFC 1624 does for the Internet checksum: CRCs are linear, so the change is
 * the CRC of the difference, which is zero but for two bytes. The zeros behind
 * them are not walked: n zero bytes multiply the remainder by x^(8n) modulo the
 * polynomial. The payload is not read, and a wrong checksum stays wrong. */
#ifndef XLVS_BPF_LIB_CRC32C_H
#define XLVS_BPF_LIB_CRC32C_H

#include "bpf/lib/prelude.h"

#define XLVS_CRC32C_POLYNOMIAL 0x82f63b78U /* bits reversed */

/* x^(8 * 2^i) modulo the polynomial, bits reversed; i is the index. */
static const __u32 xlvs_crc32c_zeros[16] = {
    0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a,
    0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
    0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc};

/* All bits of the lowest: no branch, so the verifier has one way to follow. */
static __always_inline __u32 xlvs_crc32c_mask(__u32 bit) {
  return 0 - (bit & 1);
}

static __always_inline __u32 xlvs_crc32c_shift(__u32 crc) {
  return crc >> 1 ^ (XLVS_CRC32C_POLYNOMIAL & xlvs_crc32c_mask(crc));
}

/* a * b modulo the polynomial. */
static __always_inline __u32 xlvs_crc32c_multiply(__u32 a, __u32 b) {
  __u32 product = 0;
  XLVS_NO_UNROLL
  for (int i = 0; i < 32; i++) {
    product ^= b & xlvs_crc32c_mask(a >> 31);
    a <<= 1;
    b = xlvs_crc32c_shift(b);
  }
  return product;
}

/* What the checksum changes by (XOR it, as it stands in the packet) if two
 * bytes change by `change` (as they stand there) and `bytes_behind` follow. */
__noinline __u32 xlvs_crc32c_change16(__u16 change, __u32 bytes_behind) {
  __u32 crc = change;
  XLVS_NO_UNROLL
  for (int bit = 0; bit < 16; bit++) crc = xlvs_crc32c_shift(crc);
  XLVS_NO_UNROLL
  for (__u32 i = 0; i < 16; i++)
    if (bytes_behind >> i & 1)
      crc = xlvs_crc32c_multiply(xlvs_crc32c_zeros[i], crc);
  return crc;
}

#endif
