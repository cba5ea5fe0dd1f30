/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_rates: per dest id, IPVS's rate estimator (ip_vs_est.c): every two
 * seconds avg += (rate - avg) / 4, conns and packets scaled by 2^10 per second,
 * bytes by 2^5. Written by the timer only; the loader reads and rounds. */
#ifndef XLVS_MAPS_RATE_H
#define XLVS_MAPS_RATE_H

#include "maps/layout.h"

#define XLVS_RATE_PERIOD_S 2

struct xlvs_rate {
  __u64 last_conns;
  __u64 last_in_packets;
  __u64 last_out_packets;
  __u64 last_in_bytes;
  __u64 last_out_bytes;
  __u64 avg_conns;
  __u64 avg_in_packets;
  __u64 avg_out_packets;
  __u64 avg_in_bytes;
  __u64 avg_out_bytes;
};
XLVS_ASSERT_SIZE(struct xlvs_rate, 80);
XLVS_ASSERT_NO_PADDING(struct xlvs_rate);

#endif
