// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/map_director.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/barrier.h"
#include "loader/datapath/counters.h"
#include "loader/datapath/persist_mask.h"
#include "loader/datapath/templates.h"
#include "loader/schedule/hash_table.h"
#include "loader/schedule/sequence.h"

namespace xlvs {
namespace {

// IPVS frees a dest that nothing refers to after two minutes at the earliest.
constexpr uint32_t kTrashTicks = 120 * XLVS_TICKS_PER_SECOND;
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

absl::Status CheckCount(Scheduler scheduler, size_t dests) {
  if (scheduler != Scheduler::kMh || dests <= XLVS_MAGLEV_SLOTS)
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "mh cannot choose among more than ", XLVS_MAGLEV_SLOTS, " real servers"));
}

// IPVS's ERANGE.
absl::Status CheckThresholds(const Dest& dest) {
  if (dest.l_threshold <= dest.u_threshold) return absl::OkStatus();
  return absl::OutOfRangeError("the lower threshold is above the upper one");
}

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

// A packet may see half of the new address. Of IPv4 addresses the halves differ
// in one word only.
void StoreHalves(xlvs_addr& to, const xlvs_addr& value) {
  using Halves = std::array<uint64_t, 2>;
  auto& target = reinterpret_cast<Halves&>(to);
  const auto halves = std::bit_cast<Halves>(value);
  for (size_t i = 0; i < halves.size(); ++i) StoreWord(target[i], halves[i]);
}

bool IsFtp(const ServiceKey& key) {
  return key.protocol == Protocol::kTcp && key.vport == XLVS_FTP_PORT;
}

}  // namespace

// ---- opening

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

namespace {

// Whether nat_icmp_send asks for the dest's port, and as what.
bool HasPort(const xlvs_dest& dest) {
  return dest.state == XLVS_DEST_available && dest.method == XLVS_METHOD_masq;
}

uint32_t PortOf(const xlvs_dest& dest) {
  const uint32_t protocol = dest.fwmark == 0 ? dest.l4_proto : 0;
  return XLVS_LOCAL_PORT | protocol << 16 | dest.dport;
}

}  // namespace

void MapDirector::CountLocals() {
  for (const auto& [key, service] : services_)
    if (key.fwmark == 0) locals_.Count(key.vaddr, XLVS_LOCAL_virtual);
  for (const auto& [key, id] : dests_by_key_) {
    locals_.Count(key.second.daddr, XLVS_LOCAL_dest);
    if (HasPort(dests_[id])) {
      locals_.Count(key.second.daddr, XLVS_LOCAL_masq, PortOf(dests_[id]));
      ports_shown_.insert(id);
    }
    // A removed dest keeps its service's address ours: its connections'
    // packets are dropped, not handed to the host.
    if (key.first.fwmark == 0)
      locals_.Count(key.first.vaddr, XLVS_LOCAL_virtual);
  }
  marks_.CountIn(locals_);
}

namespace {

uint32_t ChunksFor(size_t slots) {
  return std::max<uint32_t>(
      1, (slots + XLVS_SLOTS_PER_CHUNK - 1) / XLVS_SLOTS_PER_CHUNK);
}

xlvs_room RoomOf(Scheduler scheduler) {
  switch (scheduler) {
    case Scheduler::kSh:
    case Scheduler::kDh:
      return XLVS_ROOM_hash;
    case Scheduler::kMh:
      return XLVS_ROOM_maglev;
    default:
      return XLVS_ROOM_lists;
  }
}

}  // namespace

uint32_t MapDirector::tables_in_use(xlvs_room room) const {
  return std::count_if(
      services_.begin(), services_.end(), [&](const auto& service) {
        return RoomOf(service.second.scheduler) == room &&
               LoadWord(pools_[service.second.id].list).count > 0;
      });
}

