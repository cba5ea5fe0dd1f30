/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * System and libbpf headers in the one order that compiles: bpf_helpers.h needs
 * linux/bpf.h before it, and clang-format would sort it first. */
#ifndef XLVS_BPF_LIB_PRELUDE_H
#define XLVS_BPF_LIB_PRELUDE_H

/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
/* clang-format on */
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

/* Families in questions to the kernel: <sys/socket.h> is not for BPF. */
#define XLVS_AF_INET 2
#define XLVS_AF_INET6 10

/* A load or store that the compiler may neither repeat nor leave out, for
 * memory that another CPU writes. */
#define XLVS_READ_ONCE(x) (*(const volatile __typeof__(x)*)&(x))
#define XLVS_WRITE_ONCE(x, value) (*(volatile __typeof__(x)*)&(x) = (value))

/* Before a loop. The second keeps it a loop, which the verifier goes through a
 * few times only if each turn looks the same to it. */
#if defined(__bpf__)
#define XLVS_UNROLL _Pragma("unroll")
#define XLVS_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define XLVS_UNROLL
#define XLVS_NO_UNROLL
#endif

/* Times are 32-bit ticks; differences are signed, so wrapping is harmless. */
static __always_inline bool xlvs_is_later(__u32 a_ticks, __u32 b_ticks) {
  return (__s32)(a_ticks - b_ticks) > 0;
}

#endif
