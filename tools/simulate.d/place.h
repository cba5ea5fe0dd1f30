// SPDX-License-Identifier: Apache-2.0
//
// Where the packet path puts a connection (bpf/lib/place.h, which is C), for a
// table of any size and with any key.
#ifndef XLVS_TOOLS_SIMULATE_D_PLACE_H_
#define XLVS_TOOLS_SIMULATE_D_PLACE_H_

#include "maps/addr.h"
#include "maps/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct simulated_place {
  __u32 bucket;
  __u32 home;
};

struct simulated_place simulated_place_of(const struct xlvs_config* config,
                                          const struct xlvs_addr* caddr,
                                          __u16 cport, __u8 l4_proto);

#ifdef __cplusplus
}
#endif

#endif  // XLVS_TOOLS_SIMULATE_D_PLACE_H_
