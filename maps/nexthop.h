/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Where a frame goes next. A dest carries its own (dest.h); clients share
 * those in xlvs_nexthops, which a connection names by index: there are many
 * clients and few routers. Written by the packet path from the FIB, or, for a
 * client, from the frame that its request came in. Index 0 is never used.
 *
 * In xlvs_nexthops the interface and the MACs never change once written: a
 * router with a new MAC is a new entry. */
#ifndef XLVS_MAPS_NEXTHOP_H
#define XLVS_MAPS_NEXTHOP_H

#include "maps/addr.h"

struct xlvs_nexthop {
  __u32 ifindex;     /* 0 = not known yet */
  __u32 fresh_ticks; /* the FIB last confirmed it then */
  __u8 dmac[6];
  __u8 smac[6];
  __u32 mtu; /* of the route, IP bytes; 0 = not known */
};
XLVS_ASSERT_SIZE(struct xlvs_nexthop, 24);
XLVS_ASSERT_NO_PADDING(struct xlvs_nexthop);

#define XLVS_NEXTHOPS 4096 /* entries in xlvs_nexthops, a power of two */

#endif
