// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/sizes.h"
#include "maps/config.h"
#include "maps/local.h"
#include "maps/rate.h"
#include "maps/service.h"
// The skeletons last: they name our structs without defining them.
#include "bench.skel.h"
#include "layout.skel.h"
#include "reference.skel.h"
#include "stages.skel.h"

namespace xlvs::bench {
namespace {

constexpr char kInstance[] = "xlvs-bench";
constexpr uint32_t kLoopback = 1;
// No connection asks the FIB again at such a tick (XLVS_REVALIDATE_TICKS in
// bpf/emit/nexthop.h), whichever of its four ports the client has.
constexpr uint32_t kFirstTick = 64'004;
constexpr uint16_t kFirstSchedulerPort = 8000;
constexpr uint8_t kClientMac[ETH_ALEN] = {2, 0, 0, 0, 0, 1};
constexpr uint8_t kDirectorMac[ETH_ALEN] = {2, 0, 0, 0, 0, 2};

uint32_t Cpus() {
  const int cpus = libbpf_num_possible_cpus();
  return cpus > 0 ? cpus : 1;
}

uint32_t Sum16(const uint8_t* data, size_t bytes, uint32_t sum = 0) {
  for (size_t i = 0; i < bytes; ++i) sum += i % 2 == 0 ? data[i] << 8 : data[i];
  return sum;
}

uint16_t Fold(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void Put16(uint8_t* at, uint16_t value) {
  at[0] = value >> 8;
  at[1] = value & 0xff;
}

void Put32(uint8_t* at, uint32_t value) {
  Put16(at, value >> 16);
  Put16(at + 2, value & 0xffff);
}

template <typename Skeleton>
absl::string_view Elf(Skeleton elf_bytes) {
  size_t bytes = 0;
  const void* data = elf_bytes(&bytes);
  return absl::string_view(static_cast<const char*>(data), bytes);
}

// Sums an element of a per-CPU array over CPUs, as 64-bit words.
absl::Status SumWords(int fd, uint32_t key, size_t words,
                      std::vector<uint64_t>& ret) {
  std::vector<uint64_t> values(Cpus() * words);
  if (bpf_map_lookup_elem(fd, &key, values.data()) != 0)
    return ErrnoStatus(errno, "read counters");
  ret.assign(words, 0);
  for (size_t i = 0; i < values.size(); ++i) ret[i % words] += values[i];
  return absl::OkStatus();
}

uint32_t ClientOf(uint32_t flow) {
  return BENCH_CLIENTS + flow / BENCH_FLOWS_PER_CLIENT;
}
uint16_t ClientPortOf(uint32_t flow) {
  return BENCH_CLIENT_PORTS + flow % BENCH_FLOWS_PER_CLIENT;
}
uint32_t RealOf(uint32_t flow) {
  return BENCH_REALS + flow % BENCH_REAL_COUNT;
}

}  // namespace

Frame MakeFrame(const FrameSpec& spec) {
  Frame frame = {};
  uint8_t* eth = frame.data();
  std::memcpy(eth, spec.from_director ? kClientMac : kDirectorMac, ETH_ALEN);
  std::memcpy(eth + ETH_ALEN, spec.from_director ? kDirectorMac : kClientMac,
              ETH_ALEN);
  Put16(eth + 12, ETH_P_IP);
  uint8_t* ip = eth + 14;
  ip[0] = 0x45;
  Put16(ip + 2, BENCH_IP_BYTES);
  Put16(ip + 6, 0x4000);
  ip[8] = spec.ttl;
  ip[9] = IPPROTO_TCP;
  Put32(ip + 12, spec.saddr);
  Put32(ip + 16, spec.daddr);
  Put16(ip + 10, Fold(Sum16(ip, 20)));
  uint8_t* tcp = ip + 20;
  Put16(tcp, spec.sport);
  Put16(tcp + 2, spec.dport);
  tcp[12] = 0x50;
  tcp[13] = spec.flags;
  const uint32_t tcp_bytes = BENCH_IP_BYTES - 20;
  for (uint32_t i = 20; i < tcp_bytes; ++i) tcp[i] = i;
  const uint32_t pseudo = Sum16(ip + 12, 8) + IPPROTO_TCP + tcp_bytes;
  Put16(tcp + 16, Fold(Sum16(tcp, tcp_bytes, pseudo)));
  return frame;
}

Frame RequestFrame(uint32_t flow, uint8_t flags) {
  return MakeFrame({.saddr = ClientOf(flow),
                    .daddr = BENCH_VIP,
                    .sport = ClientPortOf(flow),
                    .dport = BENCH_PORT,
                    .flags = flags});
}

Frame ReplyFrame(uint32_t flow) {
  return MakeFrame({.saddr = RealOf(flow),
                    .daddr = ClientOf(flow),
                    .sport = BENCH_PORT,
                    .dport = ClientPortOf(flow)});
}

absl::StatusOr<std::unique_ptr<World>> World::Make(const Options& options) {
  // Only a loopback device, no routes: the same on every machine.
  if (unshare(CLONE_NEWNET) != 0)
    return ErrnoStatus(errno, "make a network namespace");
  std::unique_ptr<World> world(new World);
  const Instance instance(kInstance);
  XLVS_ASSIGN_OR_RETURN(UniqueFd lock, instance.Lock());
  if (instance.Exists()) XLVS_RETURN_IF_ERROR(instance.Remove());
  AttachOptions attach;
  attach.conns = kTableConns;
  XLVS_ASSIGN_OR_RETURN(const Sizes sizes, ComputeSizes(attach, Cpus()));
  XLVS_RETURN_IF_ERROR(instance.Create(sizes));
  const absl::Cleanup remove = [&] { (void)instance.Remove(); };

  XLVS_ASSIGN_OR_RETURN(world->meta_, instance.CheckedMeta());
  XLVS_ASSIGN_OR_RETURN(world->shipped_, instance.OpenPin("program"));
  XLVS_ASSIGN_OR_RETURN(world->steps_fd_, instance.OpenPin("steps"));
  XLVS_ASSIGN_OR_RETURN(world->counters_fd_, instance.OpenPin("counters"));
  XLVS_ASSIGN_OR_RETURN(world->heads_fd_, instance.OpenPin("heads"));
  XLVS_ASSIGN_OR_RETURN(world->clock_,
                        instance.MapArray<xlvs_clock>("clock", true));
  XLVS_ASSIGN_OR_RETURN(world->dests_,
                        instance.MapArray<xlvs_dest>("dests", true));
  XLVS_ASSIGN_OR_RETURN(world->nexthops_,
                        instance.MapArray<xlvs_nexthop>("nexthops", true));
  XLVS_ASSIGN_OR_RETURN(world->buckets_,
                        instance.MapArray<xlvs_bucket>("conns", true));
  XLVS_ASSIGN_OR_RETURN(world->loads_,
                        instance.MapArray<xlvs_load>("loads", true));
  XLVS_ASSIGN_OR_RETURN(world->pools_,
                        instance.MapArray<xlvs_pool>("pools", true));
  XLVS_ASSIGN_OR_RETURN(
      world->director_,
      MapDirector::Open(instance, /*for_writing=*/true, std::move(lock)));
  // All connections begin at once here: no flood.
  for (const char* bound : {"embryonic_max", "service_embryonic_max"})
    XLVS_RETURN_IF_ERROR(world->director_->Set(bound, INT32_MAX));
  XLVS_RETURN_IF_ERROR(world->LoadObjects(options, instance));
  XLVS_RETURN_IF_ERROR(world->AddServices(*world->director_));
  StoreWord(world->clock_[0].now_ticks, kFirstTick);
  world->FreshenNexthops();
  world->SetVport(BENCH_PORT);
  return world;
}

absl::Status World::LoadObjects(const Options& options,
                                const Instance& instance) {
  const LoadOptions beside = {
      .instance = &instance,
      .map_entries = {},
      .constants = {{"xlvs_cfg", RawBytes(meta_.config)}}};
  const auto load = [](absl::string_view name, absl::string_view elf,
                       const LoadOptions& how,
                       std::unique_ptr<Object>& to) -> absl::Status {
    XLVS_ASSIGN_OR_RETURN(Object object, Object::Load(name, elf, how));
    to = std::make_unique<Object>(std::move(object));
    return absl::OkStatus();
  };
  XLVS_RETURN_IF_ERROR(
      load("bench", Elf(xlvs_bench__elf_bytes), beside, bench_));
  XLVS_RETURN_IF_ERROR(load("reference", Elf(xlvs_reference__elf_bytes),
                            {.instance = nullptr,
                             .map_entries = {{"reference_conns", kTableConns}},
                             .constants = {}},
                            reference_));
  if (options.stages)
    XLVS_RETURN_IF_ERROR(
        load("stages", Elf(xlvs_stages__elf_bytes), beside, stages_));
  if (options.layouts) {
    // As full as the table of records: 28 of 64.
    const uint64_t slots = static_cast<uint64_t>(kTableConns) *
                           XLVS_CONNS_PER_BUCKET /
                           XLVS_CONNS_PER_BUCKET_PLANNED;
    const uint32_t lines = slots / 4;
    const uint32_t tags = slots / 8;
    LoadOptions sized = beside;
    sized.map_entries = {{"layout_lines", lines},
                         {"layout_tags", tags},
                         {"layout_hash", kTableConns}};
    sized.constants.emplace_back("layout_line_count", RawBytes(lines));
    sized.constants.emplace_back("layout_tag_count", RawBytes(tags));
    XLVS_RETURN_IF_ERROR(
        load("layout", Elf(xlvs_layout__elf_bytes), sized, layouts_));
  }
  if (!options.against.empty()) {
    XLVS_ASSIGN_OR_RETURN(Object object,
                          Object::LoadFile(options.against, beside));
    against_ = std::make_unique<Object>(std::move(object));
  }
  return absl::OkStatus();
}

absl::Status World::AddServices(MapDirector& director) {
  const auto add = [&](Scheduler scheduler, uint16_t port, uint32_t first_real,
                       uint32_t reals) -> absl::Status {
    const ServiceKey key = {.vaddr = IpAddr::FromV4(BENCH_VIP),
                            .vport = port,
                            .protocol = Protocol::kTcp};
    XLVS_RETURN_IF_ERROR(
        director.AddService({.key = key, .scheduler = scheduler}));
    // The list begins with the dest that was added last: so the first flow
    // goes to the first real server.
    for (uint32_t i = reals; i-- > 0;) {
      const Dest dest = {
          .key = {.daddr = IpAddr::FromV4(first_real + i), .dport = BENCH_PORT},
          .method = Method::kMasq,
          .weight = 1 + i * 7 % 10,
          .tunnel = {}};
      XLVS_RETURN_IF_ERROR(director.AddDest(key, dest));
      ShowProgress("add real servers", reals - i, reals);
    }
    return absl::OkStatus();
  };
  XLVS_RETURN_IF_ERROR(
      add(Scheduler::kRr, BENCH_PORT, BENCH_REALS, BENCH_REAL_COUNT));
  uint16_t port = kFirstSchedulerPort;
  for (const uint32_t reals : {29U, 1000U})
    for (const Scheduler scheduler :
         {Scheduler::kRr, Scheduler::kWrr, Scheduler::kLc, Scheduler::kWlc}) {
      XLVS_RETURN_IF_ERROR(add(scheduler, port, BENCH_REALS + 0x100, reals));
      schedulers_.push_back(
          {.scheduler = scheduler, .reals = reals, .port = port});
      ++port;
    }
  EndProgress();
  return absl::OkStatus();
}

void World::FreshenNexthops() {
  const uint32_t now = clock_[0].now_ticks;
  for (uint32_t id = 1; id < dests_.size(); ++id) {
    if (dests_[id].state != XLVS_DEST_available) continue;
    xlvs_nexthop& nexthop = dests_[id].nexthop;
    nexthop = {.ifindex = kLoopback,
               .fresh_ticks = now,
               .dmac = {},
               .smac = {},
               .mtu = 1500,
               .vlan = 0};
    std::memcpy(nexthop.dmac, kClientMac, ETH_ALEN);
    std::memcpy(nexthop.smac, kDirectorMac, ETH_ALEN);
  }
  for (uint32_t i = 1; i < nexthops_.size(); ++i)
    if (nexthops_[i].ifindex != 0) nexthops_[i].fresh_ticks = now;
}

void World::AdvanceClock() {
  StoreWord(clock_[0].now_ticks, clock_[0].now_ticks + XLVS_TICKS_PER_SECOND);
  FreshenNexthops();
}

void World::SetFlows(uint32_t flows) {
  for (Object* object : {bench_.get(), reference_.get(), stages_.get(),
                         layouts_.get(), against_.get()})
    if (object != nullptr) {
      object->traffic().flows = flows;
      object->traffic().in_order = 0;
    }
}

void World::SetVport(uint16_t port) {
  for (Object* object : {bench_.get(), reference_.get(), stages_.get(),
                         layouts_.get(), against_.get()})
    if (object != nullptr) object->traffic().vport = htons(port);
}

void World::SetInOrder(Object& object, uint32_t first) {
  object.traffic().runs = 0;
  object.traffic().first = first;
  object.traffic().in_order = 1;
}

absl::Status World::RunInOrder(const std::string& title, Object& object,
                               const std::string& program, uint8_t flags,
                               uint32_t first, uint32_t count) {
  constexpr uint32_t kAtOnce = 100'000;
  if (count == 0) return absl::OkStatus();
  SetInOrder(object, first);
  for (uint32_t done = 0; done < count; done += kAtOnce) {
    ShowProgress(title, done, count);
    XLVS_ASSIGN_OR_RETURN(const RunResult result,
                          Run(object.program(program), RequestFrame(0, flags),
                              std::min(kAtOnce, count - done)));
    if (result.action != XDP_TX)
      return absl::InternalError(absl::StrCat(
          title, ": ", program, " ends with XDP action ", result.action));
  }
  EndProgress();
  return absl::OkStatus();
}

absl::Status World::FillTo(uint32_t flows) {
  if (flows <= known_) return absl::OkStatus();
  const uint32_t count = flows - known_;
  XLVS_ASSIGN_OR_RETURN(const uint64_t made, ConnsMade());
  XLVS_ASSIGN_OR_RETURN(const uint64_t requests,
                        Ending(&xlvs_step_counters::tx_client_to_dest));
  XLVS_ASSIGN_OR_RETURN(const uint64_t replies,
                        Ending(&xlvs_step_counters::tx_dest_to_client));
  XLVS_RETURN_IF_ERROR(RunInOrder("make connections", *bench_,
                                  "bench_xlvs_request", kSyn, known_, count));
  XLVS_RETURN_IF_ERROR(RunInOrder("establish connections", *bench_,
                                  "bench_xlvs_request", kAck, known_, count));
  // The first reply asks the FIB for the way back.
  XLVS_RETURN_IF_ERROR(
      RunInOrder("replies", *bench_, "bench_xlvs_reply", kAck, known_, count));
  XLVS_ASSIGN_OR_RETURN(const uint64_t made_now, ConnsMade());
  XLVS_ASSIGN_OR_RETURN(const uint64_t requests_now,
                        Ending(&xlvs_step_counters::tx_client_to_dest));
  XLVS_ASSIGN_OR_RETURN(const uint64_t replies_now,
                        Ending(&xlvs_step_counters::tx_dest_to_client));
  if (made_now - made != count || requests_now - requests != 2 * count ||
      replies_now - replies != count)
    return absl::InternalError(
        absl::StrCat("of ", count, " connections ", made_now - made,
                     " were made, ", requests_now - requests, " requests and ",
                     replies_now - replies, " replies were sent on"));
  XLVS_RETURN_IF_ERROR(RunInOrder("connections of R", *reference_,
                                  "reference_new", kSyn, known_, count));
  if (layouts_) XLVS_RETURN_IF_ERROR(FillLayouts(known_, count));
  known_ = flows;
  FreshenNexthops();
  return absl::OkStatus();
}

absl::Status World::FillLayouts(uint32_t first, uint32_t count) {
  for (const char* program :
       {"layout_fill_entry", "layout_fill_tag", "layout_fill_hash"})
    XLVS_RETURN_IF_ERROR(
        RunInOrder(program, *layouts_, program, kAck, first, count));
  if (layouts_->traffic().failures != 0)
    return absl::InternalError(
        absl::StrCat(layouts_->traffic().failures, " of ", 3 * count,
                     " connections had no room in a layout"));
  return absl::OkStatus();
}

absl::Status World::Clear() {
  XLVS_RETURN_IF_ERROR(RunInOrder("forget connections of R", *reference_,
                                  "reference_forget", kAck, 0, known_));
  std::memset(&buckets_[0], 0, buckets_.size() * sizeof(xlvs_bucket));
  // Not mappable: it has locks.
  xlvs_head head = {};
  for (uint32_t i = 0; i < buckets_.size(); ++i) {
    if (bpf_map_update_elem(heads_fd_.get(), &i, &head, 0) != 0)
      return ErrnoStatus(errno, "write map entry");
  }
  std::vector<xlvs_counters> none(Cpus());
  for (uint32_t id = 0; id < dests_.size(); ++id) {
    loads_[id] = {};
    if (dests_[id].state == XLVS_DEST_available &&
        bpf_map_update_elem(counters_fd_.get(), &id, none.data(), 0) != 0)
      return ErrnoStatus(errno, "write map entry");
  }
  known_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> World::Ending(EndingField ending) const {
  std::vector<uint64_t> sums;
  XLVS_RETURN_IF_ERROR(SumWords(
      steps_fd_.get(), 0, sizeof(xlvs_step_counters) / sizeof(uint64_t), sums));
  xlvs_step_counters counters;
  std::memcpy(&counters, sums.data(), sizeof(counters));
  return counters.*ending;
}

absl::StatusOr<uint64_t> World::ConnsMade() const {
  uint64_t made = 0;
  for (uint32_t id = 1; id < dests_.size(); ++id) {
    if (dests_[id].state != XLVS_DEST_available) continue;
    std::vector<uint64_t> sums;
    XLVS_RETURN_IF_ERROR(SumWords(counters_fd_.get(), id,
                                  sizeof(xlvs_counters) / sizeof(uint64_t),
                                  sums));
    made += sums[0];
  }
  return made;
}

absl::StatusOr<uint64_t> World::ReferenceHits() const {
  uint64_t hits = 0;
  for (uint32_t dest = 0; dest < BENCH_REAL_COUNT; ++dest) {
    std::vector<uint64_t> sums;
    XLVS_RETURN_IF_ERROR(
        SumWords(reference_->map("reference_stats"), dest, 2, sums));
    hits += sums[0];
  }
  return hits;
}

absl::Status World::CheckShippedProgram(uint32_t flows) {
  constexpr uint32_t kSamples = 1000;
  for (uint32_t i = 0; i < std::min(kSamples, flows); ++i) {
    const uint32_t flow =
        static_cast<uint64_t>(i) * flows / std::min(kSamples, flows);
    const std::pair<Frame, Frame> wanted[] = {
        {RequestFrame(flow, kAck), MakeFrame({.saddr = ClientOf(flow),
                                              .daddr = RealOf(flow),
                                              .sport = ClientPortOf(flow),
                                              .dport = BENCH_PORT,
                                              .flags = kAck,
                                              .ttl = BENCH_TTL - 1,
                                              .from_director = true})},
        {ReplyFrame(flow), MakeFrame({.saddr = BENCH_VIP,
                                      .daddr = ClientOf(flow),
                                      .sport = BENCH_PORT,
                                      .dport = ClientPortOf(flow),
                                      .flags = kAck,
                                      .ttl = BENCH_TTL - 1,
                                      .from_director = true})}};
    for (const auto& [sent, expected] : wanted) {
      XLVS_ASSIGN_OR_RETURN(const RunResult result,
                            Run(shipped_.get(), sent, 1));
      if (result.action != XDP_TX || result.frame != expected)
        return absl::InternalError(
            absl::StrCat("flow ", flow, ": the shipped program ends with XDP ",
                         "action ", result.action, " or a wrong packet"));
    }
  }
  return absl::OkStatus();
}

}  // namespace xlvs::bench
