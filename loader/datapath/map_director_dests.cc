// SPDX-License-Identifier: Apache-2.0
//
// The part of MapDirector that adds, edits and deletes dests.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/barrier.h"
#include "loader/datapath/counters.h"
#include "loader/datapath/map_director.h"

namespace xlvs {
namespace {

// At this age at the latest, no packet in flight can still make a connection to
// it.
constexpr uint32_t kSettledTicks = 2 * XLVS_TICKS_PER_SECOND;

absl::Status NoSuchService() {
  return absl::FailedPreconditionError("no such service");
}

// As __ip_vs_new_dest (ip_vs_ctl.c) has it. Where there is no route, IPVS adds
// the dest all the same.
absl::Status CheckRealServer(const IpAddr& addr, const Route& route) {
  const bool refused =
      addr.is_v4() ? !addr.is_unicast() || route.type == RouteType::kBroadcast
                   : (!addr.is_unicast() || addr.is_v6_link_local()) &&
                         route.type != RouteType::kLocal;
  if (!refused) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "real server's address ", addr.ToString(), " is not unicast"));
}

// IPVS's ERANGE.
absl::Status CheckThresholds(const Dest& dest) {
  if (dest.l_threshold <= dest.u_threshold) return absl::OkStatus();
  return absl::OutOfRangeError("the lower threshold is above the upper one");
}

// How a dest's packets are wrapped, as the one word that it is in the record.
struct TunnelWord {
  uint16_t port;
  xlvs_tunnel_type type;
  uint8_t flags;
  uint8_t bytes;
  uint8_t over;
  uint8_t pad[2];
} __attribute__((aligned(8)));
static_assert(
    offsetof(xlvs_dest, tunnel_port) % sizeof(TunnelWord) == 0 &&
    offsetof(xlvs_dest, tunnel_type) == offsetof(xlvs_dest, tunnel_port) + 2 &&
    offsetof(xlvs_dest, tunnel_flags) == offsetof(xlvs_dest, tunnel_port) + 3 &&
    offsetof(xlvs_dest, tunnel_bytes) == offsetof(xlvs_dest, tunnel_port) + 4 &&
    offsetof(xlvs_dest, tunnel_over) == offsetof(xlvs_dest, tunnel_port) + 5);

TunnelWord TunnelWordOf(const Dest& dest) {
  const bool with_check = dest.tunnel.checksum != TunnelChecksum::kNone;
  const bool over_v4 = dest.key.daddr.is_v4();
  int shim_bytes = 0;
  switch (dest.tunnel.type) {
    case TunnelType::kIpip:
      break;
    case TunnelType::kGue:  // UDP, and a header without options
      shim_bytes = 8 + 4;
      break;
    case TunnelType::kGre:
      shim_bytes = with_check ? 8 : 4;
      break;
  }
  return {.port = dest.tunnel.port,
          .type = static_cast<xlvs_tunnel_type>(dest.tunnel.type),
          .flags = static_cast<uint8_t>(dest.tunnel.checksum),
          .bytes = static_cast<uint8_t>((over_v4 ? 20 : 40) + shim_bytes),
          .over = static_cast<uint8_t>(over_v4 ? 4 : 6),
          .pad = {}};
}

}  // namespace

absl::StatusOr<uint32_t> MapDirector::NewDestId() {
  if (free_dest_ids_.empty()) EmptyTrash(0);
  if (free_dest_ids_.empty())
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for more than ", dests_.size() - 1,
                     " real servers (removed ones count while they have "
                     "connections); attach with a larger --dests"));
  return free_dest_ids_.back();
}

void MapDirector::EmptyTrash(uint32_t age_ticks) {
  const uint32_t now_ticks = clock_[0].now_ticks;
  std::vector<uint32_t> old;
  for (const auto& [key, id] : dests_by_key_) {
    const xlvs_dest& dest = dests_[id];
    if (dest.state == XLVS_DEST_removed &&
        now_ticks - dest.removed_at_ticks >= age_ticks)
      old.push_back(id);
  }
  const auto is_empty = [](const xlvs_counters& sum) {
    return sum.active == 0 && sum.inactive == 0 && sum.persistent == 0;
  };
  if (age_ticks < kSettledTicks) {
    const Sums sums(*this, old.size());
    std::erase_if(old, [&](uint32_t id) { return !is_empty(sums[id]); });
    if (old.empty()) return;
    WaitForPacketsInFlight();
  }
  const Sums sums(*this, old.size());
  for (const uint32_t id : old)
    if (const xlvs_counters sum = sums[id]; is_empty(sum)) FreeDest(id, sum);
}

