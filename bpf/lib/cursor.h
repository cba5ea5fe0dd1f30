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

/* `bytes` at `offset` from where the cursor stands, or NULL. The mask is for
 * the verifier. */
static __always_inline void* xlvs_peek(struct xlvs_cursor cursor, __u32 offset,
                                       __u32 bytes) {
  __u64 masked = offset;
  if (!__builtin_constant_p(offset))
    asm volatile("" : "+r"(masked)); /* clang would know better, and say less */
  void* at = cursor.next + (masked & XLVS_L4_OFF_MAX);
  return at + bytes > cursor.end ? NULL : at;
}

/* The same with a length out of the packet. The mask, which must have all bits
 * of the lengths that there can be, is for the verifier. */
static __always_inline void* xlvs_take_masked(struct xlvs_cursor* cursor,
                                              __u32 bytes, __u32 mask) {
  __u64 masked = bytes;
  asm volatile("" : "+r"(masked)); /* clang would know better, and say less */
  return xlvs_take(cursor, (__u32)masked & mask);
}

/* `bytes` of the packet at `offset`, for writing, or NULL: only if the packet
 * changed since it was parsed. */
static __always_inline void* xlvs_at(struct xdp_md* ctx, __u32 offset,
                                     __u32 bytes) {
  return xlvs_peek(xlvs_cursor(ctx), offset, bytes);
}

#endif
