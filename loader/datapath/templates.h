// SPDX-License-Identifier: Apache-2.0
//
// What the loader changes of connections: those of a service whose persistence
// changes, or that goes, are not held by their templates any more. A connection
// finds its template by (client's address & the pool's mask, dest), so a
// template that counts connections which look for it in vain would never end.
#ifndef XLVS_LOADER_DATAPATH_TEMPLATES_H_
#define XLVS_LOADER_DATAPATH_TEMPLATES_H_

#include <vector>

#include "loader/datapath/mapped.h"
#include "maps/conn.h"

namespace xlvs {

// Of the dests that are `true` in `dests`, by id. Packets may be changing the
// same connections. No new ones may come under a template meanwhile.
void ReleaseFromTemplates(Mapped<xlvs_bucket>& buckets,
                          const std::vector<bool>& dests);

inline bool IsTemplate(const xlvs_conn_life& life) {
  return life.state == XLVS_CONN_template_none ||
         life.state == XLVS_CONN_template_assured;
}

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_TEMPLATES_H_
