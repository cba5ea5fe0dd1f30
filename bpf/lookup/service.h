/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The service that the first packet of a connection asks for: that of its mark,
 * else by exact address and port, else, of FTP, that of its commands, else the
 * one for any port of that address (ip_vs_ctl.c, ip_vs_service_find). */
#ifndef XLVS_BPF_LOOKUP_SERVICE_H
#define XLVS_BPF_LOOKUP_SERVICE_H

#include "bpf/lib/addr.h"
#include "bpf/tables.h"
#include "maps/mark.h"

#define XLVS_FTP_DATA_PORT 20
/* Where passive FTP's data goes: net.ipv4.ip_unprivileged_port_start. */
#define XLVS_UNPRIVILEGED_PORT 1024

static __always_inline bool xlvs_mark_matches(const struct xlvs_mark* rule,
                                              const struct xlvs_packet* pkt) {
  if (rule->l4_proto && rule->l4_proto != pkt->l4_proto) return false;
  if (pkt->dport < rule->port_first || pkt->dport > rule->port_last)
    return false;
  const __u64* addr = (const __u64*)pkt->daddr.byte;
  const __u64* network = (const __u64*)rule->addr.byte;
  const __u64* mask = (const __u64*)rule->mask.byte;
  return (addr[0] & mask[0]) == network[0] && (addr[1] & mask[1]) == network[1];
}

/* The packet is copied for the loop: a pointer to it is nothing that a callback
 * may follow. */
struct xlvs_mark_context {
  struct xlvs_packet pkt;
  __u32 fwmark;
};

static long xlvs_mark_step(__u32 index, void* context) {
  struct xlvs_mark_context* search = context;
  const struct xlvs_mark* rule = bpf_map_lookup_elem(&xlvs_marks, &index);
  if (!rule) return 1;
  if (!xlvs_mark_matches(rule, &search->pkt)) return 0;
  search->fwmark = rule->fwmark;
  return 1;
}

/* The mark of a packet, 0 if it has none. */
__noinline __u32 xlvs_mark_of(const struct xlvs_packet* pkt, __u32 rules) {
  if (!pkt) return 0;
  struct xlvs_mark_context search = {.pkt = *pkt};
  bpf_loop(rules, xlvs_mark_step, &search, 0);
  return search.fwmark;
}

#define XLVS_SERVICE_BY_MARK 0x80000000U

/* The service's id, with XLVS_SERVICE_BY_MARK if it is one by mark; 0: none. */
static __always_inline __u32 xlvs_service_find(
    const struct xlvs_packet* pkt, const struct xlvs_control* control) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  if (!scratch) return 0;
  struct xlvs_service_key* key = &scratch->service_key;
  __builtin_memset(key, 0, sizeof(*key));
  const struct xlvs_service* service;
  const __u32 rules = XLVS_READ_ONCE(control->marks);
  if (rules) {
    key->fwmark = xlvs_mark_of(pkt, rules);
    if (pkt->l3 == XLVS_V4) key->vaddr.byte[10] = key->vaddr.byte[11] = 0xff;
    service = key->fwmark ? bpf_map_lookup_elem(&xlvs_services, key) : NULL;
    if (service) return service->id | XLVS_SERVICE_BY_MARK;
    key->fwmark = 0;
  }
  key->vaddr = pkt->daddr;
  key->vport = pkt->dport;
  key->l4_proto = pkt->l4_proto;
  service = bpf_map_lookup_elem(&xlvs_services, key);
  if (service) return service->id;
  if (pkt->l4_proto == IPPROTO_TCP && XLVS_READ_ONCE(control->ftp_services) &&
      (pkt->dport == XLVS_FTP_DATA_PORT ||
       pkt->dport >= XLVS_UNPRIVILEGED_PORT)) {
    key->vport = XLVS_FTP_PORT;
    service = bpf_map_lookup_elem(&xlvs_services, key);
    if (service) return service->id;
  }
  key->vport = 0;
  service = bpf_map_lookup_elem(&xlvs_services, key);
  return service ? service->id : 0;
}

#endif
