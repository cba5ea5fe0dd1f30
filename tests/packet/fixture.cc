// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/fixture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/sizes.h"
#include "maps/hash.h"

namespace xlvs {
namespace {

constexpr const char* kBpfFs = "/sys/fs/bpf";
constexpr size_t kFrameBytesMax = 12288;

cpu_set_t usable_cpus;  // before this thread chose one

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "packet tests: %s\n", what.c_str());
  std::exit(1);
}

void FailOnError(int result, const char* what) {
  if (result != 0) Fail(absl::StrCat(what, ": ", std::strerror(errno)));
}

void BringUpLoopback() {
  UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  FailOnError(ioctl(socket_fd.get(), SIOCGIFFLAGS, &request), "look at lo");
  request.ifr_flags |= IFF_UP;
  FailOnError(ioctl(socket_fd.get(), SIOCSIFFLAGS, &request), "bring up lo");
}

// Once a process.
void EnterOwnNamespaces() {
  if (geteuid() != 0) Fail("must run as root");
  FailOnError(unshare(CLONE_NEWNET | CLONE_NEWNS), "make namespaces");
  FailOnError(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
              "make mounts private");
  FailOnError(mount("bpf", kBpfFs, "bpf", 0, nullptr),
              "mount a BPF file system");
  BringUpLoopback();
  std::ofstream("/proc/sys/net/ipv4/ip_forward") << "0";
  FailOnError(sched_getaffinity(0, sizeof(usable_cpus), &usable_cpus),
              "ask for usable CPUs");
  // Budgets and counts are kept by CPU.
  PinToCpu(sched_getcpu());
}

const char* const kStepNames[] = {
#define XLVS_X(name, action, text) #name,
    XLVS_STEPS(XLVS_X)
#undef XLVS_X
        "(none)"};

constexpr uint32_t kStepActions[] = {
#define XLVS_X(name, action, text) XDP_##action,
    XLVS_STEPS(XLVS_X)
#undef XLVS_X
        XDP_ABORTED};

absl::Status WriteElement(int fd, uint32_t key, const void* value) {
  if (bpf_map_update_elem(fd, &key, value, 0) != 0)
    return ErrnoStatus(errno, "write map entry");
  return absl::OkStatus();
}

// All of an array's elements become zero.
void Blank(const Instance& instance, const std::string& pin) {
  const UniqueFd fd = Must(instance.OpenPin(pin));
  bpf_map_info info = {};
  uint32_t info_bytes = sizeof(info);
  FailOnError(bpf_obj_get_info_by_fd(fd.get(), &info, &info_bytes), "map info");
  const bool per_cpu = info.type == BPF_MAP_TYPE_PERCPU_ARRAY;
  const Bytes zero(((info.value_size + 7) & ~7U) *
                   (per_cpu ? libbpf_num_possible_cpus() : 1));
  for (uint32_t i = 0; i < info.max_entries; ++i)
    Must(WriteElement(fd.get(), i, zero.data()));
}

void BlankHash(const Instance& instance, const std::string& pin) {
  const UniqueFd fd = Must(instance.OpenPin(pin));
  char key[64];
  while (bpf_map_get_next_key(fd.get(), nullptr, key) == 0)
    bpf_map_delete_elem(fd.get(), key);
}

DestKey KeyOf(Endpoint dest) {
  return {.daddr = ToIpAddr(dest.addr), .dport = dest.port};
}

}  // namespace

IpAddr ToIpAddr(const Addr& addr) {
  if (addr.family == Family::kV4) return IpAddr::FromV4(addr.v4());
  xlvs_addr raw;
  std::copy(addr.byte.begin(), addr.byte.end(), raw.byte);
  return IpAddr(raw);
}

std::string StepName(xlvs_step step) {
  return kStepNames[std::min<uint32_t>(step, XLVS_STEP_max)];
}

uint32_t StepAction(xlvs_step step) {
  return kStepActions[std::min<uint32_t>(step, XLVS_STEP_max)];
}

void Must(const absl::Status& status) {
  if (!status.ok()) Fail(status.ToString());
}

