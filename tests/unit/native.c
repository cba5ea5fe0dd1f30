/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/native.h"

#include "bpf/lib/crc32c.h"
#include "bpf/lib/csum.h"
#include "bpf/lookup/state.h"
#include "bpf/parse/frame.h"
#include "bpf/parse/quoted.h"

static void fill(const struct xlvs_packet* packet, struct native_packet* ret) {
  ret->saddr = packet->saddr;
  ret->daddr = packet->daddr;
  ret->sport = packet->sport;
  ret->dport = packet->dport;
  ret->ip_bytes = packet->ip_bytes;
  ret->l4_proto = packet->l4_proto;
  ret->event = packet->event;
  ret->fragment = packet->fragment;
  ret->l4_off = packet->l4_off;
}

enum xlvs_step native_parse(const void* frame, __u64 bytes,
                            struct native_packet* ret) {
  const struct xlvs_cursor cursor = {(void*)frame, (char*)frame + bytes};
  struct xlvs_packet packet = {};
  const enum xlvs_step step = xlvs_parse_any(cursor, bytes, &packet);
  if (step == XLVS_STEP_next) fill(&packet, ret);
  return step;
}

enum xlvs_step native_parse_quoted(const void* frame, __u64 bytes, __u32 offset,
                                   __u32 end, int v6,
                                   struct native_packet* ret) {
  const struct xlvs_cursor cursor = {(void*)frame, (char*)frame + bytes};
  struct xlvs_packet packet = {};
  const enum xlvs_step step = xlvs_parse_quoted_any(
      cursor, offset, end, v6 ? XLVS_V6 : XLVS_V4, &packet);
  if (step == XLVS_STEP_next) fill(&packet, ret);
  return step;
}

__u16 native_csum_update(__u16 check, __u32 old32, __u32 new32, __u16 old16,
                         __u16 new16) {
  return xlvs_csum_apply(check, xlvs_csum_change32(old32, new32) +
                                    xlvs_csum_change16(old16, new16));
}

__u32 native_crc32c_change16(__u16 change, __u32 bytes_behind) {
  return xlvs_crc32c_change16(change, bytes_behind);
}

__u8 native_tcp_next(int direction, int event, __u8 state) {
  const struct xlvs_packet packet = {.l4_proto = IPPROTO_TCP, .event = event};
  return xlvs_state_after(&packet, direction, state);
}

int native_is_active(__u8 state) {
  return xlvs_state_is_active(state);
}
