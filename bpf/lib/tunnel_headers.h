/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What stands between an outer IP header and the packet inside, and the ECN
 * field that both ends of a tunnel look after. The director writes them, the
 * decapsulator takes them off. */
#ifndef XLVS_BPF_LIB_TUNNEL_HEADERS_H
#define XLVS_BPF_LIB_TUNNEL_HEADERS_H

#include "bpf/lib/prelude.h"

#define XLVS_IPPROTO_GRE 47
#define XLVS_GRE_CSUM 0x8000

#define XLVS_ECN_MASK 3 /* RFC 3168, 5 */
#define XLVS_ECN_NONE 0
#define XLVS_ECN_ECT1 1
#define XLVS_ECN_ECT0 2
#define XLVS_ECN_CE 3

struct xlvs_gue_header { /* draft-ietf-intarea-gue-09, variant 0, no options */
  __u8 flags_length;     /* variant, control, length of the options: 0 */
  __u8 protocol;
  __be16 flags;
};
struct xlvs_gre_header { /* RFC 2784 */
  __be16 flags;
  __be16 ethertype;
};
struct xlvs_gre_csum { /* follows if the flag says so */
  __u16 check;
  __be16 reserved;
};

#endif
