// SPDX-License-Identifier: Apache-2.0
//
// The loader's side of xlvs_locals and xlvs_filter (maps/local.h): which
// addresses are services' and which are real servers', counted by use.
#ifndef XLVS_LOADER_DATAPATH_LOCALS_H_
#define XLVS_LOADER_DATAPATH_LOCALS_H_

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "loader/datapath/mapped.h"
#include "loader/net/ip_addr.h"
#include "maps/config.h"
#include "maps/local.h"

namespace xlvs {

class Locals {
 public:
  Locals() = default;
  Locals(Mapped<xlvs_local> table, Mapped<xlvs_filter> filter,
         const xlvs_config& config)
      : table_(std::move(table)), filter_(std::move(filter)), config_(config) {}

  // One more user of `addr` in this role (XLVS_LOCAL_virtual or _dest; with
  // `port`, as maps/local.h has it, _masq), known from the maps: the table has
  // it already.
  void Count(const IpAddr& addr, uint32_t role, uint32_t port = 0);
  // One more, new: written to the table. RESOURCE_EXHAUSTED if all entries on
  // the address's way are taken.
  absl::Status Add(const IpAddr& addr, uint32_t role, uint32_t port = 0);
  // One less; the last takes the role from the table.
  void Remove(const IpAddr& addr, uint32_t role, uint32_t port = 0);
  // Writes the table anew from the counts, after a command was cut short.
  absl::Status Rebuild();

 private:
  using Key = std::pair<IpAddr, uint32_t>;  // address, port
  using Users = absl::flat_hash_map<Key, uint32_t>;
  static constexpr uint32_t kRoles[] = {XLVS_LOCAL_virtual, XLVS_LOCAL_dest,
                                        XLVS_LOCAL_masq};
  // The entry, or null.
  xlvs_local* Find(const Key& key);
  absl::Status SetRole(const Key& key, uint32_t role);
  uint32_t Start(const Key& key) const;

  // One more, one less address at a bit of the filter; ports have none.
  void CountBit(const Key& key);
  void SetBit(const Key& key);
  void ClearBit(const Key& key);
  uint32_t BitOf(const Key& key) const { return Start(key) % XLVS_FILTER_BITS; }

  Mapped<xlvs_local> table_;
  Mapped<xlvs_filter> filter_;
  xlvs_config config_ = {};
  absl::flat_hash_map<uint32_t, Users> users_;    // by role
  absl::flat_hash_map<uint32_t, uint32_t> bits_;  // bit -> uses, of any role
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_LOCALS_H_
