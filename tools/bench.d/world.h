// SPDX-License-Identifier: Apache-2.0
//
// What is measured: an instance of the director in a network namespace of its
// own, with services, real servers and connections, and R with the same
// connections. Nothing of it is left behind, whenever the process ends: the
// pins go as soon as everything is open.
#ifndef XLVS_TOOLS_BENCH_D_WORLD_H_
#define XLVS_TOOLS_BENCH_D_WORLD_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/datapath/map_director.h"
#include "loader/datapath/mapped.h"
#include "loader/model/service.h"
#include "maps/clock.h"
#include "maps/conn.h"
#include "maps/dest.h"
#include "maps/flood.h"
#include "maps/nexthop.h"
#include "maps/pool.h"
#include "maps/step.h"
#include "tools/bench.d/frames.h"
#include "tools/bench.d/object.h"
#include "tools/bench.d/runner.h"

namespace xlvs::bench {

constexpr uint32_t kTableConns = 1'000'000;
// What all but scheduling is measured with.
constexpr uint32_t kReals = BENCH_REAL_COUNT;
// Of a scheduler's service: far from those.
constexpr uint32_t kSchedulerReals = BENCH_REALS + 0x100;

// A service of the director's, and how its packets are made.
struct Target {
  Form form = {};
  Method method = Method::kMasq;
  TunnelType tunnel = TunnelType::kIpip;
  Scheduler scheduler = Scheduler::kRr;
  uint32_t first_real = BENCH_REALS;
  uint32_t reals = kReals;

  // By AddTarget:
  uint16_t port = 0;
  uint32_t service = 0;              // id
  std::vector<uint32_t> dests = {};  // ids
  uint32_t known = 0;                // so many flows have a connection

  std::string request_program() const;
};

// Which ending is counted.
using EndingField = __u64 xlvs_step_counters::*;

class World {
 public:
  struct Options {
    uint32_t conns = kTableConns;
    uint32_t dests = 0;     // room for so many; 0: the director's default
    std::string form = {};  // the only kind of packets, "4tcp"; empty: all
    bool stages = false;
    bool layouts = false;
    std::string against = {};  // another build of bench.bpf.o; empty: none
  };
  static absl::StatusOr<std::unique_ptr<World>> Make(const Options& options);

  // The service that R's connections are to comes first. Stays where it is.
  absl::StatusOr<Target*> AddTarget(Target target);
  // Makes flows [known, flows) known to the director.
  absl::Status FillTo(Target& target, uint32_t flows);
  // The same for R, and for other layouts of the table.
  absl::Status FillReferenceTo(uint32_t flows);
  // Makes connections of these flows, nothing else: embryonic.
  absl::Status Begin(const Target& target, uint32_t first, uint32_t flows);
  // The same, and the handshake's end.
  absl::Status Establish(const Target& target, uint32_t first, uint32_t flows);
  // No connection is left.
  absl::Status Clear();
  absl::Status ClearReference();
  // One second later, next hops are fresh.
  void AdvanceClock();
  void SetFlows(uint32_t flows);  // to visit at random, in all objects
  // Where requests go from now on, but for R's.
  void SetTarget(const Target& target);
  // Flow `first` is next, then one after the other.
  void SetInOrder(Object& object, uint32_t first);
  absl::Status Set(const char* setting, uint32_t value) {
    return director_->Set(setting, value);
  }
  // Has the director believe that so many connections of it are embryonic.
  void SetEmbryonic(const Target& target, uint32_t conns) {
    pools_[target.service].embryonic = conns;
  }

  // Has schedulers believe that each real server has so many.
  void SetActive(const Target& target, int32_t conns) {
    for (const uint32_t id : target.dests)
      loads_[id] = {.active = conns, .inactive = 0};
  }

  // How often the director's packets ended so.
  absl::StatusOr<uint64_t> Ending(EndingField ending) const;
  absl::StatusOr<uint64_t> ConnsMade(const Target& target) const;
  absl::StatusOr<uint64_t> ReferenceHits() const;
  uint32_t LiveConns() const;  // looks at all

  // Sends whole packets with right checksums through the shipped program, on
  // connections that the bench made, and compares what comes out.
  absl::Status CheckShippedProgram(const Target& target);

  const xlvs_meta& meta() const { return meta_; }
  int shipped() const { return shipped_.get(); }
  Object& bench() { return *bench_; }
  Object& reference() { return *reference_; }
  Object* stages() { return stages_.get(); }
  Object* layouts() { return layouts_.get(); }
  Object* against() { return against_.get(); }

 private:
  World() = default;
  absl::Status LoadObjects(const Options& options, const Instance& instance);
  absl::Status FillLayouts(uint32_t first, uint32_t count);
  void FreshenNexthops();
  // One run of a program for each flow from `first`.
  absl::Status RunInOrder(const std::string& title, Object& object,
                          const std::string& program, const Frame& frame,
                          uint32_t first, uint32_t count);

  xlvs_meta meta_ = {};
  UniqueFd shipped_;
  UniqueFd programs_fd_;  // emptied with its last descriptor
  UniqueFd steps_fd_;
  UniqueFd counters_fd_;
  UniqueFd heads_fd_;
  std::unique_ptr<MapDirector> director_;
  std::unique_ptr<Object> bench_, reference_, stages_, layouts_, against_;
  Mapped<xlvs_clock> clock_;
  Mapped<xlvs_dest> dests_;
  Mapped<xlvs_nexthop> nexthops_;
  Mapped<xlvs_bucket> buckets_;
  Mapped<xlvs_load> loads_;
  Mapped<xlvs_pool> pools_;
  Mapped<xlvs_flood> flood_;
  std::deque<Target> targets_;
  uint32_t reference_known_ = 0;  // flows
};

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_WORLD_H_
