// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/pinned_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/device.h"
#include "loader/datapath/endings.h"
#include "loader/datapath/handover.h"
#include "loader/datapath/map_director.h"
#include "loader/datapath/vlans.h"
#include "loader/net/devices.h"
#include "loader/net/forwarding.h"
#include "loader/net/netns.h"
#include "maps/flood.h"
#include "maps/mark.h"
#include "maps/step.h"

namespace xlvs {
namespace {

constexpr Ending kEndings[] = {
#define XLVS_X(name, action, text) {#name, #action, text},
    XLVS_STEPS(XLVS_X)
#undef XLVS_X
};

absl::Status CheckSize(absl::string_view option, uint32_t asked,
                       uint32_t present) {
  if (asked == 0 || asked == present) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      option, " ", asked, ": the maps that exist were made for ", present,
      "; sizes are given once, when they are made ('xlvs detach --purge' "
      "removes them, with configuration and connections)"));
}

uint32_t CpusPossible() {
  const int cpus = libbpf_num_possible_cpus();
  return cpus > 0 ? cpus : 1;
}

// What the kernel charges for a map.
uint64_t MapBytes(int map_fd) {
  std::ifstream info(absl::StrCat("/proc/self/fdinfo/", map_fd));
  std::string line;
  while (std::getline(info, line)) {
    uint64_t bytes;
    if (absl::StartsWith(line, "memlock:") &&
        absl::SimpleAtoi(absl::string_view(line).substr(8), &bytes))
      return bytes;
  }
  return 0;
}

void AddWarning(DeviceView& device, absl::string_view warning) {
  if (warning.empty()) return;
  absl::StrAppend(&device.warning, device.warning.empty() ? "" : "; ", warning);
}

std::set<uint32_t> IndexesOf(const std::vector<DeviceView>& devices) {
  std::set<uint32_t> indexes;
  for (const DeviceView& device : devices)
    if (device.ifindex != 0) indexes.insert(device.ifindex);
  return indexes;
}

}  // namespace

bool PinnedHost::HasV6Services() const {
  auto pin = instance_.OpenPin("services");
  if (!pin.ok()) return false;
  auto services =
      HashMap<xlvs_service_key, xlvs_service>::Open(*std::move(pin));
  if (!services.ok()) return false;
  const auto entries = services->Entries();
  return entries.ok() &&
         std::any_of(entries->begin(), entries->end(), [](const auto& entry) {
           return !IpAddr(entry.first.vaddr).is_v4();
         });
}

void PinnedHost::AddForwardingWarnings(DeviceView& device) const {
  AddWarning(device, ForwardingWarning(device.name, Family::kV4));
  if (HasV6Address(device.ifindex) || HasV6Services())
    AddWarning(device, ForwardingWarning(device.name, Family::kV6));
}

// Without TC programs all goes on, but the first packets to a real server whose
// MAC address is unknown are lost, and one that is the director itself cannot
// answer.
void PinnedHost::AttachHandover(std::vector<DeviceView>& devices) const {
  const auto handover = Handover::Open(instance_);
  for (DeviceView& device : devices) {
    const absl::Status status =
        handover.ok() ? handover->AttachTo(device.name, device.ifindex)
                      : handover.status();
    if (!status.ok()) AddWarning(device, NoHandover(status.message()));
  }
}

std::string PinnedHost::NoHandover(absl::string_view why) {
  return absl::StrCat(
      "no TC programs (", why,
      "): first packets by -g and -i to real servers whose MAC address is "
      "unknown are lost, and real servers on this host do not work with -m");
}

absl::Status PinnedHost::DetachHandover(
    const std::vector<DeviceView>& devices) const {
  XLVS_ASSIGN_OR_RETURN(const Handover handover, Handover::Open(instance_));
  XLVS_RETURN_IF_ERROR(handover.Allow(XLVS_HANDOVER_none));
  for (const DeviceView& device : devices)
    handover.DetachFrom(device.name, device.ifindex);
  return absl::OkStatus();
}

