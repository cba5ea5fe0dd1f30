// SPDX-License-Identifier: Apache-2.0
//
// A Host and its Director in memory, with the error codes that
// loader/model/director.h promises. Tests look at the members, set errors, and
// read what was called from `calls`.
#ifndef XLVS_TESTS_UNIT_FAKE_HOST_H_
#define XLVS_TESTS_UNIT_FAKE_HOST_H_

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "loader/model/decapsulator.h"
#include "loader/model/director.h"
#include "loader/model/host.h"

namespace xlvs {

inline std::string ToText(const IpAddr& addr, uint16_t port) {
  return addr.is_v4() ? absl::StrCat(addr.ToString(), ":", port)
                      : absl::StrCat("[", addr.ToString(), "]:", port);
}

inline std::string ToText(const ServiceKey& key) {
  if (key.fwmark != 0)
    return absl::StrCat("mark ", key.fwmark,
                        key.vaddr == IpAddr::FromV4(0) ? "" : " v6");
  return absl::StrCat(Name(key.protocol), " ", ToText(key.vaddr, key.vport));
}

inline std::string ToText(const Service& service) {
  std::string flags = absl::StrJoin(SchedFlagNames(service), ",");
  if (!flags.empty()) flags = " " + flags;
  if (service.persistent_s != 0)
    absl::StrAppend(&flags, " persistent=", service.persistent_s);
  const bool is_v4 = service.key.vaddr.is_v4();
  if (service.persist_mask != FullMask(is_v4))
    absl::StrAppend(&flags, " mask=",
                    is_v4 ? IpAddr::FromV4(service.persist_mask).ToString()
                          : absl::StrCat(service.persist_mask));
  if (service.one_packet) absl::StrAppend(&flags, " ops");
  return absl::StrCat(ToText(service.key), " ", Name(service.scheduler), flags);
}

inline std::string ToText(const DestKey& key) {
  return ToText(key.daddr, key.dport);
}

inline std::string ToText(const Tunnel& tunnel) {
  if (tunnel == Tunnel()) return "ipip";
  return absl::StrCat(Name(tunnel.type), " port=", tunnel.port,
                      " checksum=", static_cast<int>(tunnel.checksum));
}

inline std::string MethodText(const Dest& dest) {
  if (dest.method == Method::kTunnel) return "tunnel " + ToText(dest.tunnel);
  const std::string tunnel =
      dest.tunnel == Tunnel() ? "" : " with " + ToText(dest.tunnel);
  return (dest.method == Method::kMasq ? "masq" : "route") + tunnel;
}

inline std::string ToText(const Dest& dest) {
  std::string text =
      absl::StrCat(ToText(dest.key), " ", MethodText(dest), " w=", dest.weight);
  if (dest.u_threshold != 0) absl::StrAppend(&text, " x=", dest.u_threshold);
  if (dest.l_threshold != 0) absl::StrAppend(&text, " y=", dest.l_threshold);
  return text;
}

inline std::string ToText(const MarkRule& rule) {
  return absl::StrCat(rule.fwmark, " ", Name(rule.protocol), " ",
                      rule.network.ToString(), "/", rule.prefix_bits, " ",
                      rule.port_first, "-", rule.port_last);
}

// What outlives an opened Director.
struct FakeState {
  std::vector<ServiceView> services;
  std::unordered_map<ServiceKey, size_t, absl::Hash<ServiceKey>> places;
  std::vector<ConnView> conns;
  Timeouts timeouts = {900, 120, 300};
  TableInfo table = {4096};
  std::vector<MarkRule> marks;
  size_t marks_max = 1024;
  std::vector<SettingView> settings = {
      {"expire_nodest_conn", 0, 0, 0, 0x7fffffff,
       "1: connections of a removed real server end at once"},
      {"conn_reuse_mode", 1, 1, 0, 0x7fffffff,
       "a SYN on an ended connection: 0 old server, 1 new, 2 also in FIN_WAIT"},
      {"drop_entry", 0, 0, 0, 3,
       "defence, end embryonic connections: as secure_tcp"},
      {"drop_packet", 0, 0, 0, 3, "defence, drop first packets: as secure_tcp"},
      {"am_droprate", 10, 10, 1, 0x7fffffff,
       "drop_packet 3: of this many, one"},
      {"service_embryonic_max", 250, 250, 0, 0x7fffffff,
       "SYN_RECV connections of a service; 0: a quarter of --conns", true}};
  absl::Status fails;  // if not OK, every call ends with it
  std::vector<std::string> calls;
};

class FakeDirector : public Director {
 public:
  explicit FakeDirector(FakeState& state) : state_(state) {}

  absl::Status AddService(const Service& service) override {
    if (auto status = Record("add", ToText(service)); !status.ok())
      return status;
    if (Find(service.key) != nullptr)
      return absl::AlreadyExistsError("service exists");
    state_.places.emplace(service.key, state_.services.size());
    state_.services.push_back({service, {}, {}, {}});
    return absl::OkStatus();
  }

