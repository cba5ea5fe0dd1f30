/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The decapsulator, on a real server: packets that a director has tunnelled go
 * to the stack as they were before, IP in IP, GUE and GRE alike. For hosts
 * whose kernel has no tunnel devices, or none for that tunnel.
 *
 *   outer -> who sent it, to whom -> shim -> checksum -> inner -> ECN -> strip
 *
 * Only directors are heard: whoever could send us a packet in a packet could
 * give it any source address, behind the filters of the network.
 *
 * It reads frames of several buffers (xdp.frags), so jumbo frames are fine. */
#include "bpf/decap/ecn.h"
#include "bpf/decap/inner.h"
#include "bpf/decap/outer.h"
#include "bpf/decap/shim.h"
#include "bpf/decap/strip.h"
#include "bpf/decap/tables.h"
#include "bpf/decap/verify.h"

static const __u8 xlvs_decap_action[XLVS_DECAP_max] = {
#define XLVS_X(name, action, text) XDP_##action,
    XLVS_DECAP_STEPS(XLVS_X)
#undef XLVS_X
};

static __always_inline bool xlvs_decap_is_for_device(
    struct xdp_md* ctx, const struct xlvs_tunnel* pkt) {
  const __u32 ifindex = ctx->ingress_ifindex;
  const struct xlvs_decap_device* device =
      bpf_map_lookup_elem(&xlvs_decap_devs, &ifindex);
  return device && xlvs_mac_equal(device->mac, pkt->macs);
}

/* Not of a virtual machine or container behind this host: a host that forwards
 * asks its routes; one that does not has no others' packets. */
static __always_inline bool xlvs_decap_is_for_host(
    struct xdp_md* ctx, const struct xlvs_tunnel* pkt) {
  struct bpf_fib_lookup route = {.ifindex = ctx->ingress_ifindex};
  if (pkt->l3_type == ETH_P_IP) {
    route.family = XLVS_AF_INET;
    route.ipv4_src = xlvs_addr_to_v4(&pkt->saddr);
    route.ipv4_dst = xlvs_addr_to_v4(&pkt->daddr);
  } else {
    route.family = XLVS_AF_INET6;
    __builtin_memcpy(route.ipv6_src, &pkt->saddr, sizeof(pkt->saddr));
    __builtin_memcpy(route.ipv6_dst, &pkt->daddr, sizeof(pkt->daddr));
  }
  const long result = bpf_fib_lookup(ctx, &route, sizeof(route), 0);
  return result == BPF_FIB_LKUP_RET_NOT_FWDED ||
         result == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

static __always_inline enum xlvs_decap_step xlvs_decap_handle(
    struct xdp_md* ctx) {
  struct xlvs_tunnel pkt = {};
  const __u32 frame_bytes = bpf_xdp_get_buff_len(ctx);
  enum xlvs_decap_step step = xlvs_decap_outer(xlvs_cursor(ctx), frame_bytes,
                                               xlvs_decap_cfg.tun_port, &pkt);
  if (step != XLVS_DECAP_next) return step;

  if (!xlvs_decap_is_for_device(ctx, &pkt)) return XLVS_DECAP_pass_other_mac;
  if (!bpf_map_lookup_elem(&xlvs_decap_from, &pkt.saddr))
    return XLVS_DECAP_pass_not_director;
  if (!xlvs_outer_sum_is_right(xlvs_cursor(ctx), &pkt))
    return XLVS_DECAP_pass_ip_checksum;
  if (!xlvs_decap_is_for_host(ctx, &pkt)) return XLVS_DECAP_pass_not_local;
  if (pkt.is_fragment) return XLVS_DECAP_pass_fragment;

  step = xlvs_decap_shim(xlvs_cursor(ctx), &pkt);
  if (step != XLVS_DECAP_next) return step;
  step = xlvs_decap_verify(ctx, &pkt);
  if (step != XLVS_DECAP_next) return step;
  step = xlvs_decap_inner(xlvs_cursor(ctx), &pkt);
  if (step != XLVS_DECAP_next) return step;
  if (xlvs_decap_cfg.vips &&
      !bpf_map_lookup_elem(&xlvs_decap_vips, &pkt.inner_daddr))
    return XLVS_DECAP_drop_not_vip;

  const int ecn = xlvs_ecn_after(pkt.ecn, pkt.inner_ecn);
  if (ecn < 0) return XLVS_DECAP_drop_ecn;
  if (ecn != pkt.inner_ecn && !xlvs_decap_set_ecn(xlvs_cursor(ctx), &pkt, ecn))
    return XLVS_DECAP_drop_internal;
  return xlvs_decap_strip(ctx, &pkt);
}

SEC("xdp.frags")
int xlvs_decapsulator(struct xdp_md* ctx) {
  const __u32 zero = 0;
  struct xlvs_decap_counters* counters =
      bpf_map_lookup_elem(&xlvs_decap_ends, &zero);
  if (!counters) return XDP_ABORTED;
  counters->rx++;
  __u32 ending = xlvs_decap_handle(ctx);
  if (ending >= XLVS_DECAP_max) ending = XLVS_DECAP_drop_internal;
  ((__u64*)counters)[1 + ending]++;
  return xlvs_decap_action[ending];
}

char xlvs_license[] SEC("license") = "Dual BSD/GPL";
