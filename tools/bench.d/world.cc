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
constexpr uint16_t kFirstTargetPort = 8000;
// Of the director: where tunnels begin.
constexpr uint32_t kTunnelSource = 0xc0a80101;
constexpr uint16_t kGuePort = 6080;

constexpr uint32_t kMaxWeight = 65'535;

// Nobody is asked: the same on every machine.
absl::StatusOr<Route> RouteTo(const IpAddr& to) {
  return Route{
      .type = RouteType::kUnicast,
      .source = AddrOf({.is_v6 = !to.is_v4()}, BENCH_REAL_NET, kTunnelSource)};
}

uint32_t Cpus() {
  const int cpus = libbpf_num_possible_cpus();
  return cpus > 0 ? cpus : 1;
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

}  // namespace

std::string Target::request_program() const {
  return absl::StrCat(
      method == Method::kTunnel ? "bench_xlvs_tunnel_" : "bench_xlvs_request_",
      form.name());
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
  attach.conns = options.conns;
  attach.dests = options.dests;
  XLVS_ASSIGN_OR_RETURN(const Sizes sizes, ComputeSizes(attach, Cpus()));
  XLVS_RETURN_IF_ERROR(instance.Create(sizes));
  const absl::Cleanup remove = [&] { (void)instance.Remove(); };

  XLVS_ASSIGN_OR_RETURN(world->meta_, instance.CheckedMeta());
  XLVS_ASSIGN_OR_RETURN(world->shipped_, instance.OpenPin("program"));
  XLVS_ASSIGN_OR_RETURN(world->programs_fd_, instance.OpenPin("programs"));
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
  XLVS_ASSIGN_OR_RETURN(world->flood_,
                        instance.MapArray<xlvs_flood>("flood", true));
  XLVS_ASSIGN_OR_RETURN(world->director_,
                        MapDirector::Open(instance, /*for_writing=*/true,
                                          std::move(lock), RouteTo));
  // All connections begin at once here: no flood.
  for (const char* bound : {"embryonic_max", "service_embryonic_max"})
    XLVS_RETURN_IF_ERROR(world->director_->Set(bound, INT32_MAX));
  XLVS_RETURN_IF_ERROR(world->LoadObjects(options, instance));
  StoreWord(world->clock_[0].now_ticks, kFirstTick);
  for (Object* object :
       {world->bench_.get(), world->reference_.get(), world->stages_.get(),
        world->layouts_.get(), world->against_.get()})
    if (object != nullptr) object->traffic().vport = htons(BENCH_PORT);
  return world;
}

