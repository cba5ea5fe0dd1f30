/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The virtual addresses of connections of services by mark: kept once for all
 * connections that refer to them. See maps/mark.h. */
#ifndef XLVS_BPF_LIB_VADDR_H
#define XLVS_BPF_LIB_VADDR_H

#include "bpf/lib/addr.h"
#include "bpf/tables.h"

/* What templates have in the place of an index: nobody's. */
#define XLVS_VADDR_NONE (XLVS_VADDR_BUCKETS * XLVS_VADDRS_PER_BUCKET - 1)

/* The address's index, now referred to once more; 0: no room. */
__noinline int xlvs_vaddr_acquire(const struct xlvs_addr* addr) {
  if (!addr) return 0;
  const __u32 hash = xlvs_hash_any(addr, 0);
  const __u32 bucket = 1 + hash % (XLVS_VADDR_BUCKETS - 2);
  struct xlvs_vaddr_bucket* vaddrs = bpf_map_lookup_elem(&xlvs_vaddrs, &bucket);
  if (!vaddrs) return 0;
  __u32 found = XLVS_VADDRS_PER_BUCKET;
  bpf_spin_lock(&vaddrs->lock);
  for (__u32 i = 0; i < XLVS_VADDRS_PER_BUCKET; i++) {
    const struct xlvs_vaddr* entry = &vaddrs->entry[i];
    if (entry->refs) {
      if (!xlvs_addr_equal(&entry->addr, addr)) continue;
      found = i;
      break;
    }
    if (found == XLVS_VADDRS_PER_BUCKET) found = i;
  }
  if (found < XLVS_VADDRS_PER_BUCKET) {
    vaddrs->entry[found].addr = *addr;
    vaddrs->entry[found].refs++;
  }
  bpf_spin_unlock(&vaddrs->lock);
  return found < XLVS_VADDRS_PER_BUCKET
             ? bucket * XLVS_VADDRS_PER_BUCKET + found
             : 0;
}

static __always_inline void xlvs_vaddr_release(__u32 index) {
  const __u32 bucket = index / XLVS_VADDRS_PER_BUCKET;
  struct xlvs_vaddr_bucket* vaddrs = bpf_map_lookup_elem(&xlvs_vaddrs, &bucket);
  if (!vaddrs) return;
  struct xlvs_vaddr* entry = &vaddrs->entry[index % XLVS_VADDRS_PER_BUCKET];
  bpf_spin_lock(&vaddrs->lock);
  entry->refs--;
  bpf_spin_unlock(&vaddrs->lock);
}

#endif
