/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The bounds checks of the program: a cursor that moves over the packet. Takes
 * pointers, not the context, so that parsers also compile natively. */
#ifndef XLVS_BPF_LIB_CURSOR_H
#define XLVS_BPF_LIB_CURSOR_H

#include "bpf/lib/packet.h"

struct xlvs_cursor {
  void* next;
  void* end;
};

/* The next `bytes` of the packet, or NULL if it is shorter. */
static __always_inline void* xlvs_take(struct xlvs_cursor* cursor,
                                       __u32 bytes) {
  void* taken = cursor->next;
  if (taken + bytes > cursor->end) return NULL;
  cursor->next = taken + bytes;
  return taken;
}

static __always_inline struct xlvs_cursor xlvs_cursor(struct xdp_md* ctx) {
  struct xlvs_cursor cursor = {(void*)(long)ctx->data,
                               (void*)(long)ctx->data_end};
  return cursor;
}

/* The headers again, for writing. False only if the packet changed since it
 * was parsed, which it cannot have. */
static __always_inline bool xlvs_headers(struct xdp_md* ctx, __u8 l4_proto,
                                         struct xlvs_headers* ret) {
  struct xlvs_cursor cursor = xlvs_cursor(ctx);
  ret->eth = xlvs_take(&cursor, sizeof(*ret->eth));
  if (!ret->eth) return false;
  ret->ip = xlvs_take(&cursor, sizeof(*ret->ip));
  if (!ret->ip) return false;
  ret->ports = cursor.next;
  if (l4_proto == IPPROTO_TCP) {
    struct tcphdr* tcp = xlvs_take(&cursor, sizeof(*tcp));
    if (!tcp) return false;
    ret->l4_check = &tcp->check;
  } else {
    struct udphdr* udp = xlvs_take(&cursor, sizeof(*udp));
    if (!udp) return false;
    ret->l4_check = &udp->check;
  }
  return true;
}

#endif
