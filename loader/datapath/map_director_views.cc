// SPDX-License-Identifier: Apache-2.0
//
// The part of MapDirector that counts, lists and sets timeouts.
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "loader/datapath/counters.h"
#include "loader/datapath/map_director.h"
#include "loader/datapath/persist_mask.h"
#include "loader/datapath/settings.h"
#include "loader/datapath/templates.h"
#include "loader/datapath/vaddrs.h"

namespace xlvs {
namespace {

constexpr const char* kStateNames[XLVS_CONN_STATE_SLOTS] = {
    "", "NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK", "UDP",
    // SCTP's, from XLVS_CONN_sctp_none.
    "NONE", "INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE",
    "C-ECHOED", "ESTABLISHED", "S-SENT", "S-RECEIVED", "S-ACK-SENT", "REJECTED",
    "CLOSED",
    // Of templates.
    "NONE", "ASSURED"};

constexpr uint32_t kSchedFlags =
    XLVS_SERVICE_sched_1 | XLVS_SERVICE_sched_2 | XLVS_SERVICE_sched_3;

Tunnel TunnelOf(const xlvs_dest& dest) {
  return {.type = static_cast<TunnelType>(dest.tunnel_type),
          .port = dest.tunnel_port,
          .checksum = static_cast<TunnelChecksum>(dest.tunnel_flags)};
}

}  // namespace

// ---- counters

namespace {

xlvs_counters SumOf(std::span<const xlvs_counters> by_cpu) {
  xlvs_counters sum = {};
  for (const xlvs_counters& cpu : by_cpu) {
    sum.conns += cpu.conns;
    sum.in_packets += cpu.in_packets;
    sum.out_packets += cpu.out_packets;
    sum.in_bytes += cpu.in_bytes;
    sum.out_bytes += cpu.out_bytes;
    sum.active += cpu.active;
    sum.inactive += cpu.inactive;
    sum.persistent += cpu.persistent;
    sum.embryonic += cpu.embryonic;
  }
  return sum;
}

// Of the first `count` dests; fewer if the kernel does not say more.
std::vector<xlvs_counters> ReadSums(int map_fd, uint32_t count, uint32_t cpus) {
  constexpr uint32_t kAtOnce = 1024;
  std::vector<uint32_t> ids(kAtOnce);
  std::vector<xlvs_counters> by_cpu(size_t{kAtOnce} * cpus);
  std::vector<xlvs_counters> sums;
  sums.reserve(count);
  uint32_t last = 0;
  while (sums.size() < count) {
    uint32_t read = kAtOnce;
    const int error =
        bpf_map_lookup_batch(map_fd, sums.empty() ? nullptr : &last, &last,
                             ids.data(), by_cpu.data(), &read, nullptr);
    if (error != 0 && errno != ENOENT) break;
    for (uint32_t i = 0; i < read; ++i)
      sums.push_back(SumOf({&by_cpu[size_t{i} * cpus], cpus}));
    if (error != 0 || read == 0) break;
  }
  return sums;
}

}  // namespace

xlvs_counters MapDirector::SumOverCpus(uint32_t dest) const {
  std::vector<xlvs_counters> by_cpu(meta_.config.cpus);
  if (bpf_map_lookup_elem(counters_fd_.get(), &dest, by_cpu.data()) != 0)
    return {};
  return SumOf(by_cpu);
}

MapDirector::Sums::Sums(const MapDirector& director, size_t wanted)
    : director_(director) {
  // All cost as much as a sixteenth of them one by one.
  if (wanted > director.dests_.size() / 16)
    all_ = ReadSums(director.counters_fd_.get(), director.dests_.size(),
                    director.meta_.config.cpus);
}

xlvs_counters MapDirector::Sums::operator[](uint32_t dest) const {
  return dest < all_.size() ? all_[dest] : director_.SumOverCpus(dest);
}

void MapDirector::ClearCounters(uint32_t dest) {
  const std::vector<xlvs_counters> zero(meta_.config.cpus);
  (void)bpf_map_update_elem(counters_fd_.get(), &dest, zero.data(), 0);
}

void MapDirector::ZeroDest(uint32_t id, const xlvs_counters& sum) {
  xlvs_dest& dest = dests_[id];
  dest.zero_conns = sum.conns;
  dest.zero_in_packets = sum.in_packets;
  dest.zero_out_packets = sum.out_packets;
  dest.zero_in_bytes = sum.in_bytes;
  dest.zero_out_bytes = sum.out_bytes;
  xlvs_rate& rate = rates_[id];
  rate.avg_conns = rate.avg_in_packets = rate.avg_out_packets = 0;
  rate.avg_in_bytes = rate.avg_out_bytes = 0;
}

absl::Status MapDirector::Zero(const std::optional<ServiceKey>& key) {
  if (key.has_value() && Find(*key) == nullptr)
    return absl::NotFoundError("no such service");
  const Change change(*this);
  const Sums sums(*this, key.has_value() ? 0 : dests_by_key_.size());
  for (const auto& [service_key, service] : services_) {
    if (key.has_value() && service_key != *key) continue;
    for (const uint32_t id : service.dests) ZeroDest(id, sums[id]);
    for (const uint32_t id : service.removed) ZeroDest(id, sums[id]);
    ClearGone(pools_[service.id]);
  }
  if (!key.has_value()) ClearGone(control_[0]);
  return absl::OkStatus();
}

MapDirector::ConnCounts MapDirector::conns_in_use() const {
  ConnCounts counts;
  const Sums sums(*this, dests_by_key_.size());
  for (const auto& [key, id] : dests_by_key_) {
    const xlvs_counters sum = sums[id];
    counts.conns += sum.active + sum.inactive;
    counts.templates += sum.persistent;
  }
  // One that ends while they are read may be missing where it began.
  counts.conns = std::max<int64_t>(0, counts.conns);
  counts.templates = std::max<int64_t>(0, counts.templates);
  return counts;
}

// ---- timeouts

absl::Status MapDirector::SetTimeouts(const Timeouts& timeouts) {
  const Change change(*this);
  const std::pair<xlvs_conn_state, uint32_t> settings[] = {
      {XLVS_CONN_tcp_established, timeouts.tcp_s},
      {XLVS_CONN_tcp_fin_wait, timeouts.tcp_fin_s},
      {XLVS_CONN_udp, timeouts.udp_s},
  };
  for (const auto& [state, seconds] : settings)
    if (seconds != 0)
      StoreWord(control_[0].timeout_ticks[state],
                seconds * XLVS_TICKS_PER_SECOND);
  return absl::OkStatus();
}

absl::StatusOr<Timeouts> MapDirector::GetTimeouts() {
  const auto seconds = [this](xlvs_conn_state state) {
    return control_[0].timeout_ticks[state] / XLVS_TICKS_PER_SECOND;
  };
  return Timeouts{.tcp_s = seconds(XLVS_CONN_tcp_established),
                  .tcp_fin_s = seconds(XLVS_CONN_tcp_fin_wait),
                  .udp_s = seconds(XLVS_CONN_udp)};
}

// ---- marks

absl::Status MapDirector::AddMark(const MarkRule& rule) {
  const Change change(*this);
  return marks_.Add(rule, locals_, control_[0]);
}

absl::Status MapDirector::DeleteMark(const MarkRule& rule) {
  const Change change(*this);
  return marks_.Delete(rule, locals_, control_[0]);
}

absl::Status MapDirector::ClearMarks(std::optional<uint32_t> fwmark) {
  const Change change(*this);
  marks_.Clear(fwmark, locals_, control_[0]);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MarkRule>> MapDirector::Marks() {
  return marks_.rules();
}

// ---- settings

absl::Status MapDirector::Set(absl::string_view name, uint32_t value) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr)
    return absl::NotFoundError(absl::StrCat("no setting '", name, "'"));
  if (value < setting->min || value > setting->max)
    return absl::OutOfRangeError(
        absl::StrCat(name, " is from ", setting->min, " to ", setting->max));
  StoreWord(control_[0].set.*setting->field,
            setting->Effective(value, meta_.conns));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SettingView>> MapDirector::Settings() {
  std::vector<SettingView> views;
  for (const Setting& setting : AllSettings())
    views.push_back({.name = setting.name,
                     .value = LoadWord(control_[0].set.*setting.field),
                     .standard = setting.StandardFor(meta_.conns),
                     .min = setting.min,
                     .max = setting.max,
                     .text = setting.text,
                     .by_table = setting.conns_share != 0});
  return views;
}

// ---- listing

absl::StatusOr<TableInfo> MapDirector::Table() {
  return TableInfo{.conns = meta_.conns};
}

ServiceView MapDirector::View(const ServiceKey& key, const ServiceState& state,
                              const Sums& sums) const {
  const xlvs_pool& pool = pools_[state.id];
  ServiceView view = {
      .service = {.key = key,
                  .scheduler = state.scheduler,
                  .sched_flags = state.flags & kSchedFlags,
                  .one_packet = (state.flags & XLVS_SERVICE_one_packet) != 0,
                  .persistent_s =
                      state.is_persistent()
                          ? pool.persist_ticks / XLVS_TICKS_PER_SECOND
                          : 0,
                  .persist_mask = PersistMaskOf(pool, state.is_v4)},
      .dests = {},
      .counters = Gone(pool),
      .rates = {}};
  Counters scaled_rates;
  for (const uint32_t id : state.dests) {
    const xlvs_dest& dest = dests_[id];
    const xlvs_counters sum = sums[id];
    Counters scaled;
    AddRates(scaled, rates_[id]);
    view.dests.push_back({.dest = {.key = {IpAddr(dest.daddr), dest.dport},
                                   .method = static_cast<Method>(dest.method),
                                   .weight = dest.weight,
                                   .tunnel = TunnelOf(dest),
                                   .u_threshold = dest.upper,
                                   .l_threshold = dest.lower},
                          .active_conns = sum.active,
                          .inactive_conns = sum.inactive,
                          .persistent_conns = sum.persistent,
                          .counters = Minus(sum, dest),
                          .rates = PerSecond(scaled)});
    view.counters += view.dests.back().counters;
    scaled_rates += scaled;
  }
  for (const uint32_t id : state.removed) {
    view.counters += Minus(sums[id], dests_[id]);
    AddRates(scaled_rates, rates_[id]);
  }
  view.rates = PerSecond(scaled_rates);
  return view;
}

absl::StatusOr<std::vector<ServiceView>> MapDirector::Services() {
  std::vector<ServiceView> views;
  views.reserve(services_.size());
  const Sums sums(*this, dests_by_key_.size());
  for (const auto& [key, state] : services_)
    views.push_back(View(key, state, sums));
  return views;
}

absl::StatusOr<ServiceView> MapDirector::FindService(const ServiceKey& key) {
  const ServiceState* state = Find(key);
  if (state == nullptr) return absl::NotFoundError("no such service");
  return View(key, *state, Sums(*this, state->dests.size()));
}

namespace {

// The protocol is in the state. A template's is its service's.
Protocol ProtocolOf(xlvs_conn_state state, const xlvs_dest& dest) {
  if (state >= XLVS_CONN_template_none)
    return static_cast<Protocol>(dest.l4_proto);
  if (state >= XLVS_CONN_sctp_none) return Protocol::kSctp;
  return state == XLVS_CONN_udp ? Protocol::kUdp : Protocol::kTcp;
}

// A template of a service by mark has the mark as its virtual address
// (ip_vs_core.c, ip_vs_sched_persist): 5 is 0.0.0.5 or 0:5::.
IpAddr AddressOfMark(const xlvs_dest& dest) {
  if (IpAddr(dest.vaddr).is_v4()) return IpAddr::FromV4(dest.fwmark);
  xlvs_addr addr = {};
  for (int i = 0; i < 4; ++i) addr.byte[i] = dest.fwmark >> (24 - 8 * i);
  return IpAddr(addr);
}

}  // namespace

absl::StatusOr<std::vector<ConnView>> MapDirector::Conns() {
  XLVS_ASSIGN_OR_RETURN(const auto buckets, MapConns(/*for_writing=*/false));
  Vaddrs vaddrs(instance_);
  std::vector<ConnView> views;
  const uint32_t now_ticks = clock_[0].now_ticks;
  for (uint32_t bucket = 0; bucket < buckets.size(); ++bucket) {
    for (const xlvs_conn& conn : buckets[bucket].conn) {
      // The order in which packets read: bpf/lookup/conn.h.
      const xlvs_conn_life life = LoadWord(conn.life);
      if (life.state == XLVS_CONN_free) continue;
      const bool is_template = IsTemplate(life);
      const auto left = static_cast<int32_t>(life.expires_ticks - now_ticks);
      // A template stays for its connections, also when its time is over and
      // the timer has not come by yet.
      if (left <= 0 && !(is_template && life.nexthop != 0)) continue;
      const xlvs_conn_ports ports = LoadWord(conn.ports);
      const IpAddr caddr(conn.caddr);
      const uint32_t dest_id = ports.dest & XLVS_CONN_DEST_MASK;
      if (dest_id >= dests_.size()) continue;
      const xlvs_dest& dest = dests_[dest_id];
      ConnView view = {
          .protocol = ProtocolOf(life.state, dest),
          .expires_in_s =
              static_cast<uint32_t>(std::max(left, 0)) / XLVS_TICKS_PER_SECOND,
          .state = kStateNames[life.state % XLVS_CONN_STATE_SLOTS],
          .caddr = caddr,
          .cport = ports.cport,
          .vaddr = IpAddr(dest.vaddr),
          .vport = ports.vport,
          .daddr = IpAddr(dest.daddr),
          .dport = (life.flags & XLVS_CONN_keeps_port) != 0 ? ports.vport
                                                            : dest.dport};
      if (is_template) {
        if (dest.fwmark != 0) view.vaddr = AddressOfMark(dest);
        if (life.flags & XLVS_CONN_stale)
          view.vport = view.dport = 65535;
        else
          view.dport = ports.vport == 0 ? 0 : dest.dport;
      } else if (const uint32_t at = ports.dest >> XLVS_CONN_DEST_BITS;
                 at != 0) {
        XLVS_ASSIGN_OR_RETURN(view.vaddr, vaddrs.At(at));
      }
      views.push_back(view);
    }
  }
  return views;
}

}  // namespace xlvs
