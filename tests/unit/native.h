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
  __u8 tcp_event;
};

// bpf/parse/headers.h. The result is written only if XLVS_STEP_next.
enum xlvs_step native_parse(const void* frame, __u64 bytes,
                            struct native_packet* ret);

// bpf/lib/csum.h: the checksum after 32 bits, and then 16 bits, changed. Words
// as they stand in the packet.
__u16 native_csum_update(__u16 check, __u32 old32, __u32 new32, __u16 old16,
                         __u16 new16);

// bpf/lookup/tcp_state.h. direction 0 = to the dest, 1 = to the client.
__u8 native_tcp_next(int direction, int event, __u8 state);
int native_is_active(__u8 state);

#ifdef __cplusplus
}
#endif

#endif  // XLVS_TESTS_UNIT_NATIVE_H_
