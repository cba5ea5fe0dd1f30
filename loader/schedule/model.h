// SPDX-License-Identifier: Apache-2.0
//
// IPVS's schedulers once more, as the kernel has them: a list of dests with a
// cursor, picked from one at a time (ip_vs_rr.c, ip_vs_wrr.c, ip_vs_lc.c and so
// on, of Linux 6.12). Pure, and independent of how bpf/schedule/ does it: tests
// hold the two against each other. Not for the packet path.
#ifndef XLVS_LOADER_SCHEDULE_MODEL_H_
#define XLVS_LOADER_SCHEDULE_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "loader/model/service.h"

namespace xlvs {

// A first packet, as sh, dh, mh, lblc and lblcr see it.
struct FirstPacket {
  IpAddr caddr;
  uint16_t cport = 0;
  IpAddr vaddr;
};

class SchedulerModel {
 public:
  explicit SchedulerModel(Scheduler scheduler, uint32_t flags = 0) {
    SetScheduler(scheduler, flags);
  }

  // Another scheduler starts anew; the same one goes on.
  void SetScheduler(Scheduler scheduler, uint32_t flags = 0);
  // `id`s are the caller's. A new dest goes to the head of the list; one that
  // was deleted comes back with its connections and thresholds. `key`: for mh,
  // which hashes it.
  void Add(int id, uint32_t weight, const DestKey& key = {});
  void Edit(int id, uint32_t weight);
  // -x and -y, 0 = none.
  void SetThresholds(int id, uint32_t upper, uint32_t lower);
  bool overloaded(int id) { return Find(id).overloaded; }
  void Delete(int id);
  // Connections of a dest, also of a deleted one. One more or less may pass a
  // threshold.
  void Count(int id, int active, int inactive);

  // lblc and lblcr: the time, and after how long an address is forgotten, or
  // the most loaded of its dests. In any unit.
  void SetNow(int64_t now) { now_ = now; }
  void SetExpiration(int64_t expiration) { expiration_ = expiration; }

  // The dest for a new connection; nullopt if none is eligible. Not for twos.
  std::optional<int> Pick(const FirstPacket& packet = {});
  // twos: how likely each dest is picked; those with no chance are not there.
  std::map<int, double> Chances() const;

 private:
  struct Node {
    int id;
    int64_t weight;
    int64_t active = 0;
    int64_t inactive = 0;
    DestKey key = {};
    int64_t last_weight = 0;  // mh: above 0, or as added
    int64_t upper = 0;
    int64_t lower = 0;
    bool overloaded = false;

    bool eligible() const { return weight > 0 && !overloaded; }
  };
  // The cursor rests on a node's id, or before the head of the list.
  static constexpr int kHead = -1;

  static int64_t Overhead(const Node& node);
  size_t IndexOf(int id) const;
  // Deleted or not.
  static bool StaysOverloaded(const Node& node);
  Node& Find(int id);
  size_t AfterCursor() const {
    return cursor_ == kHead ? 0 : IndexOf(cursor_) + 1;
  }
  // lblc has one dest for an address, lblcr several, the last one first.
  struct Kept {
    std::vector<int> ids;
    int64_t used = 0;
    int64_t changed = 0;
  };

  void Changed();  // wrr: marks again
  std::optional<int> PickInTurn();
  std::optional<int> PickInTurnByWeight();
  std::optional<int> PickLeastLoaded(bool weighted) const;
  std::optional<int> PickShortestDelay() const;
  std::optional<int> PickIdle() const;
  std::optional<int> PickHeaviest(bool overflows) const;
  std::optional<int> PickByHash(const FirstPacket& packet) const;
  std::optional<int> PickKept(const IpAddr& addr);
  const Node* LeastLoaded(const Kept& kept);
  void RemoveMostLoaded(Kept& kept);
  // More active connections than it should have, while another has less.
  bool IsTooMuch(const Node& node) const;
  // The node that owns the slot; sh and dh count it out along the list.
  const Node* Owner(uint32_t slot) const;

  Scheduler scheduler_ = Scheduler::kRr;
  uint32_t flags_ = 0;
  std::vector<Node> nodes_;       // head first
  std::vector<Node> removed_;     // may come back
  std::vector<uint32_t> maglev_;  // mh: index of the owner by slot
  int cursor_ = kHead;
  int64_t current_weight_ = 0;   // wrr: cw
  int64_t max_weight_ = 0;       // wrr: mw
  int64_t step_ = 1;             // wrr: di
  std::map<IpAddr, Kept> kept_;  // lblc, lblcr
  int64_t now_ = 0;
  int64_t expiration_ = 86'400;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_SCHEDULE_MODEL_H_
