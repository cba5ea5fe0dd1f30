// SPDX-License-Identifier: Apache-2.0
//
// The decapsulator without what only a kernel can do (maps, checksums over the
// whole packet, moving the frame's begin), compiled for this machine.
#ifndef XLVS_TESTS_UNIT_NATIVE_DECAP_H_
#define XLVS_TESTS_UNIT_NATIVE_DECAP_H_

#include <linux/types.h>

#include "maps/decap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct native_tunnel {
  __u32 outer_offset;
  __u32 inner_offset;
  __u32 end;
  __u16 inner_type;
};

// bpf/decap/: reads headers, writes the ECN of the packet inside. The result is
// written only if the packet would be decapsulated.
enum xlvs_decap_step native_decap(void* frame, __u64 bytes, __u16 tun_port,
                                  struct native_tunnel* ret);

#ifdef __cplusplus
}
#endif

#endif  // XLVS_TESTS_UNIT_NATIVE_DECAP_H_
