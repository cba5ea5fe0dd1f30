// SPDX-License-Identifier: Apache-2.0
//
// The part of MapDirector that adds, edits and deletes services.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/barrier.h"
#include "loader/datapath/counters.h"
#include "loader/datapath/map_director.h"
#include "loader/datapath/persist_mask.h"
#include "loader/datapath/templates.h"

namespace xlvs {
namespace {

xlvs_service_key RawKey(const ServiceKey& key) {
  return {.vaddr = key.vaddr.raw(),
          .vport = key.vport,
          .l4_proto = static_cast<uint8_t>(key.protocol),
          .pad0 = 0,
          .fwmark = key.fwmark};
}

uint32_t FlagsOf(const Service& service) {
  return service.sched_flags |
         (service.persistent_s != 0 ? XLVS_SERVICE_persistent : 0) |
         (service.one_packet ? XLVS_SERVICE_one_packet : 0);
}

xlvs_service RawService(uint32_t id, Scheduler scheduler, uint32_t flags) {
  return {.id = id,
          .scheduler = static_cast<xlvs_scheduler>(scheduler),
          .flags = flags,
          .pad0 = 0};
}

// No timeout may be so long that ticks from now on look like ticks ago.
uint32_t PersistTicks(const Service& service) {
  constexpr uint32_t kMaxSeconds = 0x3fffffff / XLVS_TICKS_PER_SECOND;
  return std::min(service.persistent_s, kMaxSeconds) * XLVS_TICKS_PER_SECOND;
}

bool IsFtp(const ServiceKey& key) {
  return key.protocol == Protocol::kTcp && key.vport == XLVS_FTP_PORT;
}

}  // namespace

absl::StatusOr<uint32_t> MapDirector::NewServiceId() {
  if (free_service_ids_.empty() && !just_freed_service_ids_.empty()) {
    // A packet in flight may still schedule by one of these.
    WaitForPacketsInFlight();
    free_service_ids_.swap(just_freed_service_ids_);
  }
  if (free_service_ids_.empty() ||
      services_.size() >= services_map_.max_entries())
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for more than ", services_map_.max_entries(),
                     " services; attach with a larger --services"));
  return free_service_ids_.back();
}

void MapDirector::WriteServiceCounts() {
  StoreWord(control_[0].services, static_cast<uint32_t>(services_.size()));
  const auto ftp =
      std::count_if(services_.begin(), services_.end(),
                    [](const auto& service) { return IsFtp(service.first); });
  StoreWord(control_[0].ftp_services, static_cast<uint32_t>(ftp));
}

absl::Status MapDirector::AddService(const Service& service) {
  if (Find(service.key) != nullptr)
    return absl::AlreadyExistsError("service exists");
  XLVS_ASSIGN_OR_RETURN(const uint32_t id, NewServiceId());
  const Change change(*this);
  XLVS_RETURN_IF_ERROR(PublishPending());
  XLVS_RETURN_IF_ERROR(AddVirtual(service.key));
  ServiceState state = {.id = id,
                        .scheduler = service.scheduler,
                        .flags = FlagsOf(service),
                        .is_v4 = service.key.vaddr.is_v4(),
                        .dests = {},
                        .removed = {}};
  pools_[id] = {};
  pools_[id].persist_mask = PersistMask(service);
  pools_[id].persist_ticks = PersistTicks(service);
  pools_[id].vport = service.key.vport;
  auto status = PublishList(state, /*restart=*/true);
  if (status.ok())
    status = services_map_.Insert(RawKey(service.key),
                                  RawService(id, state.scheduler, state.flags));
  if (!status.ok()) {
    RemoveVirtual(service.key);
    return status;
  }
  free_service_ids_.pop_back();
  services_[service.key] = std::move(state);
  WriteServiceCounts();
  return absl::OkStatus();
}

