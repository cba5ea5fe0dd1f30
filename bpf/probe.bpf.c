/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Questions that only a program can put to the kernel: run once, before the
 * director is loaded. The answer is the return value. */
#include "bpf/lib/prelude.h"

#define XLVS_FIB_LOOKUP_SRC (1U << 4) /* BPF_FIB_LOOKUP_SRC, Linux 6.7 */
#define XLVS_EINVAL 22
#define XLVS_LOOPBACK_IFINDEX 1

/* 1: the FIB tells source addresses. An older kernel refuses the flag before it
 * looks anything up; what it finds is of no interest. */
SEC("xdp")
int xlvs_probe_fib_source(struct xdp_md* ctx) {
  struct bpf_fib_lookup fib = {.family = XLVS_AF_INET,
                               .ifindex = XLVS_LOOPBACK_IFINDEX};
  const long found =
      bpf_fib_lookup(ctx, &fib, sizeof(fib), XLVS_FIB_LOOKUP_SRC);
  return found != -XLVS_EINVAL;
}

char xlvs_license[] SEC("license") = "Dual BSD/GPL";
