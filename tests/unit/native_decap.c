/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/native_decap.h"

#include "bpf/decap/ecn.h"
#include "bpf/decap/inner.h"
#include "bpf/decap/outer.h"
#include "bpf/decap/shim.h"

enum xlvs_decap_step native_decap(void* frame, __u64 bytes, __u16 tun_port,
                                  struct native_tunnel* ret) {
  const struct xlvs_cursor cursor = {frame, (char*)frame + bytes};
  struct xlvs_tunnel pkt = {};
  enum xlvs_decap_step step = xlvs_decap_outer(cursor, bytes, tun_port, &pkt);
  if (step != XLVS_DECAP_next) return step;
  if (!xlvs_outer_sum_is_right(cursor, &pkt))
    return XLVS_DECAP_pass_ip_checksum;
  if (pkt.is_fragment) return XLVS_DECAP_pass_fragment;
  step = xlvs_decap_shim(cursor, &pkt);
  if (step != XLVS_DECAP_next) return step;
  step = xlvs_decap_inner(cursor, &pkt);
  if (step != XLVS_DECAP_next) return step;
  const int ecn = xlvs_ecn_after(pkt.ecn, pkt.inner_ecn);
  if (ecn < 0) return XLVS_DECAP_drop_ecn;
  if (!xlvs_decap_set_ecn(cursor, &pkt, ecn)) return XLVS_DECAP_drop_internal;
  ret->outer_offset = pkt.l3_offset;
  ret->inner_offset = pkt.inner_offset;
  ret->end = pkt.end;
  ret->inner_type = pkt.inner_type;
  return pkt.ending;
}
