// SPDX-License-Identifier: Apache-2.0
//
// The shipped director on a bench: loaded and configured by the loader's own
// code, fed with single packets by BPF_PROG_TEST_RUN, its clock in our hands.
//
// The process moves into network and mount namespaces of its own, with a BPF
// file system of its own: nothing is left behind however a test ends, and tests
// run side by side. Packets come in by `lo`, which is interface 1.
#ifndef XLVS_TESTS_PACKET_FIXTURE_H_
#define XLVS_TESTS_PACKET_FIXTURE_H_

#include <gtest/gtest.h>

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "loader/datapath/instance.h"
#include "loader/datapath/map_director.h"
#include "loader/datapath/mapped.h"
#include "loader/model/host.h"
#include "maps/step.h"
#include "tests/packet/packet.h"

namespace xlvs {

constexpr uint32_t kLoopback = 1;  // ifindex

// Where a dest's frames go.
struct Hop {
  uint32_t ifindex = kLoopback;
  Mac dmac = kDest1Mac;
  Mac smac = kInnerMac;
  uint32_t mtu = 1500;
  std::vector<VlanTag> vlans = {};  // priority bits zero
};
inline const Hop kHop1 = {};
inline const Hop kHop2 = {.dmac = kDest2Mac};

// How a dest's packets are forwarded.
struct Forwarding {
  Method method = Method::kMasq;
  Tunnel tunnel = {};
};

std::string StepName(xlvs_step step);
uint32_t StepAction(xlvs_step step);  // XDP_*

struct Outcome {
  xlvs_step step = XLVS_STEP_max;
  Bytes out;
  Bytes metadata;  // before the frame
};

// One cell of the connection table.
struct Record {
  uint32_t bucket = 0;
  uint32_t slot = 0;
  xlvs_conn conn = {};
};

struct Sums {
  uint64_t rx = 0;
  uint64_t endings[XLVS_STEP_max] = {};
};

constexpr AttachOptions SmallSizes(uint32_t conns = 1000) {
  AttachOptions options;
  options.conns = conns;
  options.services = 64;
  options.dests = 64;
  options.hash_tables = 2;
  options.maglev_tables = 2;
  options.count_batch = 1;
  return options;
}

// What cannot fail on a machine that can run these tests at all.
template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}
void Must(const absl::Status& status);

// Runs a command line ("ip link add ..."), which must succeed.
void MustRun(const std::string& command);

// As the loader has it.
IpAddr ToIpAddr(const Addr& addr);

class Bench {
 public:
  explicit Bench(const AttachOptions& options = SmallSizes());
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const Instance& instance() const { return instance_; }
  const xlvs_meta& meta() const { return meta_; }
  int program() const { return program_.get(); }
  // The loader's code. Opened again by every Reset().
  MapDirector& config() { return *config_; }
  // As after Create(), but for the hash key.
  void Reset();

  // ---- the clock

  uint32_t now() const { return clock[0].now_ticks; }
  // Known next hops of dests stay fresh.
  void SetNow(uint32_t ticks);
  void Advance(uint32_t ticks) { SetNow(now() + ticks); }
  void AdvanceSeconds(uint32_t seconds) {
    Advance(seconds * XLVS_TICKS_PER_SECOND);
  }

  // ---- configuration

  ServiceKey AddService(Endpoint vip, Protocol protocol = Protocol::kTcp,
                        Scheduler scheduler = Scheduler::kRr);
  // With a fresh next hop. Returns its id.
  uint32_t AddDest(const ServiceKey& service, Endpoint dest,
                   const Hop& hop = kHop1, uint32_t weight = 1,
                   const Forwarding& forwarding = {});
  void EditWeight(const ServiceKey& service, Endpoint dest, uint32_t weight);
  void DeleteDest(const ServiceKey& service, Endpoint dest);
  void SetHop(uint32_t dest, const Hop& hop);
  // What the kernel would say if there were routes: where a tunnel begins.
  void SetTunnelSource(uint32_t dest, const Addr& saddr);
  // A device that frames may be redirected to.
  void AllowDevice(uint32_t ifindex);

  // ---- packets

  // Runs one packet. A test failure if it was not counted exactly once as rx
  // and once as its ending, or if the action is not the ending's.
  Outcome Run(std::span<const uint8_t> in);
  Outcome Run(const Frame& in) { return Run(Build(in)); }
  // With `meta_bytes` of metadata before the packet: less headroom.
  Outcome RunWithMetadata(std::span<const uint8_t> in, uint32_t meta_bytes);
  // Linux 6.1 gives a packet at most 32 bytes of it.
  bool TakesMetadata(uint32_t meta_bytes);
  // Runs one packet and nothing else; `out` is resized. Returns the action, or
  // a negative errno. Any thread.
  int RunUncounted(std::span<const uint8_t> in, Bytes* out = nullptr) const;

  // Which endings Run() has seen in this process.
  static std::bitset<XLVS_STEP_max>& SeenEndings();

  // ---- what there is

  Sums Steps() const;
  std::vector<Record> Records() const;
  std::vector<xlvs_head> Heads() const;
  uint32_t SpilledTotal() const;
  // Test failures where a bucket's head does not tell the truth about its
  // records: how many of each group spilled, and that none is due earlier. Not
  // while packets or the expiry change the table.
  void ExpectHeadsTrue() const;
  // rx = sum of all endings, as ever.
  void ExpectAllCounted() const;
  // The connection's record, null if there is none that is not over.
  xlvs_conn* Find(Endpoint client, Endpoint service, Protocol protocol);
  std::vector<xlvs_counters> CountersByCpu(uint32_t dest) const;
  xlvs_counters CountersOf(uint32_t dest) const;
  // "active/inactive", and a test failure if the shared totals differ (with a
  // count batch of 1 they never do).
  std::string Counts(uint32_t dest) const;

  // The maps themselves.
  Mapped<xlvs_bucket> conns;
  Mapped<xlvs_pool> pools;
  Mapped<xlvs_dest> dests;
  Mapped<xlvs_load> loads;
  Mapped<xlvs_nexthop> nexthops;
  Mapped<xlvs_vlan> vlans;
  Mapped<xlvs_clock> clock;
  Mapped<xlvs_control> control;

 private:
  int RunWith(std::span<const uint8_t> in, uint32_t meta_bytes,
              Outcome* outcome) const;
  // The index of these tags in xlvs_vlans, 0 if there are none.
  uint16_t InternVlans(const std::vector<VlanTag>& tags);
  Outcome RunCounted(std::span<const uint8_t> in, uint32_t meta_bytes);
  void OpenMaps();

  Instance instance_;
  xlvs_meta meta_ = {};
  xlvs_control fresh_control_ = {};
  std::unique_ptr<MapDirector> config_;
  UniqueFd program_;
  UniqueFd steps_fd_;
  UniqueFd heads_fd_;
  UniqueFd counters_fd_;
};

// Tests with small tables share one bench (loading takes a while), which is
// reset for each. The clock stands at kStart.
class PacketTest : public testing::Test {
 protected:
  static constexpr uint32_t kStart = 1'000'000;
  PacketTest();
  Bench& bench;
};

// The calling thread stays on one CPU from now on.
void PinToCpu(int cpu);
// CPUs that this process may use; after the first Bench was made.
std::vector<int> UsableCpus();
// CLOCK_MONOTONIC in ticks, as the timer counts.
uint32_t MonotonicTicks();

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_FIXTURE_H_