absl::Status World::LoadObjects(const Options& options,
                                const Instance& instance) {
  const LoadOptions beside = {
      .instance = &instance,
      .map_entries = {},
      .constants = {{"xlvs_cfg", RawBytes(meta_.config)}},
      .form = options.form};
  const auto load = [](absl::string_view name, absl::string_view elf,
                       const LoadOptions& how,
                       std::unique_ptr<Object>& to) -> absl::Status {
    XLVS_ASSIGN_OR_RETURN(Object object, Object::Load(name, elf, how));
    to = std::make_unique<Object>(std::move(object));
    return absl::OkStatus();
  };
  XLVS_RETURN_IF_ERROR(
      load("bench", Elf(xlvs_bench__elf_bytes), beside, bench_));
  XLVS_RETURN_IF_ERROR(
      load("reference", Elf(xlvs_reference__elf_bytes),
           {.instance = nullptr,
            .map_entries = {{"reference_conns", options.conns}},
            .constants = {},
            .form = {}},
           reference_));
  if (options.stages)
    XLVS_RETURN_IF_ERROR(
        load("stages", Elf(xlvs_stages__elf_bytes), beside, stages_));
  if (options.layouts) {
    // As full as the table of records: 28 of 64.
    const uint64_t slots = static_cast<uint64_t>(options.conns) *
                           XLVS_CONNS_PER_BUCKET /
                           XLVS_CONNS_PER_BUCKET_PLANNED;
    const uint32_t lines = slots / 4;
    const uint32_t tags = slots / 8;
    LoadOptions sized = beside;
    sized.map_entries = {{"layout_lines", lines},
                         {"layout_tags", tags},
                         {"layout_hash", options.conns}};
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

absl::StatusOr<Target*> World::AddTarget(Target target) {
  target.port =
      targets_.empty() ? BENCH_PORT : kFirstTargetPort + targets_.size();
  const ServiceKey key = {.vaddr = Vip(target.form),
                          .vport = target.port,
                          .protocol = target.form.protocol};
  XLVS_RETURN_IF_ERROR(
      director_->AddService({.key = key, .scheduler = target.scheduler}));
  // What is not rewritten goes to the service's own port.
  uint16_t dport = target.port;
  if (target.method == Method::kMasq) dport = BENCH_PORT;
  director_->BeginBatch();
  // The list begins with the dest that was added last: so the first flow
  // goes to the first real server. Where a server takes only as many
  // connections as its weight says, they are to have room.
  for (uint32_t i = target.reals; i-- > 0;) {
    const Dest dest = {
        .key = {.daddr =
                    AddrOf(target.form, BENCH_REAL_NET, target.first_real + i),
                .dport = dport},
        .method = target.method,
        .weight = target.scheduler == Scheduler::kOvf ? kMaxWeight - i
                                                      : 1 + i * 7 % 10,
        .tunnel = {.type = target.tunnel, .port = kGuePort}};
    XLVS_RETURN_IF_ERROR(director_->AddDest(key, dest));
    ShowProgress("add real servers", target.reals - i, target.reals);
  }
  XLVS_RETURN_IF_ERROR(director_->EndBatch());
  EndProgress();
  for (uint32_t id = 1; id < dests_.size(); ++id) {
    const xlvs_dest& dest = dests_[id];
    if (dest.state != XLVS_DEST_available || dest.vport != target.port)
      continue;
    target.dests.push_back(id);
    target.service = dest.service;
  }
  FreshenNexthops();
  targets_.push_back(std::move(target));
  return &targets_.back();
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

void World::SetTarget(const Target& target) {
  for (Object* object : {bench_.get(), against_.get()})
    if (object != nullptr) object->traffic().vport = htons(target.port);
}

void World::SetInOrder(Object& object, uint32_t first) {
  object.traffic().runs = 0;
  object.traffic().first = first;
  object.traffic().in_order = 1;
}

absl::Status World::RunInOrder(const std::string& title, Object& object,
                               const std::string& program, const Frame& frame,
                               uint32_t first, uint32_t count) {
  constexpr uint32_t kAtOnce = 100'000;
  SetInOrder(object, first);
  for (uint32_t done = 0; done < count; done += kAtOnce) {
    ShowProgress(title, done, count);
    XLVS_ASSIGN_OR_RETURN(
        const RunResult result,
        Run(object.program(program), frame, std::min(kAtOnce, count - done)));
    if (result.action != XDP_TX)
      return absl::InternalError(absl::StrCat(
          title, ": ", program, " ends with XDP action ", result.action));
  }
  EndProgress();
  return absl::OkStatus();
}

absl::Status World::Begin(const Target& target, uint32_t first,
                          uint32_t flows) {
  SetTarget(target);
  return RunInOrder("make connections", *bench_, target.request_program(),
                    MakeFrame(Request(target.form, 0, target.port, kSyn)),
                    first, flows);
}

absl::Status World::Establish(const Target& target, uint32_t first,
                              uint32_t flows) {
  XLVS_RETURN_IF_ERROR(Begin(target, first, flows));
  return RunInOrder("establish connections", *bench_, target.request_program(),
                    MakeFrame(Request(target.form, 0, target.port, kAck)),
                    first, flows);
}

absl::Status World::FillTo(Target& target, uint32_t flows) {
  if (flows <= target.known) return absl::OkStatus();
  const uint32_t first = target.known, count = flows - first;
  const bool has_replies = target.method == Method::kMasq;
  const uint64_t replies = has_replies ? count : 0;
  struct Counts {
    uint64_t made, requests, replies;
  };
  const auto read = [&](Counts& ret) -> absl::Status {
    XLVS_ASSIGN_OR_RETURN(ret.made, ConnsMade(target));
    XLVS_ASSIGN_OR_RETURN(ret.requests,
                          Ending(&xlvs_step_counters::tx_client_to_dest));
    XLVS_ASSIGN_OR_RETURN(ret.replies,
                          Ending(&xlvs_step_counters::tx_dest_to_client));
    return absl::OkStatus();
  };
  Counts before, after;
  XLVS_RETURN_IF_ERROR(read(before));
  XLVS_RETURN_IF_ERROR(Establish(target, first, count));
  // The first reply asks the FIB for the way back.
  if (has_replies)
    XLVS_RETURN_IF_ERROR(
        RunInOrder("replies", *bench_,
                   absl::StrCat("bench_xlvs_reply_", target.form.name()),
                   MakeFrame(Reply(target.form, 0)), first, count));
  XLVS_RETURN_IF_ERROR(read(after));
  if (after.made - before.made != count ||
      after.requests - before.requests != 2 * count ||
      after.replies - before.replies != replies)
    return absl::InternalError(absl::StrCat(
        "of ", count, " connections ", after.made - before.made, " were made, ",
        after.requests - before.requests, " requests and ",
        after.replies - before.replies, " replies were sent on"));
  target.known = flows;
  FreshenNexthops();
  return absl::OkStatus();
}

absl::Status World::FillReferenceTo(uint32_t flows) {
  if (flows <= reference_known_) return absl::OkStatus();
  const uint32_t first = reference_known_, count = flows - first;
  XLVS_RETURN_IF_ERROR(
      RunInOrder("connections of R", *reference_, "reference_new",
                 MakeFrame(Request({}, 0, BENCH_PORT, kSyn)), first, count));
  if (layouts_) XLVS_RETURN_IF_ERROR(FillLayouts(first, count));
  reference_known_ = flows;
  return absl::OkStatus();
}

absl::Status World::FillLayouts(uint32_t first, uint32_t count) {
  for (const char* program :
       {"layout_fill_entry", "layout_fill_tag", "layout_fill_hash"})
    XLVS_RETURN_IF_ERROR(RunInOrder(program, *layouts_, program,
                                    MakeFrame(Request({}, 0, BENCH_PORT, kAck)),
                                    first, count));
  if (layouts_->traffic().failures != 0)
    return absl::InternalError(
        absl::StrCat(layouts_->traffic().failures, " of ", 3 * count,
                     " connections had no room in a layout"));
  return absl::OkStatus();
}

absl::Status World::ClearReference() {
  XLVS_RETURN_IF_ERROR(RunInOrder(
      "forget connections of R", *reference_, "reference_forget",
      MakeFrame(Request({}, 0, BENCH_PORT, kAck)), 0, reference_known_));
  reference_known_ = 0;
  return absl::OkStatus();
}

absl::Status World::Clear() {
  std::memset(&buckets_[0], 0, buckets_.size() * sizeof(xlvs_bucket));
  // Not mappable: it has locks.
  xlvs_head head = {};
  for (uint32_t i = 0; i < buckets_.size(); ++i) {
    if (bpf_map_update_elem(heads_fd_.get(), &i, &head, 0) != 0)
      return ErrnoStatus(errno, "write map entry");
  }
  const std::vector<xlvs_counters> none(Cpus());
  for (Target& target : targets_) {
    for (const uint32_t id : target.dests) {
      loads_[id] = {};
      if (bpf_map_update_elem(counters_fd_.get(), &id, none.data(), 0) != 0)
        return ErrnoStatus(errno, "write map entry");
    }
    pools_[target.service].embryonic = 0;
    pools_[target.service].position = {.last = XLVS_BEFORE_HEAD,
                                       .threshold = 0};
    target.known = 0;
  }
  flood_[0] = {};
  return absl::OkStatus();
}

uint32_t World::LiveConns() const {
  const uint32_t now = clock_[0].now_ticks;
  uint32_t live = 0;
  for (size_t i = 0; i < buckets_.size(); ++i)
    for (const xlvs_conn& conn : buckets_[i].conn)
      live += conn.life.state != XLVS_CONN_free &&
              static_cast<int32_t>(conn.life.expires_ticks - now) > 0;
  return live;
}

absl::StatusOr<uint64_t> World::Ending(EndingField ending) const {
  std::vector<uint64_t> sums;
  XLVS_RETURN_IF_ERROR(SumWords(
      steps_fd_.get(), 0, sizeof(xlvs_step_counters) / sizeof(uint64_t), sums));
  xlvs_step_counters counters;
  std::memcpy(&counters, sums.data(), sizeof(counters));
  return counters.*ending;
}

absl::StatusOr<uint64_t> World::ConnsMade(const Target& target) const {
  uint64_t made = 0;
  std::vector<uint64_t> sums;
  for (const uint32_t id : target.dests) {
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

absl::Status World::CheckShippedProgram(const Target& target) {
  const uint32_t samples = std::min(1'000U, target.known);
  const auto check = [&](FrameSpec sent, const FrameSpec& inner,
                         const Frame& outer) -> absl::Status {
    XLVS_ASSIGN_OR_RETURN(const RunResult result,
                          Run(shipped_.get(), MakeFrame(sent), 1));
    Frame expected = MakeFrame(inner);
    if (!outer.empty())
      expected.erase(expected.begin(), expected.begin() + ETH_HLEN);
    Frame got = result.frame;
    // Of a tunnel's header the addresses: what else is in it, tests say.
    const bool is_outer_right =
        outer.empty() ||
        (got.size() > expected.size() &&
         std::search(got.begin(), got.end() - expected.size(), outer.begin(),
                     outer.end()) != got.end() - expected.size());
    if (!outer.empty() && got.size() > expected.size())
      got.erase(got.begin(), got.end() - expected.size());
    if (result.action != XDP_TX || !is_outer_right || got != expected)
      return absl::InternalError(absl::StrCat(
          "to port ", target.port, ": the shipped program ends with XDP ",
          "action ", result.action, " or a wrong packet"));
    return absl::OkStatus();
  };
  for (uint32_t i = 0; i < samples; ++i) {
    const uint32_t flow = static_cast<uint64_t>(i) * target.known / samples;
    const FrameSpec request = Request(target.form, flow, target.port, kAck);
    FrameSpec sent_on = request;
    sent_on.ttl = BENCH_TTL - 1;
    sent_on.from_director = true;
    Frame outer;
    if (target.method == Method::kTunnel) {
      // The tunnel's source, then the real server.
      const IpAddr source = AddrOf(target.form, BENCH_REAL_NET, kTunnelSource);
      const IpAddr real = Real(target.form, flow);
      for (const IpAddr& addr : {source, real})
        outer.insert(outer.end(),
                     addr.raw().byte + (target.form.is_v6 ? 0 : 12),
                     addr.raw().byte + 16);
    } else if (target.method == Method::kMasq) {
      sent_on.daddr = Real(target.form, flow);
      sent_on.dport = BENCH_PORT;
      FrameSpec back = Reply(target.form, flow);
      const FrameSpec reply = back;
      back.saddr = Vip(target.form);
      back.sport = target.port;
      back.ttl = BENCH_TTL - 1;
      back.from_director = true;
      XLVS_RETURN_IF_ERROR(check(reply, back, {}));
    }
    XLVS_RETURN_IF_ERROR(check(request, sent_on, outer));
  }
  return absl::OkStatus();
}

}  // namespace xlvs::bench