void MapDirector::FreeDest(uint32_t id, const xlvs_counters& sum) {
  xlvs_dest& dest = dests_[id];
  const ServiceKey key = KeyOf(dest);
  if (ServiceState* service = Find(key); service != nullptr) {
    AddGone(pools_[service->id], Minus(sum, dest));
    std::erase(service->removed, id);
  }
  dests_by_key_.erase({key, {IpAddr(dest.daddr), dest.dport}});
  locals_.Remove(IpAddr(dest.daddr), XLVS_LOCAL_dest);
  RemoveVirtual(key);
  // All of it before the id is free: whoever takes it finds it as new.
  if (sum.conns != 0 || sum.in_packets != 0 || sum.out_packets != 0)
    ClearCounters(id);
  loads_[id] = {};
  rates_[id] = {};
  StoreWord(dest.state, XLVS_DEST_free);
  free_dest_ids_.push_back(id);
}

absl::StatusOr<uint32_t> MapDirector::AvailableDest(const ServiceKey& key,
                                                    const DestKey& dest) {
  if (Find(key) == nullptr) return NoSuchService();
  const auto known = dests_by_key_.find({key, dest});
  if (known == dests_by_key_.end() ||
      dests_[known->second].state != XLVS_DEST_available)
    return absl::NotFoundError("no such dest");
  return known->second;
}

absl::Status MapDirector::AddDest(const ServiceKey& key, const Dest& dest) {
  ServiceState* service = Find(key);
  if (service == nullptr) return NoSuchService();
  const auto known = dests_by_key_.find({key, dest.key});
  const bool returns = known != dests_by_key_.end();
  if (returns && dests_[known->second].state == XLVS_DEST_available)
    return absl::AlreadyExistsError("dest exists");
  XLVS_RETURN_IF_ERROR(CheckThresholds(dest));
  XLVS_RETURN_IF_ERROR(
      CheckCount(service->scheduler, service->dests.size() + 1));
  XLVS_ASSIGN_OR_RETURN(const Route route, find_route_(dest.key.daddr));
  XLVS_RETURN_IF_ERROR(CheckRealServer(dest.key.daddr, route));
  uint32_t id;
  if (returns) {
    id = known->second;
  } else {
    XLVS_ASSIGN_OR_RETURN(id, NewDestId());
  }

  const Change change(*this);
  if (pending_dests_ != 0 && pending_service_ != key)
    XLVS_RETURN_IF_ERROR(PublishPending());
  if (!returns) {
    XLVS_RETURN_IF_ERROR(AddVirtual(key));
    if (auto status = locals_.Add(dest.key.daddr, XLVS_LOCAL_dest);
        !status.ok()) {
      RemoveVirtual(key);
      return status;
    }
    xlvs_dest record = {};
    record.daddr = dest.key.daddr.raw();
    record.vaddr = key.vaddr.raw();
    record.dport = dest.key.dport;
    record.vport = key.vport;
    record.l4_proto = static_cast<uint8_t>(key.protocol);
    record.fwmark = key.fwmark;
    record.born = static_cast<uint32_t>(control_[0].next_order);
    dests_[id] = record;  // state is still "free"
    free_dest_ids_.pop_back();
    dests_by_key_[{key, dest.key}] = id;
  }
  xlvs_dest& record = dests_[id];
  // Another service than it was removed from counts its embryonic connections
  // from now on.
  if (returns && record.service != service->id)
    AddToWord(pools_[service->id].embryonic, SumOverCpus(id).embryonic);
  record.service = service->id;
  record.weight = dest.weight;
  record.last_weight = dest.weight;
  record.order = control_[0].next_order++;
  Configure(id, dest, route);
  StoreWord(record.state, XLVS_DEST_available);
  ShowPort(id);
  std::erase(service->removed, id);
  service->dests.insert(service->dests.begin(), id);
  // The first one is not put off: whether there is room for the service at all
  // is known then.
  if (batch_ && service->dests.size() > 1) {
    pending_service_ = key;
    ++pending_dests_;
  } else if (auto status = PublishList(*service, /*restart=*/false);
             !status.ok()) {
    service->dests.erase(service->dests.begin());
    RemoveDest(*service, id);
    return status;
  }
  if ((record.flags & XLVS_DEST_limited) != 0) SetLimited(*service);
  return absl::OkStatus();
}