// What a killed attach left: it enters a device as a way out before all else,
// and pins its link at the very end.
absl::Status PinnedHost::ForgetUnfinished() const {
  XLVS_ASSIGN_OR_RETURN(const auto attached, Devices());
  const std::set<uint32_t> known = IndexesOf(attached);
  XLVS_ASSIGN_OR_RETURN(UniqueFd pin, instance_.OpenPin("devices"));
  auto ways_out = HashMap<uint32_t, uint32_t>::Open(std::move(pin));
  if (!ways_out.ok()) return ways_out.status();
  XLVS_ASSIGN_OR_RETURN(const auto entries, ways_out->Entries());
  for (const auto& [ifindex, same] : entries) {
    if (known.contains(ifindex)) continue;
    char name[IF_NAMESIZE] = "";
    if (if_indextoname(ifindex, name) != nullptr)
      XLVS_RETURN_IF_ERROR(DetachHandover({{.name = name,
                                            .ifindex = ifindex,
                                            .mode = {},
                                            .warning = "",
                                            .vlans = {}}}));
    XLVS_RETURN_IF_ERROR(ways_out->Erase(ifindex));
  }
  return absl::OkStatus();
}

// After the attached devices changed, or what stands on them.
absl::Status PinnedHost::FollowDevices() const {
  XLVS_ASSIGN_OR_RETURN(const auto attached, Devices());
  XLVS_RETURN_IF_ERROR(WriteVlans(attached));
  XLVS_ASSIGN_OR_RETURN(const Handover handover, Handover::Open(instance_));
  const std::set<uint32_t> indexes = IndexesOf(attached);
  if (indexes.empty() ||
      !std::all_of(indexes.begin(), indexes.end(),
                   [&](uint32_t ifindex) { return handover.IsOn(ifindex); }))
    return handover.Allow(XLVS_HANDOVER_none);
  const bool generic = std::any_of(
      attached.begin(), attached.end(),
      [](const DeviceView& d) { return d.mode == AttachMode::kGeneric; });
  return handover.Allow(generic ? XLVS_HANDOVER_send : XLVS_HANDOVER_cut);
}

absl::Status PinnedHost::WriteVlans(
    const std::vector<DeviceView>& attached) const {
  XLVS_ASSIGN_OR_RETURN(const auto devices, ListDevices());
  XLVS_ASSIGN_OR_RETURN(UniqueFd pin, instance_.OpenPin("links"));
  auto links = LinkMap::Open(std::move(pin));
  if (!links.ok()) return links.status();
  return WriteLinks(VlansOn(devices, IndexesOf(attached)), *links);
}

// For `xlvs status`.
absl::Status PinnedHost::Describe(std::vector<DeviceView>& devices) const {
  XLVS_ASSIGN_OR_RETURN(const Handover handover, Handover::Open(instance_));
  XLVS_ASSIGN_OR_RETURN(const auto present, ListDevices());
  const auto links = VlansOn(present, IndexesOf(devices));
  for (DeviceView& device : devices) {
    if (device.ifindex == 0) continue;
    AddForwardingWarnings(device);
    if (!handover.IsOn(device.ifindex))
      AddWarning(device, NoHandover("detach and attach the device"));
    for (const NetworkDevice& other : present)
      if (const auto link = links.find(other.ifindex);
          link != links.end() && link->second.ifindex == device.ifindex)
        device.vlans.push_back({.name = other.name,
                                .ifindex = other.ifindex,
                                .tags = TagsText(link->second)});
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> PinnedHost::IsHere(const xlvs_meta& meta) {
  XLVS_ASSIGN_OR_RETURN(const uint64_t cookie, NetnsCookie());
  return cookie == meta.netns_cookie;
}

absl::Status PinnedHost::EnsureInstance(const AttachOptions& options) {
  if (!instance_.Exists()) {
    XLVS_ASSIGN_OR_RETURN(const Sizes sizes,
                          ComputeSizes(options, CpusPossible()));
    XLVS_RETURN_IF_ERROR(instance_.Create(sizes));
    return instance_.StartTimer();
  }
  XLVS_ASSIGN_OR_RETURN(const xlvs_meta meta, instance_.CheckedMeta());
  XLVS_RETURN_IF_ERROR(CheckSize("--conns", options.conns, meta.conns));
  XLVS_RETURN_IF_ERROR(
      CheckSize("--services", options.services, meta.services));
  XLVS_RETURN_IF_ERROR(CheckSize("--dests", options.dests, meta.dests));
  XLVS_RETURN_IF_ERROR(
      CheckSize("--sh-tables", options.hash_tables, meta.hash_tables));
  XLVS_RETURN_IF_ERROR(
      CheckSize("--mh-tables", options.maglev_tables, meta.maglev_tables));
  XLVS_RETURN_IF_ERROR(
      CheckSize("--count-batch", options.count_batch, meta.config.count_batch));
  XLVS_ASSIGN_OR_RETURN(const bool here, IsHere(meta));
  if (!here)
    return absl::FailedPreconditionError(absl::StrCat(
        "director '", instance_.name(),
        "' belongs to another network namespace; give this one another name "
        "with --instance"));
  // A predecessor may have been killed before it came to this.
  XLVS_ASSIGN_OR_RETURN(const bool timer_runs, instance_.TimerRuns());
  return timer_runs ? absl::OkStatus() : instance_.StartTimer();
}

absl::StatusOr<std::vector<DeviceView>> PinnedHost::CheckDevices(
    const std::vector<std::string>& names) const {
  std::vector<DeviceView> devices;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    const std::string what = absl::StrCat("attach ", name);
    if (!seen.insert(name).second)
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": device is named twice"));
    const auto ifindex = DeviceIndex(name);
    if (!ifindex.ok()) return Context(ifindex.status(), what);
    if (const auto link = instance_.OpenPin(Instance::LinkPin(name));
        link.ok()) {
      const auto state = ReadLink(link->get());
      if (state.ok() && state->ifindex == *ifindex)
        return absl::AlreadyExistsError(
            absl::StrCat(what, ": attached already"));
    }
    if (auto status = CheckNoProgram(name, *ifindex); !status.ok())
      return Context(status, what);
    devices.push_back({.name = name,
                       .ifindex = *ifindex,
                       .mode = AttachMode::kNative,
                       .warning = "",
                       .vlans = {}});
    AddForwardingWarnings(devices.back());
  }
  return devices;
}

