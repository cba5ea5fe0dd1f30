// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/templates.h"

namespace xlvs {
namespace {

xlvs_conn_life Released(xlvs_conn_life life) {
  if (IsTemplate(life)) {
    life.nexthop = 0;  // how many it holds
    return life;
  }
  life.flags &= ~XLVS_CONN_controlled;
  if (life.state != XLVS_CONN_udp) life.flags |= XLVS_CONN_was_controlled;
  return life;
}

bool IsHeldOrHolds(const xlvs_conn_life& life) {
  return IsTemplate(life) ? life.nexthop != 0
                          : (life.flags & XLVS_CONN_controlled) != 0;
}

}  // namespace

void ReleaseFromTemplates(Mapped<xlvs_bucket>& buckets,
                          const std::vector<bool>& dests) {
  for (uint32_t bucket = 0; bucket < buckets.size(); ++bucket) {
    for (xlvs_conn& conn : buckets[bucket].conn) {
      xlvs_conn_life life = LoadWord(conn.life);
      while (life.state != XLVS_CONN_free && IsHeldOrHolds(life)) {
        // As a slot that changes hands in between has another life, the swap
        // fails then.
        const uint32_t dest = LoadWord(conn.ports).dest & XLVS_CONN_DEST_MASK;
        if (dest >= dests.size() || !dests[dest]) break;
        if (CompareAndSwapWord(conn.life, life, Released(life))) break;
      }
    }
  }
}

}  // namespace xlvs