absl::Status MapDirector::EditService(const Service& service) {
  ServiceState* state = Find(service.key);
  if (state == nullptr) return absl::NotFoundError("no such service");
  xlvs_pool& pool = pools_[state->id];
  const uint32_t flags = FlagsOf(service);
  const uint32_t persist_ticks = PersistTicks(service);
  const xlvs_addr mask = PersistMask(service);
  const bool restart = state->scheduler != service.scheduler;
  const bool new_mask = IpAddr(mask) != IpAddr(pool.persist_mask);
  const uint32_t changed_flags = flags ^ state->flags;
  if (!restart && changed_flags == 0 && !new_mask &&
      persist_ticks == pool.persist_ticks)
    return absl::OkStatus();

  // Connections do not find their templates under another mask.
  const bool releases = state->is_persistent() &&
                        (new_mask || (flags & XLVS_SERVICE_persistent) == 0);
  Mapped<xlvs_bucket> buckets;
  if (releases) {
    XLVS_ASSIGN_OR_RETURN(buckets, MapConns(/*for_writing=*/true));
  }

  const Change change(*this);
  XLVS_RETURN_IF_ERROR(PublishPending());
  const auto set_persistence = [&] {
    StoreHalves(pool.persist_mask, mask);
    StoreWord(pool.persist_ticks, persist_ticks);
  };
  if (!state->is_persistent()) set_persistence();  // nobody looks at it yet
  const Scheduler old_scheduler =
      std::exchange(state->scheduler, service.scheduler);
  const uint32_t old_flags = std::exchange(
      state->flags, releases ? flags & ~XLVS_SERVICE_persistent : flags);
  auto status = services_map_.Replace(
      RawKey(service.key), RawService(state->id, service.scheduler, flags));
  if (status.ok() && restart) status = PublishList(*state, restart);
  if (!status.ok()) {
    state->scheduler = old_scheduler;
    state->flags = old_flags;
    (void)services_map_.Replace(
        RawKey(service.key), RawService(state->id, old_scheduler, old_flags));
    return status;
  }
  StoreWord(pool.flags, state->flags);
  if (releases) Release({state}, buckets);
  set_persistence();
  state->flags = flags;
  StoreWord(pool.flags, flags);
  return absl::OkStatus();
}

void MapDirector::Release(const std::vector<const ServiceState*>& services,
                          Mapped<xlvs_bucket>& buckets) {
  std::vector<bool> dests(dests_.size());
  for (const ServiceState* service : services) {
    for (const uint32_t id : service->dests) dests[id] = true;
    for (const uint32_t id : service->removed) dests[id] = true;
  }
  WaitForPacketsInFlight();
  ReleaseFromTemplates(buckets, dests);
}

void MapDirector::EndConnsOfRemoved() {
  if (control_[0].set.expire_nodest_conn == 0) return;
  // The round that is under way may be past them, and a template goes in the
  // round after the one in which its last connection went.
  StoreWord(control_[0].flush_until_sweep,
            static_cast<uint32_t>(clock_[0].sweeps) + 3);
}

absl::Status MapDirector::DeleteService(const ServiceKey& key) {
  if (Find(key) == nullptr) return absl::NotFoundError("no such service");
  return DeleteServices({key});
}

absl::Status MapDirector::Clear() {
  std::vector<ServiceKey> keys;
  keys.reserve(services_.size());
  for (const auto& [key, service] : services_) keys.push_back(key);
  return DeleteServices(keys);
}

absl::Status MapDirector::DeleteServices(const std::vector<ServiceKey>& keys) {
  std::vector<const ServiceState*> persistent;
  for (const ServiceKey& key : keys)
    if (const ServiceState* state = Find(key);
        state->is_persistent() &&
        !(state->dests.empty() && state->removed.empty()))
      persistent.push_back(state);
  Mapped<xlvs_bucket> buckets;
  if (!persistent.empty()) {
    XLVS_ASSIGN_OR_RETURN(buckets, MapConns(/*for_writing=*/true));
  }

  const Change change(*this);
  XLVS_RETURN_IF_ERROR(PublishPending());
  for (const ServiceKey& key : keys)
    XLVS_RETURN_IF_ERROR(services_map_.Erase(RawKey(key)));
  if (!persistent.empty()) Release(persistent, buckets);
  const Sums sums(*this, keys.size() == 1 ? 0 : dests_by_key_.size());
  for (const ServiceKey& key : keys) {
    ServiceState* state = Find(key);
    // The totals keep what the service had counted; its dests, should they come
    // back, start at 0.
    AddGone(control_[0], Gone(pools_[state->id]));
    const std::vector<uint32_t> dests = std::move(state->dests);
    state->dests.clear();
    XLVS_RETURN_IF_ERROR(PublishList(*state, /*restart=*/true));
    for (const uint32_t id : dests) RemoveDest(*state, id);
    for (const uint32_t id : state->removed) {
      const xlvs_counters sum = sums[id];
      AddGone(control_[0], Minus(sum, dests_[id]));
      ZeroDest(id, sum);
      dests_[id].service = 0;
    }
    just_freed_service_ids_.push_back(state->id);
    services_.erase(key);
    RemoveVirtual(key);
  }
  WriteServiceCounts();
  EndConnsOfRemoved();
  return absl::OkStatus();
}

}  // namespace xlvs