void MustRun(const std::string& command) {
  if (std::system(command.c_str()) != 0)
    Fail(absl::StrCat("this failed: ", command));
}

void PinToCpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  FailOnError(sched_setaffinity(0, sizeof(set), &set), "choose a CPU");
}

std::vector<int> UsableCpus() {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &usable_cpus)) cpus.push_back(cpu);
  return cpus;
}

uint32_t MonotonicTicks() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec) /
         XLVS_TICK_NS;
}

// ---- the bench

Bench::Bench(const AttachOptions& options) : instance_("") {
  static const bool namespaces = (EnterOwnNamespaces(), true);
  (void)namespaces;
  CaptureLibbpfLog();
  static int made = 0;
  instance_ = Instance(absl::StrCat("xlvs-test-", getpid(), "-", made++));
  const Sizes sizes = Must(ComputeSizes(options, libbpf_num_possible_cpus()));
  if (const absl::Status status = instance_.Create(sizes); !status.ok())
    Fail(absl::StrCat(status.ToString(), "\n", LibbpfLog()));
  OpenMaps();
}

Bench::~Bench() {
  Must(instance_.Remove());
}

void Bench::OpenMaps() {
  meta_ = Must(instance_.CheckedMeta());
  program_ = Must(instance_.OpenPin("program"));
  steps_fd_ = Must(instance_.OpenPin("steps"));
  heads_fd_ = Must(instance_.OpenPin("heads"));
  counters_fd_ = Must(instance_.OpenPin("counters"));
  conns = Must(instance_.MapArray<xlvs_bucket>("conns", true));
  pools = Must(instance_.MapArray<xlvs_pool>("pools", true));
  dests = Must(instance_.MapArray<xlvs_dest>("dests", true));
  loads = Must(instance_.MapArray<xlvs_load>("loads", true));
  nexthops = Must(instance_.MapArray<xlvs_nexthop>("nexthops", true));
  vlans = Must(instance_.MapArray<xlvs_vlan>("vlans", true));
  clock = Must(instance_.MapArray<xlvs_clock>("clock", true));
  control = Must(instance_.MapArray<xlvs_control>("control", true));
  /* Tables here are small; who tests the bounds sets them. */
  control[0].set.embryonic_max = control[0].set.service_embryonic_max =
      INT32_MAX;
  fresh_control_ = control[0];
  config_ = Must(MapDirector::Open(instance_, /*for_writing=*/true, {}));
}

void Bench::Reset() {
  for (const char* pin :
       {"pools", "slots", "dests", "counters", "loads", "rates", "conns",
        "heads", "locals", "filter", "nexthops", "vlans", "clock", "steps",
        "icmp", "marks", "vaddrs", "flood", "lblc"})
    Blank(instance_, pin);
  for (const char* pin : {"services", "devices", "fragments", "links", "wide"})
    BlankHash(instance_, pin);
  control[0] = fresh_control_;
  config_ = Must(MapDirector::Open(instance_, /*for_writing=*/true, {}));
}

void Bench::SetNow(uint32_t ticks) {
  clock[0].now_ticks = ticks;
  for (uint32_t id = 1; id < dests.size(); ++id)
    if (dests[id].nexthop.ifindex != 0) dests[id].nexthop.fresh_ticks = ticks;
}

ServiceKey Bench::AddService(Endpoint vip, Protocol protocol,
                             Scheduler scheduler) {
  const ServiceKey key = {
      .vaddr = ToIpAddr(vip.addr), .vport = vip.port, .protocol = protocol};
  Must(config().AddService({.key = key, .scheduler = scheduler}));
  return key;
}