absl::StatusOr<AttachMode> PinnedHost::ModeFor(AttachMode asked) const {
  XLVS_ASSIGN_OR_RETURN(const auto attached, Devices());
  for (const DeviceView& device : attached) {
    if (device.ifindex == 0) continue;  // gone
    if (asked == AttachMode::kAuto || asked == device.mode) return device.mode;
    return absl::FailedPreconditionError(absl::StrCat(
        "attach: ", device.name, " is attached in ",
        device.mode == AttachMode::kNative ? "native" : "generic",
        " mode, and all devices of a director must be in the same one"));
  }
  return asked;
}

absl::StatusOr<std::vector<UniqueFd>> PinnedHost::AttachAll(
    std::vector<DeviceView>& devices, AttachMode mode) const {
  XLVS_ASSIGN_OR_RETURN(const UniqueFd program, instance_.OpenPin("program"));
  XLVS_ASSIGN_OR_RETURN(const UniqueFd ways_out, instance_.OpenPin("devices"));
  absl::Cleanup close_ways = [&] {
    for (const DeviceView& device : devices)
      (void)bpf_map_delete_elem(ways_out.get(), &device.ifindex);
  };
  // A link that is not pinned yet goes with its descriptor.
  std::vector<UniqueFd> links;
  for (DeviceView& device : devices) {
    // The way out of a device is open before packets come in by another.
    if (bpf_map_update_elem(ways_out.get(), &device.ifindex, &device.ifindex,
                            0) != 0)
      return ErrnoStatus(errno, absl::StrCat("attach ", device.name,
                                             ": enter it as a way out"));
    auto link = AttachProgram(device.ifindex, program.get(), mode);
    if (!link.ok())
      return Context(link.status(), absl::StrCat("attach ", device.name));
    device.mode = mode;
    links.push_back(*std::move(link));
  }
  std::move(close_ways).Cancel();
  return links;
}

