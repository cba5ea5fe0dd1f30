// SPDX-License-Identifier: Apache-2.0
//
// Director on the pinned maps. The maps are the truth: this object reads what
// it needs of them when it is opened, and every call is written to them before
// it returns.
//
// The order of writes, so that packets in flight never see a half-made
// service: what is pointed to before what points to it, when adding; the other
// way round when deleting. A list of dests is written elsewhere and switched
// by one store. `control.unfinished` is set meanwhile; whoever finds it set
// after taking the lock compiles all lists and addresses anew.
//
// A deleted dest stays as "removed" while connections name it, and for two
// minutes after: IPVS's trash. Adding it again brings it back with them.
#ifndef XLVS_LOADER_DATAPATH_MAP_DIRECTOR_H_
#define XLVS_LOADER_DATAPATH_MAP_DIRECTOR_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "loader/datapath/chunks.h"
#include "loader/datapath/instance.h"
#include "loader/datapath/locals.h"
#include "loader/datapath/mapped.h"
#include "loader/datapath/marks.h"
#include "loader/model/director.h"
#include "loader/net/route.h"
#include "maps/clock.h"
#include "maps/config.h"
#include "maps/conn.h"
#include "maps/dest.h"
#include "maps/pool.h"
#include "maps/rate.h"
#include "maps/service.h"

namespace xlvs {

class MapDirector : public Director {
 public:
  // With `for_writing`, `lock` is held as long as the object lives.
  static absl::StatusOr<std::unique_ptr<MapDirector>> Open(
      const Instance& instance, bool for_writing, UniqueFd lock,
      RouteFinder find_route = KeptRouteFinder());

  ~MapDirector() override { (void)EndBatch(); }

  absl::Status AddService(const Service& service) override;
  absl::Status EditService(const Service& service) override;
  absl::Status DeleteService(const ServiceKey& key) override;
  absl::Status Clear() override;
  void BeginBatch() override { batch_ = true; }
  absl::Status EndBatch() override;
  absl::Status AddDest(const ServiceKey& key, const Dest& dest) override;
  absl::Status EditDest(const ServiceKey& key, const Dest& dest) override;
  absl::Status DeleteDest(const ServiceKey& key, const DestKey& dest) override;
  absl::Status Zero(const std::optional<ServiceKey>& key) override;
  absl::Status SetTimeouts(const Timeouts& timeouts) override;
  absl::Status AddMark(const MarkRule& rule) override;
  absl::Status DeleteMark(const MarkRule& rule) override;
  absl::Status ClearMarks(std::optional<uint32_t> fwmark) override;
  absl::StatusOr<std::vector<MarkRule>> Marks() override;
  absl::Status Set(absl::string_view name, uint32_t value) override;
  absl::StatusOr<std::vector<SettingView>> Settings() override;
  absl::StatusOr<TableInfo> Table() override;
  absl::StatusOr<Timeouts> GetTimeouts() override;
  absl::StatusOr<std::vector<ServiceView>> Services() override;
  absl::StatusOr<ServiceView> FindService(const ServiceKey& key) override;
  absl::StatusOr<std::vector<ConnView>> Conns() override;

  // For `xlvs status`.
  uint32_t dests_in_use() const { return dests_by_key_.size(); }
  uint32_t services_in_use() const { return services_.size(); }
  struct ConnCounts {
    int64_t conns = 0;
    int64_t templates = 0;
  };
  // Sums over all dests: every connection is counted on one.
  ConnCounts conns_in_use() const;
  uint32_t tables_in_use(xlvs_room room) const;
  uint32_t marks_in_use() const { return marks_.rules().size(); }
  uint32_t embryonic_max() const { return control_[0].set.embryonic_max; }

 private:
  struct ServiceState {
    uint32_t id = 0;
    Scheduler scheduler = Scheduler::kWlc;
    uint32_t flags = 0;
    bool is_v4 = true;
    std::vector<uint32_t> dests;    // ids, available, newest first
    std::vector<uint32_t> removed;  // ids, still in the trash

    bool is_persistent() const {
      return (flags & XLVS_SERVICE_persistent) != 0;
    }
  };
  using DestFullKey = std::pair<ServiceKey, DestKey>;

  MapDirector(const Instance& instance, UniqueFd lock, RouteFinder find_route)
      : instance_(instance),
        lock_(std::move(lock)),
        find_route_(std::move(find_route)) {}
  absl::Status OpenMaps(bool for_writing);
  absl::Status ReadServices();
  absl::Status ReadDests();
  // Who makes which address ours.
  void CountLocals();
  void ReadLists();
  // After a command that was cut short.
  absl::Status Repair();
  // IPVS frees a dest that nothing refers to after two minutes at the earliest.
  static constexpr uint32_t kTrashTicks = 120 * XLVS_TICKS_PER_SECOND;
  // Frees removed dests that no connection names any more, once they were so
  // for `age_ticks`.
  void EmptyTrash(uint32_t age_ticks);

