/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_fragments: ports of datagrams that come in fragments. Written and read
 * by the packet path (bpf/lookup/fragment.h). The least recently used ones make
 * room. */
#ifndef XLVS_MAPS_FRAGMENT_H
#define XLVS_MAPS_FRAGMENT_H

#include "maps/addr.h"

struct xlvs_fragment_key {
  struct xlvs_addr saddr;
  struct xlvs_addr daddr;
  __u32 id;       /* as it stands in the packet */
  __u32 l4_proto; /* IPv4 only: IPv6 tells datagrams apart without it */
};
XLVS_ASSERT_SIZE(struct xlvs_fragment_key, 40);
XLVS_ASSERT_NO_PADDING(struct xlvs_fragment_key);

struct xlvs_fragment_ports {
  __u32 seen_ticks;
  __u16 sport; /* host order */
  __u16 dport;
  __u32 l4_proto;
};
XLVS_ASSERT_SIZE(struct xlvs_fragment_ports, 12);
XLVS_ASSERT_NO_PADDING(struct xlvs_fragment_ports);

#define XLVS_FRAGMENTS 8192 /* entries in xlvs_fragments */

#endif
