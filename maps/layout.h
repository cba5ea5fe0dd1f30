/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Fixed-width types and layout assertions for everything that the packet path
 * (C, clang -target bpf) and the loader (C++20) share. Include it first.
 *
 * Conventions of this folder:
 *  - one header per map: key, value, invariants, who writes, who reads;
 *  - addresses are 16 bytes (see addr.h); ports are in host order, so that
 *    `bpftool map dump` shows 80 and not 20480;
 *  - a field that has a unit says it in its name; times are in ticks (clock.h);
 *  - no implicit padding: garbage in a key is a silent lookup miss. */
#ifndef XLVS_MAPS_LAYOUT_H
#define XLVS_MAPS_LAYOUT_H

#include <linux/types.h>

#ifdef __cplusplus
#include <type_traits>
#define XLVS_ASSERT_SIZE(type, bytes) \
  static_assert(sizeof(type) == (bytes), "layout of " #type " changed")
#define XLVS_ASSERT_NO_PADDING(type)                            \
  static_assert(std::has_unique_object_representations_v<type>, \
                #type " has implicit padding")
#else
#define XLVS_ASSERT_SIZE(type, bytes) \
  _Static_assert(sizeof(type) == (bytes), "layout of " #type " changed")
#define XLVS_ASSERT_NO_PADDING(type) \
  _Static_assert(1, "checked by the C++ compiler")
#endif

/* An enum that takes one byte in a map, so that dumps show its name. */
#define XLVS_BYTE_ENUM __attribute__((packed))

/* Both sides refuse to work with maps of another layout (config.h, meta). */
#define XLVS_LAYOUT_VERSION 7

#endif
