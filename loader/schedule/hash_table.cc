// SPDX-License-Identifier: Apache-2.0
#include "loader/schedule/hash_table.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "maps/slot_hash.h"

namespace xlvs {
namespace {

// Half of the table's bits: IP_VS_MH_TAB_BITS / 2.
constexpr int kMaglevWeightBits = 6;
constexpr uint32_t kNobody = 0xffffffff;

// How many slots each dest takes in a round.
std::vector<uint32_t> MaglevTurns(const std::vector<MaglevDest>& dests) {
  uint32_t divisor = 0;
  uint32_t highest = 0;
  for (const MaglevDest& dest : dests) {
    divisor = std::gcd(divisor, dest.last_weight);
    highest = std::max(highest, dest.last_weight);
  }
  std::vector<uint32_t> turns(dests.size());
  if (divisor == 0) return turns;
  const int shift =
      std::max<int>(std::bit_width(highest / divisor) - kMaglevWeightBits, 0);
  for (size_t i = 0; i < dests.size(); ++i)
    if (dests[i].last_weight != 0)
      turns[i] = std::max<uint32_t>(dests[i].last_weight / divisor >> shift, 1);
  return turns;
}

}  // namespace

std::vector<uint32_t> SourceHashTable(const std::vector<uint32_t>& weights) {
  std::vector<uint32_t> table;
  if (weights.empty()) return table;
  uint32_t owner = 0;
  uint32_t taken = 0;
  while (table.size() < XLVS_HASH_SLOTS) {
    table.push_back(owner);
    if (++taken < weights[owner]) continue;
    owner = (owner + 1) % weights.size();
    taken = 0;
  }
  return table;
}

std::vector<uint32_t> DestHashTable(size_t dests) {
  return SourceHashTable(std::vector<uint32_t>(dests, 1));
}

uint32_t FoldedDest(const IpAddr& daddr, bool v4_service) {
  const xlvs_addr addr = daddr.raw();
  // Of an IPv6 dest (by a tunnel) an IPv4 service sees the first word.
  if (v4_service && !daddr.is_v4()) return xlvs_addr_word(&addr, 0);
  return xlvs_fold_addr(&addr);
}

MaglevSteps MaglevStepsOf(const MaglevDest& dest) {
  const uint32_t word = dest.folded_addr + dest.dport;
  return {
      .start = xlvs_sip13(word, XLVS_MAGLEV_KEY_START) % XLVS_MAGLEV_SLOTS,
      .skip =
          xlvs_sip13(word, XLVS_MAGLEV_KEY_STEP) % (XLVS_MAGLEV_SLOTS - 1) + 1};
}

std::vector<uint32_t> MaglevTable(const std::vector<MaglevDest>& dests) {
  const std::vector<uint32_t> turns = MaglevTurns(dests);
  if (std::all_of(turns.begin(), turns.end(), [](uint32_t n) { return !n; }))
    return {};
  std::vector<MaglevSteps> steps;
  for (const MaglevDest& dest : dests) steps.push_back(MaglevStepsOf(dest));
  std::vector<uint32_t> table(XLVS_MAGLEV_SLOTS, kNobody);
  uint32_t taken = 0;
  while (true) {
    for (uint32_t owner = 0; owner < dests.size(); ++owner) {
      MaglevSteps& at = steps[owner];
      for (uint32_t turn = 0; turn < turns[owner]; ++turn) {
        while (table[at.start] != kNobody)
          at.start = (at.start + at.skip) % XLVS_MAGLEV_SLOTS;
        table[at.start] = owner;
        if (++taken == XLVS_MAGLEV_SLOTS) return table;
      }
    }
  }
}

}  // namespace xlvs
