/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Later fragments have no ports: they go the way of the first, which is
 * remembered here for as long as a reassembly takes. Only first fragments on a
 * connection are remembered: what nobody remembers is the kernel's, which then
 * has the first one too. Memory is bounded; a flood of first fragments pushes
 * out other fragments, and touches nothing else. */
#ifndef XLVS_BPF_LOOKUP_FRAGMENT_H
#define XLVS_BPF_LOOKUP_FRAGMENT_H

#include "bpf/lib/packet.h"
#include "bpf/tables.h"

#define XLVS_FRAGMENT_TICKS (30 * XLVS_TICKS_PER_SECOND) /* ipfrag_time */

/* RFC 791, RFC 8200 4.5: what tells datagrams apart. */
static __always_inline struct xlvs_fragment_key xlvs_fragment_key_of(
    const struct xlvs_packet* pkt) {
  struct xlvs_fragment_key key = {
      .saddr = pkt->saddr,
      .daddr = pkt->daddr,
      .id = pkt->fragment_id,
      .l4_proto = pkt->l3 == XLVS_V4 ? pkt->l4_proto : 0};
  return key;
}

__noinline int xlvs_fragment_remember(const struct xlvs_packet* pkt) {
  if (!pkt) return 0;
  const struct xlvs_fragment_key key = xlvs_fragment_key_of(pkt);
  const struct xlvs_fragment_ports ports = {.seen_ticks = pkt->now_ticks,
                                            .sport = pkt->sport,
                                            .dport = pkt->dport,
                                            .l4_proto = pkt->l4_proto};
  bpf_map_update_elem(&xlvs_fragments, &key, &ports, BPF_ANY);
  return 0;
}

/* Gives a later fragment the ports of its first. */
static __always_inline bool xlvs_fragment_recall(struct xlvs_packet* pkt) {
  const struct xlvs_fragment_key key = xlvs_fragment_key_of(pkt);
  const struct xlvs_fragment_ports* ports =
      bpf_map_lookup_elem(&xlvs_fragments, &key);
  if (!ports || pkt->now_ticks - ports->seen_ticks > XLVS_FRAGMENT_TICKS)
    return false;
  pkt->sport = ports->sport;
  pkt->dport = ports->dport;
  pkt->l4_proto = ports->l4_proto;
  return true;
}

#endif