void MapDirector::ReadLists() {
  const uint32_t maglev_begin =
      slots_.size() - (meta_.maglev_tables + 1) * XLVS_CHUNKS_PER_MAGLEV_TABLE;
  const uint32_t hash_begin =
      maglev_begin - (meta_.hash_tables + 1) * XLVS_CHUNKS_PER_HASH_TABLE;
  const auto add_room = [this](uint32_t begin, uint32_t end, uint32_t most_runs,
                               std::string full) {
    rooms_.emplace_back(begin, end, most_runs,
                        control_[0].next_chunk[rooms_.size()],
                        WaitForPacketsInFlight, std::move(full));
  };
  add_room(0, hash_begin, meta_.services,
           "no room for a list of real servers of this length; attach with a "
           "larger --dests");
  add_room(hash_begin, maglev_begin, meta_.hash_tables,
           absl::StrCat("no room for more than ", meta_.hash_tables,
                        " services with sh or dh; attach with a larger "
                        "--sh-tables"));
  add_room(maglev_begin, slots_.size(), meta_.maglev_tables,
           absl::StrCat("no room for more than ", meta_.maglev_tables,
                        " services with mh; attach with a larger "
                        "--mh-tables"));
  for (const auto& [key, service] : services_) {
    const xlvs_list list = LoadWord(pools_[service.id].list);
    if (list.count == 0) continue;
    for (ChunkAllocator& room : rooms_)
      if (room.Has(list.first_chunk))
        room.Reserve(list.first_chunk, ChunksFor(list.count));
  }
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

// ---- ids

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

void MapDirector::ShowPort(uint32_t id) {
  const xlvs_dest& dest = dests_[id];
  const IpAddr addr(dest.daddr);
  const bool shown = ports_shown_.contains(id);
  if (shown == HasPort(dest)) return;
  if (shown) {
    locals_.Remove(addr, XLVS_LOCAL_masq, PortOf(dest));
    ports_shown_.erase(id);
  } else if (locals_.Add(addr, XLVS_LOCAL_masq, PortOf(dest)).ok()) {
    ports_shown_.insert(id);
  }
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

MapDirector::ServiceState* MapDirector::Find(const ServiceKey& key) {
  const auto service = services_.find(key);
  return service == services_.end() ? nullptr : &service->second;
}

// ---- lists

std::vector<xlvs_slot> MapDirector::WantedList(
    const ServiceState& service) const {
  std::vector<xlvs_slot> list;
  list.reserve(service.dests.size());
  for (const uint32_t id : service.dests)
    list.push_back({.dest = id, .weight = dests_[id].weight});
  return list;
}

std::vector<xlvs_slot> MapDirector::PresentList(const xlvs_pool& pool) const {
  const xlvs_list list = LoadWord(pool.list);
  std::vector<xlvs_slot> slots;
  slots.reserve(list.count);
  for (uint32_t i = 0; i < list.count; ++i)
    slots.push_back(slots_[list.first_chunk + i / XLVS_SLOTS_PER_CHUNK]
                        .slot[i % XLVS_SLOTS_PER_CHUNK]);
  return slots;
}

absl::StatusOr<std::vector<xlvs_slot>> MapDirector::Compiled(
    const ServiceState& service, const std::vector<xlvs_slot>& list) const {
  std::vector<uint32_t> table;
  switch (service.scheduler) {
    case Scheduler::kSh: {
      std::vector<uint32_t> weights;
      for (const xlvs_slot& slot : list) weights.push_back(slot.weight);
      table = SourceHashTable(weights);
      break;
    }
    case Scheduler::kDh:
      table = DestHashTable(list.size());
      break;
    case Scheduler::kMh: {
      XLVS_RETURN_IF_ERROR(CheckCount(service.scheduler, list.size()));
      std::vector<MaglevDest> dests;
      for (const xlvs_slot& slot : list) {
        const xlvs_dest& dest = dests_[slot.dest];
        dests.push_back(
            {.folded_addr = FoldedDest(IpAddr(dest.daddr), service.is_v4),
             .dport = dest.dport,
             .last_weight = dest.last_weight});
      }
      table = MaglevTable(dests);
      break;
    }
    default:
      return list;
  }
  std::vector<xlvs_slot> slots;
  slots.reserve(table.size());
  for (const uint32_t owner : table) slots.push_back(list[owner]);
  return slots;
}

absl::Status MapDirector::PublishList(ServiceState& service, bool restart,
                                      size_t added) {
  xlvs_pool& pool = pools_[service.id];
  const std::vector<xlvs_slot> wanted = WantedList(service);
  XLVS_ASSIGN_OR_RETURN(const std::vector<xlvs_slot> slots,
                        Compiled(service, wanted));
  const std::vector<xlvs_slot> present = PresentList(pool);
  const xlvs_list old_list = LoadWord(pool.list);
  xlvs_list new_list = {.first_chunk = 0,
                        .count = static_cast<uint32_t>(slots.size())};
  if (!slots.empty()) {
    const xlvs_room room = RoomOf(service.scheduler);
    const bool replaces =
        old_list.count > 0 && rooms_[room].Has(old_list.first_chunk);
    XLVS_ASSIGN_OR_RETURN(
        new_list.first_chunk,
        rooms_[room].Allocate(ChunksFor(slots.size()), replaces));
    control_[0].next_chunk[room] = rooms_[room].next();
    // Some schedulers know the list's end by weights of 0.
    const uint32_t room_slots = ChunksFor(slots.size()) * XLVS_SLOTS_PER_CHUNK;
    for (uint32_t i = 0; i < room_slots; ++i)
      slots_[new_list.first_chunk + i / XLVS_SLOTS_PER_CHUNK]
          .slot[i % XLVS_SLOTS_PER_CHUNK] =
          i < slots.size() ? slots[i] : xlvs_slot{};
  }
  const Thresholds thresholds = ThresholdsOf(wanted);
  StoreWord(pool.threshold_step, thresholds.step);
  StoreWord(pool.threshold_max, thresholds.max);
  StoreWord(pool.flags, service.flags);
  // What lblc and lblcr remember is of the time before. Never 0.
  if (restart) StoreWord(pool.epoch, ++control_[0].next_order);
  StoreWord(pool.scheduler, static_cast<xlvs_scheduler>(service.scheduler));
  const auto moved = [&](const xlvs_position& position) {
    if (restart) return StartPosition(service.scheduler, wanted);
    return added == 0
               ? MovedPosition(service.scheduler, position, present, wanted)
               : PositionAfterAdding(service.scheduler, position, present,
                                     wanted, added);
  };
  // Packets may be picking: their picks are not lost.
  xlvs_position position = LoadWord(pool.position);
  while (!CompareAndSwapWord(pool.position, position, moved(position))) {
  }
  StoreWord(pool.list, new_list);
  if (old_list.count > 0)
    for (ChunkAllocator& room : rooms_)
      if (room.Has(old_list.first_chunk)) room.Free(old_list.first_chunk);
  return absl::OkStatus();
}

absl::Status MapDirector::EndBatch() {
  batch_ = false;
  if (pending_dests_ == 0) return absl::OkStatus();
  const Change change(*this);
  return PublishPending();
}

absl::Status MapDirector::PublishPending() {
  const size_t added = std::exchange(pending_dests_, 0);
  if (added == 0) return absl::OkStatus();
  ServiceState& service = *Find(pending_service_);
  const auto status = PublishList(service, /*restart=*/false, added);
  if (status.ok()) return status;
  const auto end = service.dests.begin() + static_cast<std::ptrdiff_t>(added);
  const std::vector<uint32_t> ids(service.dests.begin(), end);
  service.dests.erase(service.dests.begin(), end);
  for (const uint32_t id : ids) RemoveDest(service, id);
  SetLimited(service);
  return Context(
      status, absl::StrCat("the last ", added, " real servers of a service"));
}

// ---- services

absl::Status MapDirector::AddVirtual(const ServiceKey& key) {
  if (key.fwmark != 0) return absl::OkStatus();
  return locals_.Add(key.vaddr, XLVS_LOCAL_virtual);
}

void MapDirector::RemoveVirtual(const ServiceKey& key) {
  if (key.fwmark == 0) locals_.Remove(key.vaddr, XLVS_LOCAL_virtual);
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

// ---- dests

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

namespace {

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
