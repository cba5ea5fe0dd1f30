/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * How sh, dh and mh of IPVS come from an address to a slot of their tables: the
 * same numbers, so that a client keeps its dest when IPVS is replaced by us or
 * works beside us (ip_vs_sh.c, ip_vs_dh.c, ip_vs_mh.c of Linux 6.12, 64-bit).
 */
#ifndef XLVS_MAPS_SLOT_HASH_H
#define XLVS_MAPS_SLOT_HASH_H

#include "maps/addr.h"

#define XLVS_HASH_BITS 8 /* sh, dh: IP_VS_SH_TAB_BITS */
#define XLVS_HASH_SLOTS 256
#define XLVS_MAGLEV_SLOTS 4093 /* mh: the prime for 12 bits */

/* mh's keys: of a client's slot and a dest's first one; of a dest's steps. */
#define XLVS_MAGLEV_KEY_START 2654435761ULL
#define XLVS_MAGLEV_KEY_STEP 2654446892ULL

static inline __attribute__((always_inline)) __u32 xlvs_addr_word(
    const struct xlvs_addr* addr, int word) {
  const __u8* byte = &addr->byte[4 * word];
  return (__u32)byte[0] << 24 | byte[1] << 16 | byte[2] << 8 | byte[3];
}

/* IPv4: the address as a number; IPv6: its four words, exclusive or. */
static inline __attribute__((always_inline)) __u32 xlvs_fold_addr(
    const struct xlvs_addr* addr) {
  const __u32 high = xlvs_addr_word(addr, 0) | xlvs_addr_word(addr, 1);
  const __u32 middle = xlvs_addr_word(addr, 2);
  const __u32 low = xlvs_addr_word(addr, 3);
  if (!high && middle == 0xffff) return low;
  return xlvs_addr_word(addr, 0) ^ xlvs_addr_word(addr, 1) ^ middle ^ low;
}

/* sh, dh: hash_32 of <linux/hash.h>. */
static inline __attribute__((always_inline)) __u32 xlvs_hash_slot(__u32 key) {
  return key * 0x61c88647U >> (32 - XLVS_HASH_BITS);
}

#define XLVS_ROTL(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))
#define XLVS_SIP_ROUND(v0, v1, v2, v3) \
  do {                                 \
    v0 += v1;                          \
    v1 = XLVS_ROTL(v1, 13) ^ v0;       \
    v0 = XLVS_ROTL(v0, 32);            \
    v2 += v3;                          \
    v3 = XLVS_ROTL(v3, 16) ^ v2;       \
    v0 += v3;                          \
    v3 = XLVS_ROTL(v3, 21) ^ v0;       \
    v2 += v1;                          \
    v1 = XLVS_ROTL(v1, 17) ^ v2;       \
    v2 = XLVS_ROTL(v2, 32);            \
  } while (0)

/* SipHash-1-3 (Aumasson and Bernstein, 2012) of one word of 4 bytes, least
 * significant first; both halves of the key are `key`. */
static inline __attribute__((always_inline)) __u32 xlvs_sip13(__u32 word,
                                                              __u64 key) {
  __u64 v0 = 0x736f6d6570736575ULL ^ key;
  __u64 v1 = 0x646f72616e646f6dULL ^ key;
  __u64 v2 = 0x6c7967656e657261ULL ^ key;
  __u64 v3 = 0x7465646279746573ULL ^ key;
  const __u64 block = 4ULL << 56 | word;
  v3 ^= block;
  XLVS_SIP_ROUND(v0, v1, v2, v3);
  v0 ^= block;
  v2 ^= 0xff;
  XLVS_SIP_ROUND(v0, v1, v2, v3);
  XLVS_SIP_ROUND(v0, v1, v2, v3);
  XLVS_SIP_ROUND(v0, v1, v2, v3);
  return (__u32)(v0 ^ v1 ^ v2 ^ v3);
}

#endif
