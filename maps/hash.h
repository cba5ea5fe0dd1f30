/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The one hash function, for connections and for xlvs_locals: vector
 * multiply-shift over 32-bit words with a random key (Dietzfelbinger 1996;
 * Thorup, "High Speed Hashing for Integers and Strings", section 3.5), so that
 * whoever does not know the key cannot aim at a bucket, then one round of
 * xorshift and multiplication. The sum alone is linear in its inputs: of 150
 * random keys 4 put so many of a million regular flows (one client's ports in
 * turn, neighbouring addresses) into one bucket that it overflowed, by 36,000
 * on average; with the round after it none did, and the fullest held 59 of 64.
 */
#ifndef XLVS_MAPS_HASH_H
#define XLVS_MAPS_HASH_H

#include "maps/addr.h"

#define XLVS_HASH_WORDS 5 /* four of the address, one for the rest */

static inline __attribute__((always_inline)) __u32 xlvs_hash_mix(__u64 sum) {
  sum = (sum ^ sum >> 32) * 0xbf58476d1ce4e5b9ULL; /* of splitmix64 */
  return (__u32)(sum >> 32);
}

static inline __attribute__((always_inline)) __u32 xlvs_hash(
    const struct xlvs_addr* addr, __u32 rest,
    const volatile __u64 key[XLVS_HASH_WORDS + 1]) {
  __u64 words[2];
  __builtin_memcpy(words, addr->byte, sizeof(words));
  __u64 sum = (words[0] & 0xffffffff) * key[0] + (words[0] >> 32) * key[1] +
              (words[1] & 0xffffffff) * key[2] + (words[1] >> 32) * key[3] +
              (__u64)rest * key[4] + key[5];
  return xlvs_hash_mix(sum);
}

/* What the sums of all IPv4 addresses have in common: of their v4-mapped form,
 * only the last word is their own. */
static inline __attribute__((always_inline)) __u64 xlvs_hash_v4_common(
    const __u64 key[XLVS_HASH_WORDS + 1]) {
  return 0xffff0000ULL * key[2] + key[5];
}

/* xlvs_hash of an IPv4 address, which is a third of the work. `wire` as in the
 * packet. */
static inline __attribute__((always_inline)) __u32 xlvs_hash_v4(
    __u32 wire, __u32 rest, const volatile __u64 key[XLVS_HASH_WORDS + 1],
    __u64 common) {
  __u64 sum = (__u64)wire * key[3] + common;
  if (!__builtin_constant_p(rest) || rest) sum += rest * key[4];
  return xlvs_hash_mix(sum);
}

#endif
