/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The service that the first packet of a connection asks for: exact address and
 * port, else the service for any port of that address (ip_vs_service_find). */
#ifndef XLVS_BPF_LOOKUP_SERVICE_H
#define XLVS_BPF_LOOKUP_SERVICE_H

#include "bpf/tables.h"

static __always_inline const struct xlvs_service* xlvs_service_find(
    const struct xlvs_packet* pkt) {
  struct xlvs_service_key key = {
      .vaddr = pkt->daddr, .vport = pkt->dport, .l4_proto = pkt->l4_proto};
  const struct xlvs_service* service =
      bpf_map_lookup_elem(&xlvs_services, &key);
  if (service) return service;
  key.vport = 0;
  return bpf_map_lookup_elem(&xlvs_services, &key);
}

#endif
