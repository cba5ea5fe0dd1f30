/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The hash of an address of a packet (maps/hash.h), with this instance's key.
 */
#ifndef XLVS_BPF_LIB_HASH_H
#define XLVS_BPF_LIB_HASH_H

#include "bpf/lib/addr.h"
#include "bpf/lib/packet.h"
#include "bpf/tables.h"

/* Of whatever family. */
static __always_inline __u32 xlvs_hash_any(const struct xlvs_addr* addr,
                                           __u32 rest) {
  return xlvs_hash(addr, rest, xlvs_cfg.hash_key);
}

/* The same, for less where the shape says that it is IPv4. */
static __always_inline __u32 xlvs_hash_of(const struct xlvs_addr* addr,
                                          struct xlvs_shape shape, __u32 rest) {
  return __builtin_constant_p(shape.l3) && shape.l3 == XLVS_V4
             ? xlvs_hash_v4(xlvs_addr_to_v4(addr), rest, xlvs_cfg.hash_key,
                            xlvs_cfg.hash_v4_common)
             : xlvs_hash_any(addr, rest);
}

#endif