uint32_t Bench::AddDest(const ServiceKey& service, Endpoint dest,
                        const Hop& hop, uint32_t weight,
                        const Forwarding& forwarding) {
  Must(config().AddDest(service, {.key = KeyOf(dest),
                                  .method = forwarding.method,
                                  .weight = weight,
                                  .tunnel = forwarding.tunnel}));
  for (uint32_t id = 1; id < dests.size(); ++id) {
    const xlvs_dest& record = dests[id];
    if (record.state != XLVS_DEST_available || record.vport != service.vport ||
        record.dport != dest.port ||
        record.l4_proto != static_cast<uint8_t>(service.protocol) ||
        IpAddr(record.vaddr) != service.vaddr ||
        IpAddr(record.daddr) != ToIpAddr(dest.addr))
      continue;
    SetHop(id, hop);
    return id;
  }
  Fail("the dest just added is not in the map");
}

void Bench::EditWeight(const ServiceKey& service, Endpoint dest,
                       uint32_t weight) {
  Must(config().EditDest(service, {.key = KeyOf(dest),
                                   .method = Method::kMasq,
                                   .weight = weight,
                                   .tunnel = {}}));
}

void Bench::DeleteDest(const ServiceKey& service, Endpoint dest) {
  Must(config().DeleteDest(service, KeyOf(dest)));
}

void Bench::SetHop(uint32_t dest, const Hop& hop) {
  xlvs_nexthop& nexthop = dests[dest].nexthop;
  nexthop.ifindex = hop.ifindex;
  nexthop.fresh_ticks = now();
  std::memcpy(nexthop.dmac, hop.dmac.data(), hop.dmac.size());
  std::memcpy(nexthop.smac, hop.smac.data(), hop.smac.size());
  nexthop.mtu = hop.mtu;
  nexthop.vlan = InternVlans(hop.vlans);
}

void Bench::SetTunnelSource(uint32_t dest, const Addr& saddr) {
  dests[dest].tunnel_saddr = ToIpAddr(saddr).raw();
}

uint16_t Bench::InternVlans(const std::vector<VlanTag>& tags) {
  if (tags.empty()) return 0;
  xlvs_vlan entry = {.tag = {}, .taken = 1, .ready = 1};
  for (size_t i = 0; i < tags.size(); ++i)
    entry.tag[i] = {.tpid = tags[i].tpid, .tci = tags[i].tci};
  // From the end, away from where few tags of packets hash to.
  for (uint32_t index = vlans.size() - 1; index > 0; --index) {
    if (!vlans[index].taken) vlans[index] = entry;
    if (std::memcmp(&vlans[index], &entry, sizeof(entry)) == 0) return index;
  }
  Fail("no room for VLAN tags");
}

void Bench::AllowDevice(uint32_t ifindex) {
  const UniqueFd devices = Must(instance_.OpenPin("devices"));
  Must(WriteElement(devices.get(), ifindex, &ifindex));
}

int Bench::RunWith(std::span<const uint8_t> in, uint32_t meta_bytes,
                   Outcome* outcome) const {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = in.data();
  options.data_size_in = in.size();
  options.repeat = 1;
  xdp_md context = {};
  context.data = meta_bytes;
  context.data_end = in.size();
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  if (outcome != nullptr) {
    options.ctx_out = &context;
    options.ctx_size_out = sizeof(context);
    outcome->out.resize(kFrameBytesMax);
    options.data_out = outcome->out.data();
    options.data_size_out = outcome->out.size();
  }
  if (const int error = bpf_prog_test_run_opts(program_.get(), &options);
      error != 0)
    return error;
  if (outcome != nullptr) {
    // What comes out begins with the metadata.
    Bytes& out = outcome->out;
    out.resize(options.data_size_out);
    const auto frame = out.begin() + context.data;
    outcome->metadata.assign(out.begin(), frame);
    out.erase(out.begin(), frame);
  }
  return static_cast<int>(options.retval);
}

int Bench::RunUncounted(std::span<const uint8_t> in, Bytes* out) const {
  if (out == nullptr) return RunWith(in, 0, nullptr);
  Outcome outcome;
  const int action = RunWith(in, 0, &outcome);
  *out = std::move(outcome.out);
  return action;
}

