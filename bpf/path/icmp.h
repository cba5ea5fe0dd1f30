/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * ICMP: errors about our connections go where the connection goes; everything
 * else (echo first of all) is the host's (ip_vs_core.c, ip_vs_in_icmp and
 * ip_vs_out_icmp). Who sent the error does not matter: any router may; what it
 * quotes says whom it is for. */
#ifndef XLVS_BPF_PATH_ICMP_H
#define XLVS_BPF_PATH_ICMP_H

#include "bpf/forward/error.h"
#include "bpf/lib/icmp.h"
#include "bpf/lookup/local.h"
#include "bpf/parse/quoted.h"
#include "bpf/path/to_client.h"
#include "bpf/path/to_dest.h"
#include "bpf/path/tunnel_error.h"

/* What the quoted packet's connection is looked up by: the packet as it would
 * come from the other side. */
static __always_inline void xlvs_turn(const struct xlvs_packet* quoted,
                                      __u32 now_ticks,
                                      struct xlvs_packet* ret) {
  __builtin_memset(ret, 0, sizeof(*ret));
  ret->saddr = quoted->daddr;
  ret->daddr = quoted->saddr;
  ret->sport = quoted->dport;
  ret->dport = quoted->sport;
  ret->l4_proto = quoted->l4_proto;
  ret->now_ticks = now_ticks;
}

/* An error about no connection begins one, if the settings say so
 * (ip_vs_in_icmp, schedule_icmp). */
static __always_inline enum xlvs_step xlvs_begin_by_error(
    const struct xlvs_packet* pkt, struct xlvs_packet* probe,
    struct xlvs_place place, struct xlvs_miss miss) {
  probe->from_error = 1;
  probe->l3 = pkt->l3;
  probe->l3_off = pkt->l3_off;
  probe->l4_off = pkt->l4_off;
  const struct xlvs_found none = {};
  return xlvs_begin(probe, place, miss, XLVS_REUSE_none, &none);
}

/* The connection on which the quoted packet went to a dest. */
static __always_inline bool xlvs_find_quoted(struct xlvs_packet* probe,
                                             struct xlvs_found* ret) {
  struct xlvs_place place;
  struct xlvs_miss miss = {};
  return xlvs_conn_find(probe, XLVS_TO_CLIENT, &place, &miss, ret);
}

/* Quotes what a service sent to a client: from there to the real server that
 * sent it. */
static __always_inline enum xlvs_step xlvs_error_to_dest(
    struct xdp_md* ctx, struct xlvs_packet* pkt, struct xlvs_scratch* scratch,
    const struct xlvs_control* control) {
  const struct xlvs_packet* quoted = &scratch->quoted;
  struct xlvs_found found = {};
  struct xlvs_place place;
  struct xlvs_miss miss = {};
  const bool known =
      xlvs_conn_find(&scratch->probe, XLVS_TO_DEST, &place, &miss, &found);
  pkt->flow_hash = scratch->probe.flow_hash;
  if (!known)
    return XLVS_READ_ONCE(control->set.schedule_icmp) &&
                   xlvs_icmp_is_intact(ctx, pkt)
               ? xlvs_begin_by_error(pkt, &scratch->probe, place, miss)
               : XLVS_STEP_pass_icmp_no_conn;
  if (found.dest->state != XLVS_DEST_available)
    return XLVS_STEP_drop_dest_removed;
  if (!xlvs_icmp_is_intact(ctx, pkt)) return XLVS_STEP_drop_icmp_checksum;
  xlvs_count_in(found.dest_id, pkt->ip_bytes);
  struct xlvs_delivery* delivery = &scratch->delivery;
  delivery->life = found.life;
  delivery->dest_id = found.dest_id;
  delivery->vport = found.vport;
  const enum xlvs_step step =
      (enum xlvs_step)xlvs_deliver_any(ctx, pkt, quoted, delivery);
  /* An error is not answered by an error (RFC 1122, 3.2.2; RFC 4443, 2.4 e). */
  return xlvs_is_answer(step) ? XLVS_STEP_drop_icmp_failed : step;
}

/* Quotes what a client sent to a service, as Masq rewrote it: from there to the
 * client. */
