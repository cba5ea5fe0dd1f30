// SPDX-License-Identifier: Apache-2.0
//
// Parts of the packet path compiled for this machine, so that ASan and UBSan
// see them. The BPF headers are C; native.c calls them.
#ifndef XLVS_TESTS_UNIT_NATIVE_H_
#define XLVS_TESTS_UNIT_NATIVE_H_

#include <linux/types.h>

#include "maps/addr.h"
#include "maps/step.h"

#ifdef __cplusplus
extern "C" {
#endif

struct native_packet {
  struct xlvs_addr saddr;
  struct xlvs_addr daddr;
  __u16 sport;
  __u16 dport;
  __u16 ip_bytes;
  __u8 l4_proto;
  __u8 event;
  __u8 fragment; /* enum xlvs_fragment */
  __u8 pad0;
  __u16 l4_off;
};

// bpf/parse/frame.h. The result is written only if XLVS_STEP_next.
enum xlvs_step native_parse(const void* frame, __u64 bytes,
                            struct native_packet* ret);

// bpf/parse/quoted.h: the packet of family `v6` or not that is quoted at
// `offset` of a frame. The result is written only if XLVS_STEP_next.
enum xlvs_step native_parse_quoted(const void* frame, __u64 bytes, __u32 offset,
                                   __u32 end, int v6,
                                   struct native_packet* ret);

// bpf/lib/csum.h: the checksum after 32 bits, and then 16 bits, changed. Words
// as they stand in the packet.
__u16 native_csum_update(__u16 check, __u32 old32, __u32 new32, __u16 old16,
                         __u16 new16);

// bpf/lib/crc32c.h.
__u32 native_crc32c_change16(__u16 change, __u32 bytes_behind);

// bpf/lookup/state.h. direction: enum xlvs_direction.
__u8 native_tcp_next(int direction, int event, __u8 state);
int native_is_active(__u8 state);

#ifdef __cplusplus
}
#endif

#endif  // XLVS_TESTS_UNIT_NATIVE_H_
