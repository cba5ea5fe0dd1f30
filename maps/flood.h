/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_flood: one entry. How many connections are embryonic in all, and how
 * many first packets there were since one was dropped in defence. Packets and
 * the timer write; the loader reads. */
#ifndef XLVS_MAPS_FLOOD_H
#define XLVS_MAPS_FLOOD_H

#include "maps/layout.h"

struct xlvs_flood {
  __s32 embryonic; /* SYN_RECV connections */
  __u32 first_packets;
};
XLVS_ASSERT_SIZE(struct xlvs_flood, 8);
XLVS_ASSERT_NO_PADDING(struct xlvs_flood);

#endif