static __always_inline enum xlvs_step xlvs_error_to_client(
    struct xdp_md* ctx, const struct xlvs_packet* pkt,
    struct xlvs_scratch* scratch) {
  const struct xlvs_packet* quoted = &scratch->quoted;
  struct xlvs_found found = {};
  if (!xlvs_find_quoted(&scratch->probe, &found))
    return XLVS_STEP_pass_icmp_no_conn;
  if (!xlvs_icmp_is_intact(ctx, pkt)) return XLVS_STEP_drop_icmp_checksum;
  if (found.dest->state == XLVS_DEST_available)
    xlvs_count_out(found.dest_id, pkt->ip_bytes);
  const struct xlvs_addr* vaddr = xlvs_vaddr_of(&found);
  if (!vaddr) return XLVS_STEP_drop_internal;
  struct xlvs_nexthop way;
  enum xlvs_step step = xlvs_find_way_to_client(ctx, pkt, &found, vaddr, &way);
  if (step != XLVS_STEP_next) return step;
  const struct xlvs_shape shape = xlvs_shape_of(pkt);
  step =
      xlvs_masq_error(ctx, shape, quoted, XLVS_TO_CLIENT, vaddr, found.vport);
  if (step != XLVS_STEP_next) return step;
  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return XLVS_STEP_drop_internal;
  step = xlvs_hop(ctx, &view, shape, &way);
  return step == XLVS_STEP_next
             ? xlvs_sent(ctx, way.ifindex, XLVS_TO_CLIENT, XLVS_KIND_error)
             : step;
}

/* pass_icmp if the message concerns one of our addresses, else not ours. */
static __always_inline enum xlvs_step xlvs_icmp_of_host(
    const struct xlvs_packet* pkt) {
  return xlvs_local_roles(&pkt->daddr) & XLVS_LOCAL_virtual ||
                 xlvs_local_roles(&pkt->saddr) & XLVS_LOCAL_dest
             ? XLVS_STEP_pass_icmp
             : XLVS_STEP_pass_not_ours;
}

static __always_inline enum xlvs_step xlvs_icmp_path(struct xdp_md* ctx,
                                                     struct xlvs_packet* pkt) {
  if (pkt->fragment != XLVS_WHOLE) return xlvs_icmp_of_host(pkt);
  const struct xlvs_icmp_header* icmp =
      xlvs_at(ctx, pkt->l4_off, sizeof(*icmp));
  if (!icmp) return XLVS_STEP_drop_internal;
  if (!xlvs_is_icmp_error((enum xlvs_l3)pkt->l3, icmp->type))
    return xlvs_icmp_of_host(pkt);
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return XLVS_STEP_drop_internal;
  struct xlvs_packet* quoted = &scratch->quoted;
  __builtin_memset(quoted, 0, sizeof(*quoted));
  const enum xlvs_step step = xlvs_parse_quoted(
      ctx, pkt->l4_off + sizeof(*icmp), pkt->l3_off + pkt->ip_bytes,
      (enum xlvs_l3)pkt->l3, quoted);
  /* An error goes to whom it quotes. */
  if (step != XLVS_STEP_next || !xlvs_addr_equal(&quoted->saddr, &pkt->daddr))
    return xlvs_icmp_of_host(pkt);
  xlvs_turn(quoted, pkt->now_ticks, &scratch->probe);
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!control) return XLVS_STEP_drop_internal;
  const bool from_dest = xlvs_local_roles(&quoted->daddr) & XLVS_LOCAL_dest;
  if ((xlvs_local_roles(&quoted->saddr) & XLVS_LOCAL_virtual) ||
      (!from_dest && xlvs_is_in_wide(&quoted->saddr, control)))
    return xlvs_error_to_dest(ctx, pkt, scratch, control);
  if (!from_dest) return xlvs_icmp_of_host(pkt);
  const enum xlvs_step answered = xlvs_error_to_client(ctx, pkt, scratch);
  return answered == XLVS_STEP_pass_icmp_no_conn
             ? (enum xlvs_step)xlvs_tunnel_error(ctx, pkt, quoted)
             : answered;
}

#endif