  absl::Status EditService(const Service& service) override {
    if (auto status = Record("edit", ToText(service)); !status.ok())
      return status;
    ServiceView* view = Find(service.key);
    if (view == nullptr) return absl::NotFoundError("no such service");
    view->service = service;
    return absl::OkStatus();
  }

  absl::Status DeleteService(const ServiceKey& key) override {
    if (auto status = Record("delete", ToText(key)); !status.ok())
      return status;
    const auto gone = std::remove_if(
        state_.services.begin(), state_.services.end(),
        [&](const ServiceView& view) { return view.service.key == key; });
    if (gone == state_.services.end())
      return absl::NotFoundError("no such service");
    state_.services.erase(gone, state_.services.end());
    return absl::OkStatus();
  }

  absl::Status Clear() override {
    if (auto status = Record("clear", ""); !status.ok()) return status;
    state_.services.clear();
    return absl::OkStatus();
  }

  absl::Status AddDest(const ServiceKey& key, const Dest& dest) override {
    if (auto status = Record("add-dest", ToText(key) + " -> " + ToText(dest));
        !status.ok())
      return status;
    ServiceView* view = Find(key);
    if (view == nullptr)
      return absl::FailedPreconditionError("no such service");
    if (FindDest(*view, dest.key) != view->dests.end())
      return absl::AlreadyExistsError("dest exists");
    view->dests.insert(view->dests.begin(), {dest, 0, 0, 0, {}, {}});
    return absl::OkStatus();
  }

  absl::Status EditDest(const ServiceKey& key, const Dest& dest) override {
    if (auto status = Record("edit-dest", ToText(key) + " -> " + ToText(dest));
        !status.ok())
      return status;
    ServiceView* view = Find(key);
    if (view == nullptr)
      return absl::FailedPreconditionError("no such service");
    const auto found = FindDest(*view, dest.key);
    if (found == view->dests.end()) return absl::NotFoundError("no such dest");
    found->dest = dest;
    return absl::OkStatus();
  }

  absl::Status DeleteDest(const ServiceKey& key, const DestKey& dest) override {
    if (auto status =
            Record("delete-dest", ToText(key) + " -> " + ToText(dest));
        !status.ok())
      return status;
    ServiceView* view = Find(key);
    if (view == nullptr)
      return absl::FailedPreconditionError("no such service");
    const auto found = FindDest(*view, dest);
    if (found == view->dests.end()) return absl::NotFoundError("no such dest");
    view->dests.erase(found);
    return absl::OkStatus();
  }

  absl::Status Zero(const std::optional<ServiceKey>& key) override {
    if (auto status = Record("zero", key ? ToText(*key) : "all"); !status.ok())
      return status;
    if (key && Find(*key) == nullptr)
      return absl::NotFoundError("no such service");
    return absl::OkStatus();
  }

  absl::Status SetTimeouts(const Timeouts& timeouts) override {
    if (auto status = Record(
            "timeouts", absl::StrCat(timeouts.tcp_s, " ", timeouts.tcp_fin_s,
                                     " ", timeouts.udp_s));
        !status.ok())
      return status;
    if (timeouts.tcp_s != 0) state_.timeouts.tcp_s = timeouts.tcp_s;
    if (timeouts.tcp_fin_s != 0) state_.timeouts.tcp_fin_s = timeouts.tcp_fin_s;
    if (timeouts.udp_s != 0) state_.timeouts.udp_s = timeouts.udp_s;
    return absl::OkStatus();
  }

