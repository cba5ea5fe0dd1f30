/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/simulate.d/place.h"

#include "bpf/tables.h"

/* What the programs have as constants is here what is simulated just now. */
static const struct xlvs_config* simulated_config;
#define xlvs_cfg (*simulated_config)
#include "bpf/lib/place.h"

struct simulated_place simulated_place_of(const struct xlvs_config* config,
                                          const struct xlvs_addr* caddr,
                                          __u16 cport, __u8 l4_proto) {
  simulated_config = config;
  const struct xlvs_place place = xlvs_place_of(caddr, cport, l4_proto);
  return (struct simulated_place){place.bucket, place.home};
}
