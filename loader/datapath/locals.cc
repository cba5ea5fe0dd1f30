// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/locals.h"

#include "absl/strings/str_cat.h"
#include "maps/hash.h"

namespace xlvs {

uint32_t Locals::Start(const IpAddr& addr) const {
  return xlvs_hash(&addr.raw(), 0, config_.hash_key);
}

void Locals::Count(const IpAddr& addr, uint32_t role) {
  UsersOf(role)[addr]++;
}

absl::Status Locals::Add(const IpAddr& addr, uint32_t role) {
  Users& users = UsersOf(role);
  if (!users.contains(addr)) XLVS_RETURN_IF_ERROR(SetRole(addr, role));
  users[addr]++;
  return absl::OkStatus();
}

void Locals::Remove(const IpAddr& addr, uint32_t role) {
  Users& users = UsersOf(role);
  const auto user = users.find(addr);
  if (user == users.end() || --user->second > 0) return;
  users.erase(user);
  // The address stays: the way of others leads through its entry.
  if (xlvs_local* local = Find(addr); local != nullptr)
    StoreWord(local->roles, local->roles & ~role);
}

xlvs_local* Locals::Find(const IpAddr& addr) {
  const uint32_t mask = table_.size() - 1;
  for (uint32_t probe = 0; probe < XLVS_LOCAL_PROBES; ++probe) {
    xlvs_local& local = table_[(Start(addr) + probe) & mask];
    if (IpAddr(local.addr) == addr) return &local;
    if (local.roles == 0 && IpAddr(local.addr) == IpAddr()) return nullptr;
  }
  return nullptr;
}

absl::Status Locals::SetRole(const IpAddr& addr, uint32_t role) {
  if (xlvs_local* local = Find(addr); local != nullptr) {
    StoreWord(local->roles, local->roles | role);
    return absl::OkStatus();
  }
  const uint32_t mask = table_.size() - 1;
  for (uint32_t probe = 0; probe < XLVS_LOCAL_PROBES; ++probe) {
    xlvs_local& local = table_[(Start(addr) + probe) & mask];
    if (local.roles != 0) continue;
    // Packets that look now find no role here yet, and go on.
    local.addr = addr.raw();
    StoreWord(local.roles, role);
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("no room for address ", addr.ToString(),
                   "; attach with a larger --services or --dests"));
}

absl::Status Locals::Rebuild() {
  for (uint32_t i = 0; i < table_.size(); ++i)
    if (table_[i].roles != 0) {
      const IpAddr addr(table_[i].addr);
      const uint32_t roles =
          (virtuals_.contains(addr) ? XLVS_LOCAL_virtual : 0) |
          (dests_.contains(addr) ? XLVS_LOCAL_dest : 0);
      StoreWord(table_[i].roles, roles);
    }
  for (const auto& [addr, users] : virtuals_)
    XLVS_RETURN_IF_ERROR(SetRole(addr, XLVS_LOCAL_virtual));
  for (const auto& [addr, users] : dests_)
    XLVS_RETURN_IF_ERROR(SetRole(addr, XLVS_LOCAL_dest));
  return absl::OkStatus();
}

}  // namespace xlvs
