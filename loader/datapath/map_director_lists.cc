// SPDX-License-Identifier: Apache-2.0
//
// The part of MapDirector that writes what schedulers read: lists of dests, and
// tables made of them.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/barrier.h"
#include "loader/datapath/map_director.h"
#include "loader/schedule/hash_table.h"
#include "loader/schedule/sequence.h"

namespace xlvs {
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

absl::Status MapDirector::CheckCount(Scheduler scheduler, size_t dests) {
  if (scheduler != Scheduler::kMh || dests <= XLVS_MAGLEV_SLOTS)
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "mh cannot choose among more than ", XLVS_MAGLEV_SLOTS, " real servers"));
}

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

}  // namespace xlvs