  ServiceState* Find(const ServiceKey& key);
  absl::StatusOr<uint32_t> AvailableDest(const ServiceKey& key,
                                         const DestKey& dest);
  // What an added or edited dest gets from `dest` and from where it is.
  void Configure(uint32_t id, const Dest& dest, const Route& route);
  // Whether thresholds keep new connections from it.
  bool IsOverloaded(uint32_t id, const Dest& dest, bool is_now);
  // Tells packets whether any dest of the service has thresholds.
  void SetLimited(const ServiceState& service);
  absl::StatusOr<uint32_t> NewServiceId();
  absl::StatusOr<uint32_t> NewDestId();
  static ServiceKey KeyOf(const xlvs_dest& dest);

  // INVALID_ARGUMENT: more dests than the scheduler's table has slots.
  static absl::Status CheckCount(Scheduler scheduler, size_t dests);
  // What the service's list should be, and what it is.
  std::vector<xlvs_slot> WantedList(const ServiceState& service) const;
  // The same as the scheduler reads it: the list, or its table.
  absl::StatusOr<std::vector<xlvs_slot>> Compiled(
      const ServiceState& service, const std::vector<xlvs_slot>& list) const;
  std::vector<xlvs_slot> PresentList(const xlvs_pool& pool) const;
  // Writes the wanted list and switches to it. `restart`: the scheduler begins
  // anew. `added`: so many dests at the head are new.
  absl::Status PublishList(ServiceState& service, bool restart,
                           size_t added = 0);
  // Publishes what a batch has put off; every change but AddDest comes after.
  // If that fails, the dests that were put off go again.
  absl::Status PublishPending();
  void RemoveDest(ServiceState& service, uint32_t id);
  // Shows the packet path the port of a dest behind Masq, or no more. Where the
  // table has no room for it, nat_icmp_send does not know it.
  void ShowPort(uint32_t id);
  void FreeDest(uint32_t id, const xlvs_counters& sum);

  absl::Status DeleteServices(const std::vector<ServiceKey>& keys);
  // Services with an address of their own make it ours; those by mark have the
  // addresses of the rules.
  absl::Status AddVirtual(const ServiceKey& key);
  void RemoveVirtual(const ServiceKey& key);
  // How many there are, and of FTP.
  void WriteServiceCounts();
  // Connections of these services are not held by their templates any more.
  // Waits until no packet makes one that is: pool.flags must say so already.
  void Release(const std::vector<const ServiceState*>& services,
               Mapped<xlvs_bucket>& buckets);
  // For as long as expire_nodest_conn wants it, the timer ends connections of
  // removed dests.
  void EndConnsOfRemoved();

  // Sums over CPUs, by dest id. Of a few dests each is asked for when it is
  // wanted, of many all are read at once.
  class Sums {
   public:
    Sums(const MapDirector& director, size_t wanted);
    xlvs_counters operator[](uint32_t dest) const;

   private:
    const MapDirector& director_;
    std::vector<xlvs_counters> all_;
  };
  xlvs_counters SumOverCpus(uint32_t dest) const;
  void ClearCounters(uint32_t dest);
  void ZeroDest(uint32_t dest, const xlvs_counters& sum);
  ServiceView View(const ServiceKey& key, const ServiceState& state,
                   const Sums& sums) const;
  absl::StatusOr<Mapped<xlvs_bucket>> MapConns(bool for_writing) const {
    return instance_.MapArray<xlvs_bucket>("conns", for_writing);
  }

  // Marks the maps as being changed for as long as it lives, or longer if a
  // batch has put something off.
  class Change {
   public:
    explicit Change(MapDirector& director) : director_(director) {
      StoreWord(director.control_[0].unfinished, 1u);
    }
    ~Change() {
      StoreWord(director_.control_[0].unfinished,
                director_.pending_dests_ != 0 ? 1u : 0u);
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    MapDirector& director_;
  };

  Instance instance_;
  UniqueFd lock_;
  RouteFinder find_route_;
  xlvs_meta meta_ = {};
  HashMap<xlvs_service_key, xlvs_service> services_map_;
  Mapped<xlvs_pool> pools_;
  Mapped<xlvs_slots> slots_;
  Mapped<xlvs_dest> dests_;
  Mapped<xlvs_load> loads_;
  Mapped<xlvs_rate> rates_;
  Mapped<xlvs_control> control_;
  Mapped<xlvs_clock> clock_;
  UniqueFd counters_fd_;
  Locals locals_;
  MarkList marks_;
  std::vector<ChunkAllocator> rooms_;  // by enum xlvs_room

  absl::flat_hash_map<ServiceKey, ServiceState> services_;
  // Available and removed ones.
  absl::flat_hash_map<DestFullKey, uint32_t> dests_by_key_;
  absl::flat_hash_set<uint32_t> ports_shown_;  // ids of dests
  bool batch_ = false;
  // The first so many dests of this service are in no list yet.
  ServiceKey pending_service_;
  size_t pending_dests_ = 0;
  std::vector<uint32_t> free_service_ids_;
  std::vector<uint32_t> just_freed_service_ids_;
  std::vector<uint32_t> free_dest_ids_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_MAP_DIRECTOR_H_