// By the connections that it has, as ip_vs_ctl.c of the later Linux 6.12s does;
// between two edits it is connections that come and go (bpf/lib/counts.h).
bool MapDirector::IsOverloaded(uint32_t id, const Dest& dest, bool is_now) {
  if (dest.u_threshold == 0) return false;
  const xlvs_counters counters = SumOverCpus(id);
  const int64_t conns = int64_t{counters.active} + counters.inactive;
  if (conns >= dest.u_threshold) return true;
  return is_now &&
         (dest.l_threshold != 0 ? conns >= dest.l_threshold
                                : 4 * conns >= 3 * int64_t{dest.u_threshold});
}

// Packets read it meanwhile: each word is the old or the new one, and the
// method, which says what the others are for, comes last.
void MapDirector::Configure(uint32_t id, const Dest& dest, const Route& route) {
  xlvs_dest& record = dests_[id];
  const bool local = route.type == RouteType::kLocal;
  const bool limited = dest.u_threshold != 0 || dest.l_threshold != 0;
  StoreWord(record.upper, dest.u_threshold);
  StoreWord(record.lower, dest.l_threshold);
  StoreWord(record.flags,
            static_cast<uint8_t>((local ? XLVS_DEST_local : 0) |
                                 (limited ? XLVS_DEST_limited : 0)));
  StoreWord(record.overloaded,
            IsOverloaded(id, dest, record.overloaded != 0) ? 1u : 0u);
  // Of IPv6 addresses, one packet may leave with a source that is neither.
  StoreHalves(record.tunnel_saddr, route.source.raw());
  StoreWord(reinterpret_cast<TunnelWord&>(record.tunnel_port),
            TunnelWordOf(dest));
  StoreWord(record.method, static_cast<xlvs_method>(dest.method));
}

void MapDirector::SetLimited(const ServiceState& service) {
  const bool limited = std::any_of(
      service.dests.begin(), service.dests.end(), [this](uint32_t id) {
        return (dests_[id].flags & XLVS_DEST_limited) != 0;
      });
  StoreWord(pools_[service.id].limited, limited ? 1u : 0u);
}

absl::Status MapDirector::EditDest(const ServiceKey& key, const Dest& dest) {
  XLVS_ASSIGN_OR_RETURN(const uint32_t id, AvailableDest(key, dest.key));
  XLVS_RETURN_IF_ERROR(CheckThresholds(dest));
  XLVS_ASSIGN_OR_RETURN(const Route route, find_route_(dest.key.daddr));
  ServiceState* service = Find(key);
  const Change change(*this);
  XLVS_RETURN_IF_ERROR(PublishPending());
  xlvs_dest& record = dests_[id];
  const uint32_t old_weight = std::exchange(record.weight, dest.weight);
  const uint32_t old_last_weight = record.last_weight;
  if (dest.weight != 0) record.last_weight = dest.weight;
  if (auto status = PublishList(*service, /*restart=*/false); !status.ok()) {
    record.weight = old_weight;
    record.last_weight = old_last_weight;
    return status;
  }
  Configure(id, dest, route);
  ShowPort(id);
  SetLimited(*service);
  return absl::OkStatus();
}

absl::Status MapDirector::DeleteDest(const ServiceKey& key,
                                     const DestKey& dest) {
  XLVS_ASSIGN_OR_RETURN(const uint32_t id, AvailableDest(key, dest));
  ServiceState* service = Find(key);
  const Change change(*this);
  XLVS_RETURN_IF_ERROR(PublishPending());
  const auto at = std::find(service->dests.begin(), service->dests.end(), id);
  const size_t position = at - service->dests.begin();
  service->dests.erase(at);
  if (auto status = PublishList(*service, /*restart=*/false); !status.ok()) {
    service->dests.insert(service->dests.begin() + position, id);
    return status;
  }
  RemoveDest(*service, id);
  SetLimited(*service);
  EndConnsOfRemoved();
  return absl::OkStatus();
}

// Not in any list any more: from now on its connections' packets are dropped.
void MapDirector::RemoveDest(ServiceState& service, uint32_t id) {
  dests_[id].removed_at_ticks = clock_[0].now_ticks;
  StoreWord(dests_[id].state, XLVS_DEST_removed);
  ShowPort(id);
  service.removed.push_back(id);
}

}  // namespace xlvs
