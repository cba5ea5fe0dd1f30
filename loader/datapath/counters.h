// SPDX-License-Identifier: Apache-2.0
//
// From the maps' counters to the model's: what was counted since --zero, what
// is kept of dests and services that are gone, rates by the second.
#ifndef XLVS_LOADER_DATAPATH_COUNTERS_H_
#define XLVS_LOADER_DATAPATH_COUNTERS_H_

#include "loader/model/director.h"
#include "maps/dest.h"
#include "maps/rate.h"

namespace xlvs {

inline Counters Minus(const xlvs_counters& sum, const xlvs_dest& dest) {
  return {.conns = sum.conns - dest.zero_conns,
          .in_packets = sum.in_packets - dest.zero_in_packets,
          .out_packets = sum.out_packets - dest.zero_out_packets,
          .in_bytes = sum.in_bytes - dest.zero_in_bytes,
          .out_bytes = sum.out_bytes - dest.zero_out_bytes};
}

// To the gone_* fields of a pool or of xlvs_control.
template <typename T>
void AddGone(T& to, const Counters& counters) {
  to.gone_conns += counters.conns;
  to.gone_in_packets += counters.in_packets;
  to.gone_out_packets += counters.out_packets;
  to.gone_in_bytes += counters.in_bytes;
  to.gone_out_bytes += counters.out_bytes;
}

template <typename T>
Counters Gone(const T& from) {
  return {.conns = from.gone_conns,
          .in_packets = from.gone_in_packets,
          .out_packets = from.gone_out_packets,
          .in_bytes = from.gone_in_bytes,
          .out_bytes = from.gone_out_bytes};
}

template <typename T>
void ClearGone(T& in) {
  in.gone_conns = in.gone_in_packets = in.gone_out_packets = 0;
  in.gone_in_bytes = in.gone_out_bytes = 0;
}

inline void AddRates(Counters& to, const xlvs_rate& rate) {
  to.conns += rate.avg_conns;
  to.in_packets += rate.avg_in_packets;
  to.out_packets += rate.avg_out_packets;
  to.in_bytes += rate.avg_in_bytes;
  to.out_bytes += rate.avg_out_bytes;
}

// From the estimator's scale to per second, rounded as IPVS does.
inline Counters PerSecond(const Counters& scaled) {
  return {.conns = (scaled.conns + 0x1ff) >> 10,
          .in_packets = (scaled.in_packets + 0x1ff) >> 10,
          .out_packets = (scaled.out_packets + 0x1ff) >> 10,
          .in_bytes = (scaled.in_bytes + 0xf) >> 5,
          .out_bytes = (scaled.out_bytes + 0xf) >> 5};
}

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_COUNTERS_H_
