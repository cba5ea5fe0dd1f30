/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Every map of the decapsulator; maps/decap.h says who writes and who reads. */
#ifndef XLVS_BPF_DECAP_TABLES_H
#define XLVS_BPF_DECAP_TABLES_H

#include "bpf/lib/prelude.h"
#include "maps/decap.h"

const volatile struct xlvs_decap_config xlvs_decap_cfg;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_decap_meta);
  __uint(max_entries, 1);
} xlvs_decap_meta SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct xlvs_addr);
  __type(value, __u32);
  __uint(max_entries, XLVS_DECAP_ADDRS);
} xlvs_decap_from SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct xlvs_addr);
  __type(value, __u32);
  __uint(max_entries, XLVS_DECAP_ADDRS);
} xlvs_decap_vips SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u32);
  __type(value, struct xlvs_decap_device);
  __uint(max_entries, XLVS_DECAP_DEVICES);
} xlvs_decap_devs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_decap_counters);
  __uint(max_entries, 1);
} xlvs_decap_ends SEC(".maps");

/* Where a piece of the packet stands while it is summed. */
#define XLVS_SUM_BYTES 512 /* what bpf_csum_diff takes at once on Linux 6.1 */
struct xlvs_sum_buffer {
  __be32 word[XLVS_SUM_BYTES / 4];
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct xlvs_sum_buffer);
  __uint(max_entries, 1);
} xlvs_decap_sum SEC(".maps");

#endif
