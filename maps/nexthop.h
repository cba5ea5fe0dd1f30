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
  __u16 mtu;  /* of the route, IP bytes; 0 = not known; at most 65535 */
  __u16 vlan; /* index into xlvs_vlans, 0 = frames without a tag */
};
XLVS_ASSERT_SIZE(struct xlvs_nexthop, 24);
XLVS_ASSERT_NO_PADDING(struct xlvs_nexthop);

#define XLVS_NEXTHOPS 4096 /* entries in xlvs_nexthops, a power of two */

/* Up to two VLAN tags, outermost first, as they follow the MAC addresses on the
 * wire (IEEE 802.1Q, 802.1ad). Unused ones are zero. The priority bits of the
 * TCI are not part of a way: they are zero here. */
struct xlvs_vlan_tag {
  __u16 tpid; /* host order: 0x8100, 0x88a8 */
  __u16 tci;  /* host order */
};
#define XLVS_VLAN_TAGS 2

/* xlvs_vlans: the combinations of tags that next hops use, interned by the
 * packet path, never changed once written. Index 0 is never used. `ready` is
 * written last. */
struct xlvs_vlan {
  struct xlvs_vlan_tag tag[XLVS_VLAN_TAGS];
  __u32 taken; /* by the CPU that writes the entry */
  __u32 ready;
};
XLVS_ASSERT_SIZE(struct xlvs_vlan, 16);
XLVS_ASSERT_NO_PADDING(struct xlvs_vlan);
#define XLVS_VLANS 256 /* entries in xlvs_vlans, a power of two */

/* xlvs_links: key the interface index of a VLAN device. The FIB names VLAN
 * devices; frames leave by the device below, with tags. Written by the loader
 * for all VLAN devices on the devices that it attaches to, at every command
 * that changes something; read when the FIB was asked. */
struct xlvs_link {
  __u32 ifindex; /* of the device below, which we are attached to */
  struct xlvs_vlan_tag tag[XLVS_VLAN_TAGS];
};
XLVS_ASSERT_SIZE(struct xlvs_link, 12);
XLVS_ASSERT_NO_PADDING(struct xlvs_link);
#define XLVS_LINKS 1024 /* entries in xlvs_links */

#endif
