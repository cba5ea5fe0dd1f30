// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/map_director.h"

#include <algorithm>
#include <utility>

#include "loader/base/status.h"
#include "loader/datapath/counters.h"

namespace xlvs {

absl::StatusOr<std::unique_ptr<MapDirector>> MapDirector::Open(
    const Instance& instance, bool for_writing, UniqueFd lock,
    RouteFinder find_route) {
  std::unique_ptr<MapDirector> director(
      new MapDirector(instance, std::move(lock), std::move(find_route)));
  XLVS_ASSIGN_OR_RETURN(director->meta_, instance.CheckedMeta());
  XLVS_RETURN_IF_ERROR(director->OpenMaps(for_writing));
  XLVS_RETURN_IF_ERROR(director->ReadServices());
  XLVS_RETURN_IF_ERROR(director->ReadDests());
  if (for_writing) {
    director->CountLocals();
    director->ReadLists();
    if (director->control_[0].unfinished != 0)
      XLVS_RETURN_IF_ERROR(
          Context(director->Repair(), "repair an unfinished command"));
    director->EmptyTrash(kTrashTicks);
  }
  return director;
}

// Not the connections: mapping a large table takes as long as all the rest.
absl::Status MapDirector::OpenMaps(bool for_writing) {
  XLVS_ASSIGN_OR_RETURN(UniqueFd services, instance_.OpenPin("services"));
  auto services_map =
      HashMap<xlvs_service_key, xlvs_service>::Open(std::move(services));
  if (!services_map.ok()) return services_map.status();
  services_map_ = *std::move(services_map);
  XLVS_ASSIGN_OR_RETURN(pools_,
                        instance_.MapArray<xlvs_pool>("pools", for_writing));
  XLVS_ASSIGN_OR_RETURN(slots_,
                        instance_.MapArray<xlvs_slots>("slots", for_writing));
  XLVS_ASSIGN_OR_RETURN(dests_,
                        instance_.MapArray<xlvs_dest>("dests", for_writing));
  XLVS_ASSIGN_OR_RETURN(loads_,
                        instance_.MapArray<xlvs_load>("loads", for_writing));
  XLVS_ASSIGN_OR_RETURN(rates_,
                        instance_.MapArray<xlvs_rate>("rates", for_writing));
  XLVS_ASSIGN_OR_RETURN(
      control_, instance_.MapArray<xlvs_control>("control", for_writing));
  XLVS_ASSIGN_OR_RETURN(clock_, instance_.MapArray<xlvs_clock>("clock", false));
  XLVS_ASSIGN_OR_RETURN(Mapped<xlvs_local> locals,
                        instance_.MapArray<xlvs_local>("locals", for_writing));
  XLVS_ASSIGN_OR_RETURN(Mapped<xlvs_filter> filter,
                        instance_.MapArray<xlvs_filter>("filter", for_writing));
  locals_ = Locals(std::move(locals), std::move(filter), meta_.config);
  XLVS_ASSIGN_OR_RETURN(Mapped<xlvs_mark> marks,
                        instance_.MapArray<xlvs_mark>("marks", for_writing));
  XLVS_ASSIGN_OR_RETURN(UniqueFd wide_fd, instance_.OpenPin("wide"));
  XLVS_ASSIGN_OR_RETURN(MarkList::WideMap wide,
                        MarkList::WideMap::Open(std::move(wide_fd)));
  marks_ = MarkList(std::move(marks), std::move(wide));
  XLVS_ASSIGN_OR_RETURN(counters_fd_, instance_.OpenPin("counters"));
  return absl::OkStatus();
}

absl::Status MapDirector::ReadServices() {
  XLVS_ASSIGN_OR_RETURN(const auto entries, services_map_.Entries());
  std::vector<bool> used(pools_.size());
  for (const auto& [raw_key, raw] : entries) {
    const ServiceKey key = {.vaddr = IpAddr(raw_key.vaddr),
                            .vport = raw_key.vport,
                            .protocol = static_cast<Protocol>(raw_key.l4_proto),
                            .fwmark = raw_key.fwmark};
    services_[key] = {.id = raw.id,
                      .scheduler = static_cast<Scheduler>(raw.scheduler),
                      .flags = raw.flags,
                      .is_v4 = key.vaddr.is_v4(),
                      .dests = {},
                      .removed = {}};
    if (raw.id < used.size()) used[raw.id] = true;
  }
  for (uint32_t id = pools_.size(); id-- > 1;)
    if (!used[id]) free_service_ids_.push_back(id);
  return absl::OkStatus();
}

ServiceKey MapDirector::KeyOf(const xlvs_dest& dest) {
  return {.vaddr = IpAddr(dest.vaddr),
          .vport = dest.vport,
          .protocol = static_cast<Protocol>(dest.l4_proto),
          .fwmark = dest.fwmark};
}

absl::Status MapDirector::ReadDests() {
  for (uint32_t id = dests_.size(); id-- > 1;) {
    const xlvs_dest& dest = dests_[id];
    if (dest.state == XLVS_DEST_free) {
      free_dest_ids_.push_back(id);
      continue;
    }
    const ServiceKey key = KeyOf(dest);
    dests_by_key_[{key, {IpAddr(dest.daddr), dest.dport}}] = id;
    const auto service = services_.find(key);
    if (service == services_.end()) continue;
    (dest.state == XLVS_DEST_available ? service->second.dests
                                       : service->second.removed)
        .push_back(id);
  }
  for (auto& [key, service] : services_)
    std::sort(service.dests.begin(), service.dests.end(),
              [this](uint32_t a, uint32_t b) {
                return dests_[a].order > dests_[b].order;
              });
  return absl::OkStatus();
}

absl::Status MapDirector::Repair() {
  const Change change(*this);
  // Dests of a service that is gone. Its connections may still be held by
  // templates.
  ServiceState gone;
  for (const auto& [key, id] : dests_by_key_) {
    xlvs_dest& dest = dests_[id];
    if (services_.contains(key.first) || dest.service == 0) continue;
    gone.removed.push_back(id);
    if (dest.state == XLVS_DEST_available) {
      dest.removed_at_ticks = clock_[0].now_ticks;
      StoreWord(dest.state, XLVS_DEST_removed);
    }
  }
  if (!gone.removed.empty()) {
    XLVS_ASSIGN_OR_RETURN(auto buckets, MapConns(/*for_writing=*/true));
    Release({&gone}, buckets);
    for (const uint32_t id : gone.removed) dests_[id].service = 0;
    EndConnsOfRemoved();
  }
  for (auto& [key, service] : services_) {
    for (const uint32_t id : service.dests) dests_[id].service = service.id;
    XLVS_RETURN_IF_ERROR(PublishList(service, /*restart=*/false));
    SetLimited(service);
  }
  WriteServiceCounts();
  XLVS_RETURN_IF_ERROR(marks_.Rebuild(control_[0]));
  return locals_.Rebuild();
}

MapDirector::ServiceState* MapDirector::Find(const ServiceKey& key) {
  const auto service = services_.find(key);
  return service == services_.end() ? nullptr : &service->second;
}

}  // namespace xlvs
