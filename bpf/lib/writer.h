/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * One writer at a time for each bucket of the connection table, told by its
 * head's count of insertions (maps/conn.h). */
#ifndef XLVS_BPF_LIB_WRITER_H
#define XLVS_BPF_LIB_WRITER_H

#include "bpf/tables.h"

#define XLVS_WRITER_ATTEMPTS 8
/* Some milliseconds: a writer is interrupted, or its virtual CPU waits. */
#define XLVS_WRITER_LOOKS (1 << 20)

/* Makes this CPU the bucket's writer, if nobody became it since `seen` was
 * read; it writes for some 20 ns. A lock of the kernel's costs two calls and
 * closes interrupts, three times as much. */
static __always_inline bool xlvs_head_take(struct xlvs_head* head, __u32 seen) {
  return !(seen & 1) &&
         __sync_val_compare_and_swap(&head->inserts, seen, seen + 1) == seen;
}

struct xlvs_head_wait {
  __u32 bucket;
  __u32 inserts;
};

static long xlvs_head_look(__u32 look, void* context) {
  (void)look;
  struct xlvs_head_wait* wait = context;
  const struct xlvs_head* head =
      bpf_map_lookup_elem(&xlvs_heads, &wait->bucket);
  if (!head) return 1;
  wait->inserts = XLVS_READ_ONCE(head->inserts);
  return !(wait->inserts & 1);
}

/* Waits until nobody writes to the bucket; what its count is then. */
__noinline __u32 xlvs_head_await(__u32 bucket) {
  struct xlvs_head_wait wait = {.bucket = bucket};
  bpf_loop(XLVS_WRITER_LOOKS, xlvs_head_look, &wait, 0);
  return wait.inserts;
}

/* What was written is seen before `next`, which is even. */
static __always_inline void xlvs_head_leave(struct xlvs_head* head,
                                            __u32 next) {
  barrier();
  XLVS_WRITE_ONCE(head->inserts, next);
}

#endif