absl::Status PinnedHost::PinAll(const std::vector<DeviceView>& devices,
                                const std::vector<UniqueFd>& links) const {
  std::vector<std::string> pinned;
  absl::Cleanup unpin = [&] {
    for (const std::string& path : pinned) unlink(path.c_str());
  };
  for (size_t i = 0; i < devices.size(); ++i) {
    const std::string path =
        instance_.PathOf(Instance::LinkPin(devices[i].name));
    // Of a device of this name that is gone.
    unlink(path.c_str());
    if (const int error = bpf_obj_pin(links[i].get(), path.c_str()); error != 0)
      return ErrnoStatus(error, absl::StrCat("pin ", path));
    pinned.push_back(path);
  }
  std::move(unpin).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DeviceView>> PinnedHost::Attach(
    const AttachOptions& options) {
  XLVS_RETURN_IF_ERROR(CheckPrivilege());
  XLVS_ASSIGN_OR_RETURN(const UniqueFd lock, instance_.Lock());
  XLVS_RETURN_IF_ERROR(instance_.RemoveLeftovers());
  XLVS_ASSIGN_OR_RETURN(std::vector<DeviceView> devices,
                        CheckDevices(options.devices));
  const bool existed = instance_.Exists();
  XLVS_RETURN_IF_ERROR(EnsureInstance(options));
  absl::Cleanup remove_new = [&] {
    if (!existed) (void)instance_.Remove();
  };
  XLVS_RETURN_IF_ERROR(ForgetUnfinished());
  XLVS_ASSIGN_OR_RETURN(const AttachMode mode, ModeFor(options.mode));
  // Not by devices that have no TC programs yet.
  XLVS_RETURN_IF_ERROR(DetachHandover({}));
  auto links = AttachAll(
      devices, mode == AttachMode::kGeneric ? mode : AttachMode::kNative);
  // Only what a driver can't do at all is done without it: for any other
  // refusal the slow way would hide what can be mended.
  if (mode == AttachMode::kAuto && absl::IsUnimplemented(links.status()))
    links = AttachAll(devices, AttachMode::kGeneric);
  if (!links.ok()) return links.status();
  AttachHandover(devices);
  absl::Cleanup detach = [&] { (void)DetachHandover(devices); };
  XLVS_RETURN_IF_ERROR(PinAll(devices, *links));
  std::move(detach).Cancel();
  std::move(remove_new).Cancel();
  XLVS_RETURN_IF_ERROR(FollowDevices());
  return devices;
}

absl::Status PinnedHost::Detach(const std::vector<std::string>& devices,
                                bool purge) {
  XLVS_RETURN_IF_ERROR(CheckPrivilege());
  XLVS_ASSIGN_OR_RETURN(const UniqueFd lock, instance_.Lock());
  XLVS_RETURN_IF_ERROR(instance_.RemoveLeftovers());
  if (!instance_.Exists()) return instance_.CheckedMeta().status();
  for (const std::string& device : devices)
    if (access(instance_.PathOf(Instance::LinkPin(device)).c_str(), F_OK) != 0)
      return absl::NotFoundError(absl::StrCat("detach ", device,
                                              ": not attached; 'xlvs status' "
                                              "shows what is"));
  if (purge) {
    XLVS_ASSIGN_OR_RETURN(const auto attached, Devices());
    for (const DeviceView& device : attached)
      if (!devices.empty() && std::find(devices.begin(), devices.end(),
                                        device.name) == devices.end())
        return absl::FailedPreconditionError(
            absl::StrCat("detach --purge: ", device.name,
                         " is attached too; name it as well, or none"));
    // Maps of another layout, which have none, must go all the same.
    (void)DetachHandover(attached);
    (void)ForgetUnfinished();
    return instance_.Remove();
  }
  XLVS_RETURN_IF_ERROR(instance_.CheckedMeta().status());
  for (const std::string& device : devices) {
    const std::string pin = Instance::LinkPin(device);
    XLVS_ASSIGN_OR_RETURN(const UniqueFd link, instance_.OpenPin(pin));
    const auto state = ReadLink(link.get());
    XLVS_RETURN_IF_ERROR(
        DetachHandover({{.name = device,
                         .ifindex = state.ok() ? state->ifindex : 0,
                         .mode = {},
                         .warning = "",
                         .vlans = {}}}));
    if (unlink(instance_.PathOf(pin).c_str()) != 0)
      return ErrnoStatus(errno, absl::StrCat("detach ", device));
    // Held by us still: the device goes from the ways out first.
    const auto ways_out = instance_.OpenPin("devices");
    if (state.ok() && ways_out.ok())
      (void)bpf_map_delete_elem(ways_out->get(), &state->ifindex);
  }
  return FollowDevices();
}

absl::StatusOr<std::vector<DeviceView>> PinnedHost::Devices() const {
  std::vector<DeviceView> views;
  XLVS_ASSIGN_OR_RETURN(const auto pins, instance_.Pins());
  for (const std::string& pin : pins) {
    const std::string device = Instance::DeviceOfLinkPin(pin);
    if (device.empty()) continue;
    XLVS_ASSIGN_OR_RETURN(const UniqueFd link, instance_.OpenPin(pin));
    XLVS_ASSIGN_OR_RETURN(const LinkState state, ReadLink(link.get()));
    views.push_back({.name = device,
                     .ifindex = state.ifindex,
                     .mode = state.mode,
                     .warning = "",
                     .vlans = {}});
  }
  return views;
}

absl::StatusOr<StatusView> PinnedHost::Status() {
  XLVS_ASSIGN_OR_RETURN(const xlvs_meta meta, instance_.CheckedMeta());
  XLVS_ASSIGN_OR_RETURN(
      const std::unique_ptr<MapDirector> director,
      MapDirector::Open(instance_, /*for_writing=*/false, UniqueFd()));
  StatusView view;
  view.instance = instance_.name();
  view.pin_path = instance_.path();
  XLVS_ASSIGN_OR_RETURN(view.devices, Devices());
  XLVS_RETURN_IF_ERROR(Describe(view.devices));
  view.services = director->services_in_use();
  view.services_max = meta.services;
  view.dests = director->dests_in_use();
  view.dests_max = meta.dests;
  const MapDirector::ConnCounts in_use = director->conns_in_use();
  view.conns = in_use.conns;
  view.templates = in_use.templates;
  view.conns_planned = meta.conns;
  view.conn_slots =
      static_cast<uint64_t>(meta.config.buckets) * XLVS_CONNS_PER_BUCKET;
  XLVS_ASSIGN_OR_RETURN(const auto flood, instance_.MapArray<xlvs_flood>(
                                              "flood", /*writable=*/false));
  view.embryonic = std::max(0, LoadWord(flood[0].embryonic));
  view.embryonic_max = director->embryonic_max();
  view.hash_tables = director->tables_in_use(XLVS_ROOM_hash);
  view.hash_tables_max = meta.hash_tables;
  view.maglev_tables = director->tables_in_use(XLVS_ROOM_maglev);
  view.maglev_tables_max = meta.maglev_tables;
  view.marks = director->marks_in_use();
  view.marks_max = XLVS_MARKS;
  view.count_batch = meta.config.count_batch;
  view.cpus = meta.config.cpus;

  XLVS_ASSIGN_OR_RETURN(const auto pins, instance_.Pins());
  for (const std::string& pin : pins) {
    if (!Instance::IsMapPin(pin)) continue;
    XLVS_ASSIGN_OR_RETURN(const UniqueFd map, instance_.OpenPin(pin));
    const uint64_t bytes = MapBytes(map.get());
    view.memory_bytes += bytes;
    if (pin == "conns" || pin == "heads") view.conn_bytes += bytes;
  }

  XLVS_ASSIGN_OR_RETURN(view.timer_running, instance_.TimerRuns());

  XLVS_ASSIGN_OR_RETURN(const UniqueFd steps, instance_.OpenPin("steps"));
  XLVS_RETURN_IF_ERROR(ReadEndings<xlvs_step_counters>(
      steps.get(), meta.config.cpus, kEndings, view));
  return view;
}

absl::StatusOr<std::unique_ptr<Director>> PinnedHost::Open(bool for_writing) {
  UniqueFd lock;
  if (for_writing) {
    XLVS_RETURN_IF_ERROR(CheckPrivilege());
    XLVS_ASSIGN_OR_RETURN(lock, instance_.Lock());
    XLVS_ASSIGN_OR_RETURN(const xlvs_meta meta, instance_.CheckedMeta());
    XLVS_ASSIGN_OR_RETURN(const bool here, IsHere(meta));
    if (!here)
      return absl::FailedPreconditionError(absl::StrCat(
          "director '", instance_.name(),
          "' belongs to another network namespace: change it there, where its "
          "devices and routes are (nsenter --net=/run/netns/NAME)"));
    XLVS_RETURN_IF_ERROR(FollowDevices());
  }
  auto director = MapDirector::Open(instance_, for_writing, std::move(lock));
  if (!director.ok()) return director.status();
  return std::unique_ptr<Director>(*std::move(director));
}

}  // namespace xlvs
