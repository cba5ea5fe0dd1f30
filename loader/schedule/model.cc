// SPDX-License-Identifier: Apache-2.0
#include "loader/schedule/model.h"

#include <algorithm>
#include <numeric>

#include "loader/schedule/hash_table.h"
#include "maps/lblc.h"
#include "maps/slot_hash.h"

namespace xlvs {
namespace {

uint32_t Folded(const IpAddr& addr) {
  const xlvs_addr raw = addr.raw();
  return xlvs_fold_addr(&raw);
}

}  // namespace

// ip_vs_dest_conn_overhead.
int64_t SchedulerModel::Overhead(const Node& node) {
  return node.active * 256 + node.inactive;
}

size_t SchedulerModel::IndexOf(int id) const {
  return std::find_if(nodes_.begin(), nodes_.end(),
                      [id](const Node& node) { return node.id == id; }) -
         nodes_.begin();
}

void SchedulerModel::SetScheduler(Scheduler scheduler, uint32_t flags) {
  flags_ = flags;
  if (scheduler == scheduler_ && !nodes_.empty()) return;
  scheduler_ = scheduler;
  cursor_ = kHead;
  current_weight_ = 0;  // Changed() makes it the highest
  kept_.clear();
  Changed();
}

SchedulerModel::Node& SchedulerModel::Find(int id) {
  if (const size_t index = IndexOf(id); index < nodes_.size())
    return nodes_[index];
  return *std::find_if(removed_.begin(), removed_.end(),
                       [id](const Node& node) { return node.id == id; });
}

void SchedulerModel::Add(int id, uint32_t weight, const DestKey& key) {
  Node added = {.id = id, .weight = weight};
  const auto known =
      std::find_if(removed_.begin(), removed_.end(),
                   [id](const Node& node) { return node.id == id; });
  if (known != removed_.end()) {
    added = *known;
    removed_.erase(known);
  }
  added.weight = weight;
  added.last_weight = weight;
  added.key = key;
  nodes_.insert(nodes_.begin(), added);
  Changed();
}

void SchedulerModel::Edit(int id, uint32_t weight) {
  Node& node = nodes_[IndexOf(id)];
  node.weight = weight;
  if (weight != 0) node.last_weight = weight;
  Changed();
}

void SchedulerModel::Delete(int id) {
  const size_t index = IndexOf(id);
  if (cursor_ == id) cursor_ = index == 0 ? kHead : nodes_[index - 1].id;
  removed_.push_back(nodes_[index]);
  nodes_.erase(nodes_.begin() + index);
  Changed();
}

// Below the lower threshold, or, without one, three quarters of the upper, it
// gets connections again.
bool SchedulerModel::StaysOverloaded(const Node& node) {
  const int64_t total = node.active + node.inactive;
  if (node.lower != 0) return total >= node.lower;
  return node.upper != 0 && total * 4 >= node.upper * 3;
}

void SchedulerModel::Count(int id, int active, int inactive) {
  Node& node = Find(id);
  node.active += active;
  node.inactive += inactive;
  const int64_t total = node.active + node.inactive;
  // Made (ip_vs_bind_dest).
  if (active + inactive > 0 && node.upper != 0 && total >= node.upper)
    node.overloaded = true;
  // Gone (ip_vs_unbind_dest).
  if (active + inactive < 0) {
    node.overloaded = node.overloaded && StaysOverloaded(node);
  }
}

// ip_vs_ctl.c of the later Linux 6.12s: connections that it has decide at once.
void SchedulerModel::SetThresholds(int id, uint32_t upper, uint32_t lower) {
  Node& node = Find(id);
  node.upper = upper;
  node.lower = lower;
  const int64_t total = node.active + node.inactive;
  node.overloaded = upper != 0 && (total >= upper ||
                                   (node.overloaded && StaysOverloaded(node)));
}

void SchedulerModel::Changed() {
  if (scheduler_ == Scheduler::kMh) {
    std::vector<MaglevDest> dests;
    for (const Node& node : nodes_)
      dests.push_back({.folded_addr = Folded(node.key.daddr),
                       .dport = node.key.dport,
                       .last_weight = static_cast<uint32_t>(node.last_weight)});
    maglev_ = MaglevTable(dests);
  }
  if (scheduler_ != Scheduler::kWrr) return;
  cursor_ = kHead;
  int64_t divisor = 0;
  int64_t highest = 0;
  for (const Node& node : nodes_) {
    if (node.weight > 0) divisor = std::gcd(divisor, node.weight);
    highest = std::max(highest, node.weight);
  }
  step_ = divisor > 0 ? divisor : 1;
  max_weight_ = highest > 0 ? highest - (step_ - 1) : 0;
  if (current_weight_ > max_weight_ || current_weight_ == 0)
    current_weight_ = max_weight_;
  else if (step_ > 1)
    current_weight_ = current_weight_ / step_ * step_ + 1;
}

std::optional<int> SchedulerModel::Pick(const FirstPacket& packet) {
  switch (scheduler_) {
    case Scheduler::kRr:
      return PickInTurn();
    case Scheduler::kWrr:
      return PickInTurnByWeight();
    case Scheduler::kLc:
      return PickLeastLoaded(/*weighted=*/false);
    case Scheduler::kWlc:
      return PickLeastLoaded(/*weighted=*/true);
    case Scheduler::kSed:
      return PickShortestDelay();
    case Scheduler::kNq:
      return PickIdle();
    case Scheduler::kFo:
      return PickHeaviest(/*overflows=*/false);
    case Scheduler::kOvf:
      return PickHeaviest(/*overflows=*/true);
    case Scheduler::kNone:
      break;
    case Scheduler::kLblc:
    case Scheduler::kLblcr:
      return PickKept(packet.vaddr);
    case Scheduler::kTwos:
      break;  // Chances()
    case Scheduler::kSh:
    case Scheduler::kDh:
    case Scheduler::kMh:
      return PickByHash(packet);
  }
  return std::nullopt;
}

// Once round the list, from the node after the cursor to the cursor itself.
std::optional<int> SchedulerModel::PickInTurn() {
  const size_t first = AfterCursor();
  for (size_t step = 0; step < nodes_.size(); ++step) {
    const Node& node = nodes_[(first + step) % nodes_.size()];
    if (node.eligible()) return cursor_ = node.id;
  }
  return std::nullopt;
}

std::optional<int> SchedulerModel::PickInTurnByWeight() {
  if (max_weight_ == 0) return std::nullopt;
  size_t index = AfterCursor();
  // How many dests were asked for a weight of one step or less: when all were,
  // all are overloaded.
  size_t asked_for_least = 0;
  bool began_anew = false;
  while (true) {
    for (; index < nodes_.size(); ++index) {
      const Node& node = nodes_[index];
      if (!node.overloaded && node.weight >= current_weight_)
        return cursor_ = node.id;
      if (current_weight_ <= step_ && ++asked_for_least == nodes_.size()) {
        // Round to where it began; else the list has ended.
        if (began_anew) return std::nullopt;
        cursor_ = kHead;
        current_weight_ = max_weight_;
        return std::nullopt;
      }
    }
    index = 0;
    current_weight_ -= step_;
    if (current_weight_ <= 0) {
      current_weight_ = max_weight_;
      began_anew = true;
    }
  }
}

std::optional<int> SchedulerModel::PickLeastLoaded(bool weighted) const {
  const Node* least = nullptr;
  for (const Node& node : nodes_) {
    if (!node.eligible()) continue;
    if (least == nullptr || Overhead(*least) * (weighted ? node.weight : 1) >
                                Overhead(node) * (weighted ? least->weight : 1))
      least = &node;
  }
  if (least == nullptr) return std::nullopt;
  return least->id;
}

// ip_vs_sed.c: (active + 1) / weight.
std::optional<int> SchedulerModel::PickShortestDelay() const {
  const Node* least = nullptr;
  for (const Node& node : nodes_) {
    if (!node.eligible()) continue;
    if (least == nullptr ||
        (least->active + 1) * node.weight > (node.active + 1) * least->weight)
      least = &node;
  }
  if (least == nullptr) return std::nullopt;
  return least->id;
}

// ip_vs_nq.c: the first that is idle, else as sed.
std::optional<int> SchedulerModel::PickIdle() const {
  for (const Node& node : nodes_)
    if (node.eligible() && node.active == 0) return node.id;
  return PickShortestDelay();
}

// ip_vs_fo.c; ip_vs_ovf.c, where a dest is full with more active connections
// than its weight.
std::optional<int> SchedulerModel::PickHeaviest(bool overflows) const {
  const Node* heaviest = nullptr;
  for (const Node& node : nodes_) {
    if (!node.eligible() || (overflows && node.active > node.weight)) continue;
    if (heaviest == nullptr || node.weight > heaviest->weight) heaviest = &node;
  }
  if (heaviest == nullptr) return std::nullopt;
  return heaviest->id;
}

// ip_vs_lblc.c, ip_vs_lblcr.c. A dest that was removed stays where it is
// remembered, and is taken again when it is back.
std::optional<int> SchedulerModel::PickKept(const IpAddr& addr) {
  const bool is_set = scheduler_ == Scheduler::kLblcr;
  auto known = kept_.find(addr);
  if (known != kept_.end() && now_ - known->second.used >= expiration_) {
    kept_.erase(known);
    known = kept_.end();
  }
  if (known != kept_.end()) {
    Kept& kept = known->second;
    kept.used = now_;
    const Node* least = LeastLoaded(kept);
    if (is_set && kept.ids.size() > 1 && now_ - kept.changed > expiration_)
      RemoveMostLoaded(kept);
    if (least != nullptr && !IsTooMuch(*least)) return least->id;
  }
  const std::optional<int> chosen = PickLeastLoaded(/*weighted=*/true);
  if (!chosen) return std::nullopt;
  Kept& kept = kept_[addr];
  kept.used = now_;
  if (!is_set) kept.ids.clear();
  if (std::find(kept.ids.begin(), kept.ids.end(), *chosen) != kept.ids.end())
    return chosen;
  kept.ids.insert(kept.ids.begin(), *chosen);
  if (kept.ids.size() > XLVS_LBLC_MEMBERS) kept.ids.pop_back();  // not IPVS's
  kept.changed = now_;
  return chosen;
}

const SchedulerModel::Node* SchedulerModel::LeastLoaded(const Kept& kept) {
  const Node* least = nullptr;
  for (const int id : kept.ids) {
    if (IndexOf(id) == nodes_.size()) continue;
    const Node& node = Find(id);
    const bool may_be_chosen =
        scheduler_ == Scheduler::kLblcr ? node.eligible() : node.weight > 0;
    if (!may_be_chosen) continue;
    if (least == nullptr ||
        Overhead(*least) * node.weight > Overhead(node) * least->weight)
      least = &node;
  }
  return least;
}

// ip_vs_dest_set_max: of removed ones, too.
void SchedulerModel::RemoveMostLoaded(Kept& kept) {
  const Node* most = nullptr;
  for (const int id : kept.ids) {
    const Node& node = Find(id);
    if (node.weight == 0) continue;
    if (most == nullptr ||
        Overhead(*most) * node.weight < Overhead(node) * most->weight)
      most = &node;
  }
  if (most == nullptr) return;
  std::erase(kept.ids, most->id);
  kept.changed = now_;
}

bool SchedulerModel::IsTooMuch(const Node& node) const {
  return node.active > node.weight &&
         std::any_of(nodes_.begin(), nodes_.end(), [](const Node& other) {
           return other.active * 2 < other.weight;
         });
}

const SchedulerModel::Node* SchedulerModel::Owner(uint32_t slot) const {
  if (scheduler_ == Scheduler::kMh)
    return maglev_.empty() ? nullptr : &nodes_[maglev_[slot]];
  while (!nodes_.empty())
    for (const Node& node : nodes_) {
      const uint32_t slots =
          scheduler_ == Scheduler::kDh || node.weight == 0 ? 1 : node.weight;
      if (slot < slots) return &node;
      slot -= slots;
    }
  return nullptr;
}

// ip_vs_sh.c, ip_vs_dh.c, ip_vs_mh.c. Of the fallback each offset, from the
// first slot on, is hashed anew.
std::optional<int> SchedulerModel::PickByHash(const FirstPacket& packet) const {
  const bool is_mh = scheduler_ == Scheduler::kMh;
  const bool is_dh = scheduler_ == Scheduler::kDh;
  uint32_t key = Folded(is_dh ? packet.vaddr : packet.caddr);
  if (!is_dh && (flags_ & kSchedFlag2) != 0) key += packet.cport;
  const uint32_t slots = is_mh ? XLVS_MAGLEV_SLOTS : XLVS_HASH_SLOTS;
  const auto slot_at = [&](uint32_t offset) {
    return is_mh ? xlvs_sip13(offset + key, XLVS_MAGLEV_KEY_START) % slots
                 : (offset + xlvs_hash_slot(key)) % slots;
  };
  const uint32_t first = slot_at(0);
  const Node* owner = Owner(first);
  if (owner == nullptr) return std::nullopt;
  if (owner->eligible()) return owner->id;
  if (is_dh || (flags_ & kSchedFlag1) == 0) return std::nullopt;
  for (uint32_t step = 0; step < slots; ++step) {
    owner = Owner(slot_at((step + first) % slots));
    if (owner->eligible()) return owner->id;
  }
  return std::nullopt;
}

// ip_vs_twos.c: all pairs that may be drawn. The number drawn is from 0 to the
// sum of the weights, and each dest has the next `weight` of 1, 2, ...; 0 is
// the first dest's too.
std::map<int, double> SchedulerModel::Chances() const {
  struct Drawn {
    const Node* node;
    double chance;
  };
  std::vector<Drawn> drawable;
  double tickets = 1;
  for (const Node& node : nodes_)
    if (node.eligible()) tickets += node.weight;
  for (const Node& node : nodes_) {
    if (!node.eligible()) continue;
    const int extra = drawable.empty() ? 1 : 0;
    drawable.push_back({&node, (node.weight + extra) / tickets});
  }
  // In the kernel both factors are int, and so is their product.
  const auto cost = [](const Node& weight_of, const Node& load_of) {
    return static_cast<int32_t>(weight_of.weight *
                                (load_of.active * 256 + load_of.inactive));
  };
  std::map<int, double> chances;
  for (const Drawn& one : drawable)
    for (const Drawn& other : drawable) {
      const bool second =
          cost(*other.node, *one.node) > cost(*one.node, *other.node);
      chances[(second ? other : one).node->id] += one.chance * other.chance;
    }
  return chances;
}

}  // namespace xlvs