Sums Bench::Steps() const {
  std::vector<xlvs_step_counters> by_cpu(meta_.config.cpus);
  const uint32_t zero = 0;
  FailOnError(bpf_map_lookup_elem(steps_fd_.get(), &zero, by_cpu.data()),
              "read steps");
  Sums sums;
  for (const xlvs_step_counters& counters : by_cpu) {
    sums.rx += counters.rx;
    int step = 0;
#define XLVS_X(name, action, text) sums.endings[step++] += counters.name;
    XLVS_STEPS(XLVS_X)
#undef XLVS_X
  }
  return sums;
}

Outcome Bench::Run(std::span<const uint8_t> in) {
  return RunCounted(in, 0);
}

Outcome Bench::RunWithMetadata(std::span<const uint8_t> in,
                               uint32_t meta_bytes) {
  Bytes with_metadata(meta_bytes);
  with_metadata.insert(with_metadata.end(), in.begin(), in.end());
  return RunCounted(with_metadata, meta_bytes);
}

bool Bench::TakesMetadata(uint32_t meta_bytes) {
  Outcome outcome;
  return RunWith(Bytes(meta_bytes + 64), meta_bytes, &outcome) >= 0;
}

Outcome Bench::RunCounted(std::span<const uint8_t> in, uint32_t meta_bytes) {
  Outcome outcome;
  const Sums before = Steps();
  const int action = RunWith(in, meta_bytes, &outcome);
  const Sums after = Steps();
  if (action < 0) {
    ADD_FAILURE() << "the kernel refused the packet: "
                  << std::strerror(-action);
    return outcome;
  }
  EXPECT_EQ(after.rx - before.rx, 1u) << "counted as received";
  for (uint32_t step = 0; step < XLVS_STEP_max; ++step) {
    const uint64_t rose = after.endings[step] - before.endings[step];
    if (rose == 0) continue;
    EXPECT_EQ(rose, 1u) << StepName(static_cast<xlvs_step>(step));
    EXPECT_EQ(outcome.step, XLVS_STEP_max)
        << "counted both as " << StepName(outcome.step) << " and as "
        << StepName(static_cast<xlvs_step>(step));
    outcome.step = static_cast<xlvs_step>(step);
  }
  EXPECT_NE(outcome.step, XLVS_STEP_max) << "counted as no ending";
  if (outcome.step != XLVS_STEP_max) SeenEndings().set(outcome.step);
  EXPECT_EQ(static_cast<uint32_t>(action), StepAction(outcome.step))
      << "XDP action of " << StepName(outcome.step);
  return outcome;
}

std::bitset<XLVS_STEP_max>& Bench::SeenEndings() {
  static std::bitset<XLVS_STEP_max> seen;
  return seen;
}

std::vector<Record> Bench::Records() const {
  std::vector<Record> records;
  for (uint32_t bucket = 0; bucket < conns.size(); ++bucket)
    for (uint32_t slot = 0; slot < XLVS_CONNS_PER_BUCKET; ++slot) {
      const xlvs_conn& conn = conns[bucket].conn[slot];
      if (conn.life.state != XLVS_CONN_free)
        records.push_back({bucket, slot, conn});
    }
  return records;
}

std::vector<xlvs_head> Bench::Heads() const {
  std::vector<xlvs_head> heads(conns.size());
  for (uint32_t i = 0; i < heads.size(); ++i)
    FailOnError(bpf_map_lookup_elem(heads_fd_.get(), &i, &heads[i]),
                "read heads");
  return heads;
}

uint32_t Bench::SpilledTotal() const {
  uint32_t total = 0;
  for (const xlvs_head& head : Heads())
    for (const uint8_t spilled : head.spilled) total += spilled;
  return total;
}

