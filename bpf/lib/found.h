/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * A connection as the lookup found it: what later stages need of it. */
#ifndef XLVS_BPF_LIB_FOUND_H
#define XLVS_BPF_LIB_FOUND_H

#include "bpf/lib/addr.h"
#include "bpf/tables.h"

/* A connection that was found, as it was then. */
struct xlvs_found {
  struct xlvs_conn* conn;
  struct xlvs_dest* dest;
  __u32 dest_id;
  __u32 vaddr_index; /* 0: the dest's */
  __u32 slot;        /* in its bucket */
  __u16 vport;
  union xlvs_life life;
};

/* The virtual address at an index. NULL cannot be. */
static __always_inline const struct xlvs_addr* xlvs_vaddr_at(__u32 index) {
  const __u32 bucket = index / XLVS_VADDRS_PER_BUCKET;
  const struct xlvs_vaddr_bucket* vaddrs =
      bpf_map_lookup_elem(&xlvs_vaddrs, &bucket);
  if (!vaddrs) return NULL;
  /* The verifier has to see the entry's place added after the question. */
  asm volatile("" : "+r"(vaddrs));
  return &vaddrs->entry[index % XLVS_VADDRS_PER_BUCKET].addr;
}

/* The virtual address of a connection: its dest's, or, by mark, one of its
 * own. */
static __always_inline const struct xlvs_addr* xlvs_vaddr_of(
    const struct xlvs_found* found) {
  return found->vaddr_index ? xlvs_vaddr_at(found->vaddr_index)
                            : &found->dest->vaddr;
}

/* Whether the virtual address at an index is `addr`. */
__noinline int xlvs_vaddr_is(__u32 index, const struct xlvs_addr* addr) {
  const struct xlvs_addr* vaddr = xlvs_vaddr_at(index);
  return vaddr && addr && xlvs_addr_equal(vaddr, addr);
}

/* How the connection's packets are forwarded. */
static __always_inline enum xlvs_method xlvs_method_of(union xlvs_life life) {
  return (enum xlvs_method)((life.life.flags & XLVS_CONN_METHOD_MASK) >>
                            XLVS_CONN_METHOD_SHIFT);
}

/* The port to which a connection's packets to `vport` go. */
static __always_inline __u16 xlvs_dport(const struct xlvs_dest* dest,
                                        union xlvs_life life, __u16 vport) {
  return life.life.flags & XLVS_CONN_keeps_port ? vport : dest->dport;
}

#endif
