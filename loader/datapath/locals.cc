// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/locals.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "maps/hash.h"

namespace xlvs {

uint32_t Locals::Start(const IpAddr& addr) const {
  return xlvs_hash(&addr.raw(), 0, config_.hash_key);
}

void Locals::Count(const IpAddr& addr, uint32_t role) {
  if (UsersOf(role)[addr]++ == 0) CountBit(addr);
}

void Locals::SetBit(const IpAddr& addr) {
  CountBit(addr);
  const uint32_t bit = BitOf(addr);
  __u64& word = filter_[0].word[bit / 64];
  StoreWord(word, word | __u64{1} << bit % 64);
}

void Locals::ClearBit(const IpAddr& addr) {
  const uint32_t bit = BitOf(addr);
  if (--bits_[bit] > 0) return;
  bits_.erase(bit);
  __u64& word = filter_[0].word[bit / 64];
  StoreWord(word, word & ~(__u64{1} << bit % 64));
}

absl::Status Locals::Add(const IpAddr& addr, uint32_t role) {
  Users& users = UsersOf(role);
  if (!users.contains(addr)) {
    SetBit(addr);
    if (auto status = SetRole(addr, role); !status.ok()) {
      ClearBit(addr);
      return status;
    }
  }
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
  ClearBit(addr);
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
  // First the bits that are missing, then the table, then the bits too many.
  xlvs_filter& filter = filter_[0];
  xlvs_filter wanted = {};
  for (const auto& [bit, uses] : bits_)
    wanted.word[bit / 64] |= __u64{1} << bit % 64;
  for (size_t i = 0; i < std::size(wanted.word); ++i)
    StoreWord(filter.word[i], filter.word[i] | wanted.word[i]);
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
  for (size_t i = 0; i < std::size(wanted.word); ++i)
    StoreWord(filter.word[i], wanted.word[i]);
  return absl::OkStatus();
}

}  // namespace xlvs