void Bench::ExpectHeadsTrue() const {
  const std::vector<xlvs_head> heads = Heads();
  std::vector<std::array<int, XLVS_GROUPS_PER_BUCKET>> spilled(heads.size());
  for (const Record& record : Records()) {
    const xlvs_conn& conn = record.conn;
    const uint32_t protocol =
        dests[conn.ports.dest & XLVS_CONN_DEST_MASK].l4_proto;
    // As maps/conn.h and bpf/lib/place.h have it.
    const uint64_t hash = xlvs_hash(
        &conn.caddr, conn.ports.cport | protocol << 16, meta_.config.hash_key);
    const uint64_t group =
        hash * (uint64_t{meta_.config.buckets} * XLVS_GROUPS_PER_BUCKET) >> 32;
    EXPECT_EQ(group / XLVS_GROUPS_PER_BUCKET, record.bucket);
    const uint32_t home = group % XLVS_GROUPS_PER_BUCKET;
    if (home != record.slot / XLVS_CONNS_PER_GROUP)
      ++spilled[record.bucket][home];
    const uint32_t due = heads[record.bucket].next_due_ticks;
    EXPECT_GE(static_cast<int32_t>(conn.life.expires_ticks - due), 0)
        << "bucket " << record.bucket << " is looked at from " << due
        << " on, but slot " << record.slot << " is due at "
        << conn.life.expires_ticks;
  }
  for (size_t bucket = 0; bucket < heads.size(); ++bucket) {
    EXPECT_EQ(heads[bucket].inserts % 2, 0u) << "somebody writes to " << bucket;
    for (int group = 0; group < XLVS_GROUPS_PER_BUCKET; ++group)
      EXPECT_EQ(heads[bucket].spilled[group], spilled[bucket][group])
          << "spilled of bucket " << bucket << ", group " << group;
  }
}

void Bench::ExpectAllCounted() const {
  const Sums sums = Steps();
  uint64_t ended = 0;
  for (const uint64_t count : sums.endings) ended += count;
  EXPECT_EQ(sums.rx, ended);
}

xlvs_conn* Bench::Find(Endpoint client, Endpoint service, Protocol protocol) {
  const IpAddr caddr = ToIpAddr(client.addr);
  for (uint32_t bucket = 0; bucket < conns.size(); ++bucket)
    for (xlvs_conn& conn : conns[bucket].conn) {
      if (conn.life.state == XLVS_CONN_free ||
          static_cast<int32_t>(conn.life.expires_ticks - now()) <= 0 ||
          IpAddr(conn.caddr) != caddr || conn.ports.cport != client.port ||
          conn.ports.vport != service.port)
        continue;
      const xlvs_dest& dest = dests[conn.ports.dest & XLVS_CONN_DEST_MASK];
      if (dest.l4_proto == static_cast<uint8_t>(protocol) &&
          IpAddr(dest.vaddr) == ToIpAddr(service.addr))
        return &conn;
    }
  return nullptr;
}

std::vector<xlvs_counters> Bench::CountersByCpu(uint32_t dest) const {
  std::vector<xlvs_counters> by_cpu(meta_.config.cpus);
  FailOnError(bpf_map_lookup_elem(counters_fd_.get(), &dest, by_cpu.data()),
              "read counters");
  return by_cpu;
}

xlvs_counters Bench::CountersOf(uint32_t dest) const {
  xlvs_counters sum = {};
  for (const xlvs_counters& counters : CountersByCpu(dest)) {
    sum.conns += counters.conns;
    sum.in_packets += counters.in_packets;
    sum.out_packets += counters.out_packets;
    sum.in_bytes += counters.in_bytes;
    sum.out_bytes += counters.out_bytes;
    sum.active += counters.active;
    sum.inactive += counters.inactive;
    sum.persistent += counters.persistent;
    sum.untold_active += counters.untold_active;
    sum.untold_inactive += counters.untold_inactive;
  }
  return sum;
}

std::string Bench::Counts(uint32_t dest) const {
  const xlvs_counters sum = CountersOf(dest);
  EXPECT_EQ(sum.active, loads[dest].active) << "shared total";
  EXPECT_EQ(sum.inactive, loads[dest].inactive) << "shared total";
  return absl::StrCat(sum.active, "/", sum.inactive);
}

namespace {

Bench& SharedBench() {
  static Bench bench;
  return bench;
}

}  // namespace

PacketTest::PacketTest() : bench(SharedBench()) {
  bench.Reset();
  bench.SetNow(kStart);
}

}  // namespace xlvs
