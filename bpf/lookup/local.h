/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Is an address ours, and on which side does it stand? See maps/local.h and, of
 * large networks, maps/mark.h. */
#ifndef XLVS_BPF_LOOKUP_LOCAL_H
#define XLVS_BPF_LOOKUP_LOCAL_H

#include "bpf/lib/addr.h"
#include "bpf/lib/hash.h"
#include "bpf/tables.h"

/* The roles of an entry, looked for from `index` on; 0: there is none. */
static __always_inline __u32 xlvs_local_find(const struct xlvs_addr* addr,
                                             __u32 port, __u32 index) {
  const __u32 mask = xlvs_cfg.locals - 1;
  for (int probe = 0; probe < XLVS_LOCAL_PROBES; probe++, index++) {
    __u32 key = index & mask;
    const struct xlvs_local* local = bpf_map_lookup_elem(&xlvs_locals, &key);
    if (!local) return 0;
    const __u32 roles = XLVS_READ_ONCE(local->roles);
    if (xlvs_addr_equal(&local->addr, addr) && local->port == port)
      return roles;
    if (!roles && xlvs_addr_is_zero(&local->addr)) return 0;
  }
  return 0;
}

/* The address's roles (XLVS_LOCAL_*); 0 = a stranger. `index` is its hash. */
static __always_inline __u32 xlvs_local_roles_at(const struct xlvs_addr* addr,
                                                 __u32 index) {
  const struct xlvs_filter* filter = XLVS_ONLY(xlvs_filter);
  const __u32 bit = index % XLVS_FILTER_BITS;
  if (!filter || !(filter->word[bit / 64] >> bit % 64 & 1)) return 0;
  return xlvs_local_find(addr, 0, index);
}

static __always_inline __u32 xlvs_local_roles(const struct xlvs_addr* addr) {
  return xlvs_local_roles_at(addr, xlvs_hash_any(addr, 0));
}

/* Whether a real server behind Masq is at this address and port, for any
 * protocol if `l4_proto` is 0 (ip_vs_has_real_service). */
static __always_inline bool xlvs_local_is_masq(const struct xlvs_addr* addr,
                                               __u16 port, __u8 l4_proto) {
  const __u32 word = XLVS_LOCAL_PORT | (__u32)l4_proto << 16 | port;
  return xlvs_local_find(addr, word, xlvs_hash_any(addr, word)) &
         XLVS_LOCAL_masq;
}

__noinline int xlvs_wide_has(const struct xlvs_addr* addr) {
  if (!addr) return 0;
  struct xlvs_wide_key key = {.prefix_bits = 128, .addr = *addr};
  return bpf_map_lookup_elem(&xlvs_wide, &key) != NULL;
}

/* Whether a rule for marks names a large network that the address is in. */
static __always_inline bool xlvs_is_in_wide(
    const struct xlvs_addr* addr, const struct xlvs_control* control) {
  return XLVS_READ_ONCE(control->wide_marks) && xlvs_wide_has(addr);
}

#endif
