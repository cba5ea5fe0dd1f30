/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The one address type, from parse to emit: 16 bytes in network order. IPv4
 * a.b.c.d is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so no key needs a family field
 * and no code needs a v4/v6 twin. */
#ifndef XLVS_MAPS_ADDR_H
#define XLVS_MAPS_ADDR_H

#include "maps/layout.h"

struct xlvs_addr {
  __u8 byte[16];
} __attribute__((aligned(8)));
XLVS_ASSERT_SIZE(struct xlvs_addr, 16);
XLVS_ASSERT_NO_PADDING(struct xlvs_addr);

#endif
