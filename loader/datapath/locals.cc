// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/locals.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "maps/hash.h"

namespace xlvs {

uint32_t Locals::Start(const Key& key) const {
  return xlvs_hash(&key.first.raw(), key.second, config_.hash_key);
}

void Locals::CountBit(const Key& key) {
  if (key.second == 0) bits_[BitOf(key)]++;
}

void Locals::SetBit(const Key& key) {
  if (key.second != 0) return;
  CountBit(key);
  const uint32_t bit = BitOf(key);
  __u64& word = filter_[0].word[bit / 64];
  StoreWord(word, word | __u64{1} << bit % 64);
}

void Locals::ClearBit(const Key& key) {
  if (key.second != 0) return;
  const uint32_t bit = BitOf(key);
  if (--bits_[bit] > 0) return;
  bits_.erase(bit);
  __u64& word = filter_[0].word[bit / 64];
  StoreWord(word, word & ~(__u64{1} << bit % 64));
}

void Locals::Count(const IpAddr& addr, uint32_t role, uint32_t port) {
  const Key key = {addr, port};
  if (users_[role][key]++ == 0) CountBit(key);
}

absl::Status Locals::Add(const IpAddr& addr, uint32_t role, uint32_t port) {
  const Key key = {addr, port};
  Users& users = users_[role];
  if (!users.contains(key)) {
    SetBit(key);
    if (auto status = SetRole(key, role); !status.ok()) {
      ClearBit(key);
      return status;
    }
  }
  users[key]++;
  return absl::OkStatus();
}

void Locals::Remove(const IpAddr& addr, uint32_t role, uint32_t port) {
  const Key key = {addr, port};
  Users& users = users_[role];
  const auto user = users.find(key);
  if (user == users.end() || --user->second > 0) return;
  users.erase(user);
  // The address stays: the way of others leads through its entry.
  if (xlvs_local* local = Find(key); local != nullptr)
    StoreWord(local->roles, local->roles & ~role);
  ClearBit(key);
}

xlvs_local* Locals::Find(const Key& key) {
  const uint32_t mask = table_.size() - 1;
  for (uint32_t probe = 0; probe < XLVS_LOCAL_PROBES; ++probe) {
    xlvs_local& local = table_[(Start(key) + probe) & mask];
    if (Key(IpAddr(local.addr), local.port) == key) return &local;
    if (local.roles == 0 && IpAddr(local.addr) == IpAddr()) return nullptr;
  }
  return nullptr;
}

absl::Status Locals::SetRole(const Key& key, uint32_t role) {
  if (xlvs_local* local = Find(key); local != nullptr) {
    StoreWord(local->roles, local->roles | role);
    return absl::OkStatus();
  }
  const uint32_t mask = table_.size() - 1;
  for (uint32_t probe = 0; probe < XLVS_LOCAL_PROBES; ++probe) {
    xlvs_local& local = table_[(Start(key) + probe) & mask];
    if (local.roles != 0) continue;
    // Packets that look now find no role here yet, and go on.
    local.addr = key.first.raw();
    StoreWord(local.port, key.second);
    StoreWord(local.roles, role);
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("no room for address ", key.first.ToString(),
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
      const Key key = {IpAddr(table_[i].addr), table_[i].port};
      uint32_t roles = 0;
      for (const uint32_t role : kRoles)
        if (users_[role].contains(key)) roles |= role;
      StoreWord(table_[i].roles, roles);
    }
  for (const uint32_t role : kRoles)
    for (const auto& [key, users] : users_[role])
      XLVS_RETURN_IF_ERROR(SetRole(key, role));
  for (size_t i = 0; i < std::size(wanted.word); ++i)
    StoreWord(filter.word[i], wanted.word[i]);
  return absl::OkStatus();
}

}  // namespace xlvs
