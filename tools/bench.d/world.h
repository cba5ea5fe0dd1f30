// SPDX-License-Identifier: Apache-2.0
//
// What is measured: an instance of the director in a network namespace of its
// own, with services, real servers and connections, and R with the same
// connections. Nothing of it is left behind, whenever the process ends: the
// pins go as soon as everything is open.
#ifndef XLVS_TOOLS_BENCH_D_WORLD_H_
#define XLVS_TOOLS_BENCH_D_WORLD_H_

#include <cstdint>
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
#include "maps/nexthop.h"
#include "maps/pool.h"
#include "maps/step.h"
#include "tools/bench.d/object.h"
#include "tools/bench.d/runner.h"

namespace xlvs::bench {

constexpr uint32_t kTableConns = 1'000'000;

// A service to make new connections to.
struct SchedulerService {
  Scheduler scheduler;
  uint32_t reals;
  uint16_t port;
};

// Which ending is counted.
using EndingField = __u64 xlvs_step_counters::*;

// TCP flags.
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;

// A whole frame with right checksums.
struct FrameSpec {
  uint32_t saddr;
  uint32_t daddr;
  uint16_t sport;
  uint16_t dport;
  uint8_t flags = kAck;
  uint8_t ttl = BENCH_TTL;
  bool from_director = false;  // MACs the other way round
};
Frame MakeFrame(const FrameSpec& spec);
// Flow's packets.
Frame RequestFrame(uint32_t flow, uint8_t flags);
Frame ReplyFrame(uint32_t flow);

class World {
 public:
  struct Options {
    bool stages = false;
    bool layouts = false;
    std::string against;  // another build of bench.bpf.o; empty: none
  };
  static absl::StatusOr<std::unique_ptr<World>> Make(const Options& options);

  // Makes flows [known, flows) known to the director and to R.
  absl::Status FillTo(uint32_t flows);
  // No connection is left, in either.
  absl::Status Clear();
  // One second later, next hops are fresh.
  void AdvanceClock();
  void SetFlows(uint32_t flows);  // to visit at random, in all objects
  void SetVport(uint16_t port);
  // Flow 0 is next, then one after the other.
  void SetInOrder(Object& object, uint32_t first);

  // How often the director's packets ended so.
  absl::StatusOr<uint64_t> Ending(EndingField ending) const;
  absl::StatusOr<uint64_t> ConnsMade() const;
  absl::StatusOr<uint64_t> ReferenceHits() const;

  // Sends whole packets with right checksums through the shipped program, on
  // connections that the bench made, and compares what comes out.
  absl::Status CheckShippedProgram(uint32_t flows);

  int shipped() const { return shipped_.get(); }
  Object& bench() { return *bench_; }
  Object& reference() { return *reference_; }
  Object* stages() { return stages_.get(); }
  Object* layouts() { return layouts_.get(); }
  Object* against() { return against_.get(); }
  const std::vector<SchedulerService>& schedulers() const {
    return schedulers_;
  }

 private:
  World() = default;
  absl::Status LoadObjects(const Options& options, const Instance& instance);
  absl::Status AddServices(MapDirector& director);
  absl::Status FillLayouts(uint32_t first, uint32_t count);
  void FreshenNexthops();
  // One run of a program for each flow from `first`.
  absl::Status RunInOrder(const std::string& title, Object& object,
                          const std::string& program, uint8_t flags,
                          uint32_t first, uint32_t count);

  xlvs_meta meta_ = {};
  UniqueFd shipped_;
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
  std::vector<SchedulerService> schedulers_;
  uint32_t known_ = 0;  // flows
};

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_WORLD_H_