  absl::Status AddMark(const MarkRule& rule) override {
    if (auto status = Record("add-mark", ToText(rule)); !status.ok())
      return status;
    if (FindMark(rule) != state_.marks.end())
      return absl::AlreadyExistsError("rule exists");
    if (state_.marks.size() >= state_.marks_max)
      return absl::ResourceExhaustedError("no room for another rule");
    state_.marks.push_back(rule);
    return absl::OkStatus();
  }
  absl::Status DeleteMark(const MarkRule& rule) override {
    if (auto status = Record("delete-mark", ToText(rule)); !status.ok())
      return status;
    const auto found = FindMark(rule);
    if (found == state_.marks.end()) return absl::NotFoundError("no such rule");
    state_.marks.erase(found);
    return absl::OkStatus();
  }
  absl::Status ClearMarks(std::optional<uint32_t> fwmark) override {
    if (auto status =
            Record("clear-marks", fwmark ? absl::StrCat(*fwmark) : "all");
        !status.ok())
      return status;
    std::erase_if(state_.marks, [&](const MarkRule& rule) {
      return !fwmark || rule.fwmark == *fwmark;
    });
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<MarkRule>> Marks() override {
    if (!state_.fails.ok()) return state_.fails;
    return state_.marks;
  }
  absl::Status Set(absl::string_view name, uint32_t value) override {
    if (auto status = Record("set", absl::StrCat(name, " ", value));
        !status.ok())
      return status;
    for (SettingView& setting : state_.settings) {
      if (setting.name != name) continue;
      if (value < setting.min || value > setting.max)
        return absl::OutOfRangeError("no value for it");
      setting.value = value;
      return absl::OkStatus();
    }
    return absl::NotFoundError("no such key");
  }
  absl::StatusOr<std::vector<SettingView>> Settings() override {
    if (!state_.fails.ok()) return state_.fails;
    return state_.settings;
  }
  absl::StatusOr<TableInfo> Table() override {
    if (!state_.fails.ok()) return state_.fails;
    return state_.table;
  }
  absl::StatusOr<Timeouts> GetTimeouts() override {
    if (!state_.fails.ok()) return state_.fails;
    return state_.timeouts;
  }
  absl::StatusOr<std::vector<ServiceView>> Services() override {
    if (!state_.fails.ok()) return state_.fails;
    return state_.services;
  }
  absl::StatusOr<ServiceView> FindService(const ServiceKey& key) override {
    if (!state_.fails.ok()) return state_.fails;
    const ServiceView* view = Find(key);
    if (view == nullptr) return absl::NotFoundError("no such service");
    return *view;
  }
  absl::StatusOr<std::vector<ConnView>> Conns() override {
    if (!state_.fails.ok()) return state_.fails;
    return state_.conns;
  }

 private:
  absl::Status Record(const std::string& verb, const std::string& what) {
    state_.calls.push_back(what.empty() ? verb : verb + " " + what);
    return state_.fails;
  }

  ServiceView* Find(const ServiceKey& key) {
    // Tests of large tables must not wait for this.
    auto& places = state_.places;
    if (places.size() != state_.services.size()) {
      places.clear();
      for (const ServiceView& view : state_.services)
        places.emplace(view.service.key, places.size());
    }
    const auto place = places.find(key);
    return place == places.end() ? nullptr : &state_.services[place->second];
  }

  static std::vector<DestView>::iterator FindDest(ServiceView& view,
                                                  const DestKey& key) {
    return std::find_if(
        view.dests.begin(), view.dests.end(),
        [&](const DestView& dest) { return dest.dest.key == key; });
  }

  std::vector<MarkRule>::iterator FindMark(const MarkRule& rule) {
    return std::find(state_.marks.begin(), state_.marks.end(), rule);
  }

  FakeState& state_;
};

class FakeDecapsulator : public Decapsulator {
 public:
  absl::StatusOr<DeviceView> Attach(const DecapOptions& options) override {
    attached_with = options;
    if (!fails.ok()) return fails;
    DeviceView view;
    view.name = options.device;
    view.ifindex = 2;
    view.mode = options.mode == AttachMode::kAuto ? gets : options.mode;
    return view;
  }
  absl::Status Detach(const std::string& device) override {
    detached = device;
    return fails;
  }
  absl::StatusOr<DecapView> Status() override {
    if (!fails.ok()) return fails;
    return status;
  }

  absl::Status fails;                     // if not OK, every call ends with it
  AttachMode gets = AttachMode::kNative;  // what kAuto leads to
  DecapOptions attached_with;
  std::string detached;
  DecapView status;
};

class FakeHost : public Host {
 public:
  absl::StatusOr<std::vector<DeviceView>> Attach(
      const AttachOptions& options) override {
    attached_with = options;
    if (!fails.ok()) return fails;
    std::vector<DeviceView> views;
    for (const std::string& device : options.devices) {
      DeviceView view;
      view.name = device;
      view.ifindex = 2;
      view.mode = options.mode == AttachMode::kAuto ? gets : options.mode;
      view.warning = warning;
      views.push_back(view);
    }
    return views;
  }

  absl::Status Detach(const std::vector<std::string>& devices,
                      bool purge) override {
    detached = absl::StrCat(absl::StrJoin(devices, ","), purge ? " purge" : "");
    return fails;
  }

  absl::StatusOr<StatusView> Status() override {
    if (!fails.ok()) return fails;
    return status;
  }

  absl::StatusOr<std::unique_ptr<Director>> Open(bool for_writing) override {
    opened += for_writing ? "w" : "r";
    if (!fails.ok()) return fails;
    return std::make_unique<FakeDirector>(state);
  }

  FakeDecapsulator decapsulator;
  FakeState state;
  absl::Status fails;  // if not OK, every call of Host ends with it
  AttachMode gets = AttachMode::kNative;  // what kAuto leads to
  std::string warning;                    // of every attached device
  AttachOptions attached_with;
  std::string detached;
  StatusView status;
  std::string opened;  // a letter a call of Open
};

}  // namespace xlvs

#endif  // XLVS_TESTS_UNIT_FAKE_HOST_H_
