/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * How large a packet may be that goes into a tunnel. */
#ifndef XLVS_BPF_PATH_SIZE_H
#define XLVS_BPF_PATH_SIZE_H

#include "bpf/lib/packet.h"

#define XLVS_IPV4_MTU_MIN 68   /* RFC 791 */
#define XLVS_IPV6_MTU_MIN 1280 /* RFC 8200, 5 */

static __always_inline __u32 xlvs_mtu_inside(__u32 mtu, __u32 tunnel_bytes,
                                             enum xlvs_l3 l3) {
  const __u32 least = l3 == XLVS_V4 ? XLVS_IPV4_MTU_MIN : XLVS_IPV6_MTU_MIN;
  return mtu > tunnel_bytes + least ? mtu - tunnel_bytes : least;
}

#endif
