// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/pinned_decapsulator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "loader/base/status.h"
#include "loader/datapath/decap_object.h"
#include "loader/datapath/device.h"
#include "loader/datapath/endings.h"
#include "loader/datapath/mapped.h"
#include "loader/net/netns.h"

namespace xlvs {
namespace {

constexpr Ending kEndings[] = {
#define XLVS_X(name, action, text) {#name, #action, text},
    XLVS_DECAP_STEPS(XLVS_X)
#undef XLVS_X
};

constexpr char kDetachFirst[] =
    "; what is given at the first attach holds until all devices are detached";

std::string Text(const std::vector<IpAddr>& addrs) {
  if (addrs.empty()) return "any";
  return absl::StrJoin(addrs, ",", [](std::string* out, const IpAddr& addr) {
    out->append(addr.ToString());
  });
}

std::vector<IpAddr> Sorted(std::vector<IpAddr> addrs) {
  std::sort(addrs.begin(), addrs.end());
  addrs.erase(std::unique(addrs.begin(), addrs.end()), addrs.end());
  return addrs;
}

// `asked` empty: as it is.
absl::Status CheckAddrs(absl::string_view option,
                        const std::vector<IpAddr>& asked,
                        const std::vector<IpAddr>& present) {
  if (asked.empty() || asked == present) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("attach: ", option, " ", Text(asked), ": it is ",
                   Text(present), " here already", kDetachFirst));
}

absl::Status CheckCount(absl::string_view option,
                        const std::vector<IpAddr>& addrs) {
  if (addrs.size() <= XLVS_DECAP_ADDRS) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("attach: ", option, ": at most ", XLVS_DECAP_ADDRS,
                   " addresses, not ", addrs.size()));
}

}  // namespace

PinnedDecapsulator::PinnedDecapsulator(const std::string& instance)
    : instance_(instance), pins_(absl::StrCat(instance, "-decap")) {}

absl::StatusOr<std::vector<std::string>> PinnedDecapsulator::AttachedNames()
    const {
  std::vector<std::string> names;
  XLVS_ASSIGN_OR_RETURN(const auto pins, pins_.Pins());
  for (const std::string& pin : pins)
    if (std::string device = PinDirectory::DeviceOfLinkPin(pin);
        !device.empty())
      names.push_back(std::move(device));
  return names;
}

absl::StatusOr<DeviceView> PinnedDecapsulator::CheckDevice(
    const std::string& name) const {
  XLVS_ASSIGN_OR_RETURN(const uint32_t ifindex, DeviceIndex(name));
  if (const auto link = pins_.OpenPin(PinDirectory::LinkPin(name)); link.ok()) {
    const auto state = ReadLink(link->get());
    if (state.ok() && state->ifindex == ifindex)
      return absl::AlreadyExistsError(
          absl::StrCat("attached already; for other directors or addresses run "
                       "'xlvs decap detach ",
                       name, "' first"));
  }
  XLVS_RETURN_IF_ERROR(CheckNoProgram(name, ifindex));
  return DeviceView{.name = name,
                    .ifindex = ifindex,
                    .mode = AttachMode::kNative,
                    .warning = "",
                    .vlans = {}};
}

absl::Status PinnedDecapsulator::EnsureDirectory(
    const DecapOptions& options) const {
  const std::vector<IpAddr> from = Sorted(options.from);
  const std::vector<IpAddr> vips = Sorted(options.vips);
  if (!pins_.Exists()) {
    if (from.empty())
      return absl::InvalidArgumentError(
          "attach: which directors may send tunnelled packets? (--from "
          "192.0.2.1,192.0.2.2)");
    XLVS_RETURN_IF_ERROR(CheckCount("--from", from));
    XLVS_RETURN_IF_ERROR(CheckCount("--vip", vips));
    XLVS_RETURN_IF_ERROR(CheckBpfFs());
    DecapOptions complete = options;
    if (complete.tun_port == 0) complete.tun_port = XLVS_DECAP_PORT;
    complete.from = from;
    complete.vips = vips;
    XLVS_ASSIGN_OR_RETURN(const DecapObject object,
                          DecapObject::Load(complete));
    return pins_.Make(object.Pins());
  }
  XLVS_ASSIGN_OR_RETURN(const xlvs_decap_meta meta, CheckedMeta());
  XLVS_ASSIGN_OR_RETURN(const uint64_t cookie, NetnsCookie());
  if (cookie != meta.netns_cookie)
    return absl::FailedPreconditionError(absl::StrCat(
        "attach: decapsulator '", instance_,
        "' belongs to another network namespace; give this one another name "
        "with --instance"));
  XLVS_ASSIGN_OR_RETURN(const auto present_from, Addrs("from"));
  XLVS_RETURN_IF_ERROR(CheckAddrs("--from", from, present_from));
  XLVS_ASSIGN_OR_RETURN(const auto present_vips, Addrs("vips"));
  XLVS_RETURN_IF_ERROR(CheckAddrs("--vip", vips, present_vips));
  if (options.tun_port != 0 && options.tun_port != meta.config.tun_port)
    return absl::FailedPreconditionError(
        absl::StrCat("attach: --tun-port ", options.tun_port, ": it is ",
                     meta.config.tun_port, " here already", kDetachFirst));
  return absl::OkStatus();
}

absl::Status PinnedDecapsulator::AttachAndPin(DeviceView& device,
                                              AttachMode asked) const {
  XLVS_ASSIGN_OR_RETURN(const UniqueFd program, pins_.OpenPin("program"));
  XLVS_ASSIGN_OR_RETURN(const UniqueFd devices, pins_.OpenPin("devs"));
  xlvs_decap_device entry = {};
  XLVS_ASSIGN_OR_RETURN(const auto mac, DeviceMac(device.name));
  std::copy(mac.begin(), mac.end(), entry.mac);
  // Known before its packets come.
  if (bpf_map_update_elem(devices.get(), &device.ifindex, &entry, 0) != 0)
    return ErrnoStatus(errno, "enter its MAC address");
  absl::Cleanup forget = [&] {
    (void)bpf_map_delete_elem(devices.get(), &device.ifindex);
  };
  device.mode = asked == AttachMode::kGeneric ? asked : AttachMode::kNative;
  auto link = AttachProgram(device.ifindex, program.get(), device.mode);
  if (asked == AttachMode::kAuto && absl::IsUnimplemented(link.status())) {
    device.mode = AttachMode::kGeneric;
    link = AttachProgram(device.ifindex, program.get(), device.mode);
  }
  if (!link.ok()) return link.status();
  XLVS_RETURN_IF_ERROR(
      pins_.Pin(PinDirectory::LinkPin(device.name), link->get()));
  std::move(forget).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<DeviceView> PinnedDecapsulator::Attach(
    const DecapOptions& options) {
  XLVS_RETURN_IF_ERROR(CheckPrivilege());
  XLVS_ASSIGN_OR_RETURN(const UniqueFd lock, pins_.Lock());
  XLVS_RETURN_IF_ERROR(pins_.RemoveLeftovers());
  auto device = CheckDevice(options.device);
  const std::string what = absl::StrCat("attach ", options.device);
  if (!device.ok()) return Context(device.status(), what);
  if (pins_.Exists()) {
    // Without devices: of a predecessor that was killed.
    XLVS_ASSIGN_OR_RETURN(const auto names, AttachedNames());
    if (names.empty()) XLVS_RETURN_IF_ERROR(pins_.Remove());
  }
  const bool existed = pins_.Exists();
  XLVS_RETURN_IF_ERROR(EnsureDirectory(options));
  if (auto status = AttachAndPin(*device, options.mode); !status.ok()) {
    if (!existed) (void)pins_.Remove();
    return Context(status, what);
  }
  return device;
}

absl::Status PinnedDecapsulator::Detach(const std::string& device) {
  XLVS_RETURN_IF_ERROR(CheckPrivilege());
  XLVS_ASSIGN_OR_RETURN(const UniqueFd lock, pins_.Lock());
  XLVS_RETURN_IF_ERROR(pins_.RemoveLeftovers());
  if (!pins_.Exists()) return CheckedMeta().status();
  XLVS_ASSIGN_OR_RETURN(const auto names, AttachedNames());
  if (std::find(names.begin(), names.end(), device) == names.end())
    return absl::NotFoundError(
        absl::StrCat("detach ", device,
                     ": not attached; 'xlvs decap status' shows what is"));
  if (names.size() == 1) return pins_.Remove();
  const std::string pin = PinDirectory::LinkPin(device);
  XLVS_ASSIGN_OR_RETURN(const UniqueFd link, pins_.OpenPin(pin));
  XLVS_ASSIGN_OR_RETURN(const LinkState state, ReadLink(link.get()));
  if (unlink(pins_.PathOf(pin).c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("detach ", device));
  XLVS_ASSIGN_OR_RETURN(const UniqueFd devices, pins_.OpenPin("devs"));
  (void)bpf_map_delete_elem(devices.get(), &state.ifindex);
  return absl::OkStatus();
}

absl::StatusOr<xlvs_decap_meta> PinnedDecapsulator::CheckedMeta() const {
  if (!pins_.Exists()) {
    XLVS_RETURN_IF_ERROR(CheckPrivilege());
    XLVS_RETURN_IF_ERROR(CheckBpfFs());
    return absl::FailedPreconditionError(absl::StrCat(
        "no decapsulator '", instance_, "' on this host: run 'xlvs ",
        instance_ == "xlvs" ? "" : absl::StrCat("--instance ", instance_, " "),
        "decap attach DEVICE --from DIRECTOR' first"));
  }
  XLVS_ASSIGN_OR_RETURN(const UniqueFd fd, pins_.OpenPin("meta"));
  const auto info = CheckedMapInfo(fd.get(), 4, sizeof(xlvs_decap_meta));
  xlvs_decap_meta meta = {};
  const uint32_t zero = 0;
  if (!info.ok() || bpf_map_lookup_elem(fd.get(), &zero, &meta) != 0 ||
      meta.layout_version != XLVS_DECAP_LAYOUT_VERSION)
    return absl::FailedPreconditionError(absl::StrCat(
        "the maps in ", pins_.path(),
        " have another layout than this program's: use the xlvs that made "
        "them, or detach by 'rm -r ",
        pins_.path(), "'"));
  return meta;
}

absl::StatusOr<std::vector<IpAddr>> PinnedDecapsulator::Addrs(
    absl::string_view pin) const {
  XLVS_ASSIGN_OR_RETURN(UniqueFd fd, pins_.OpenPin(pin));
  XLVS_ASSIGN_OR_RETURN(const auto map,
                        (HashMap<xlvs_addr, uint32_t>::Open(std::move(fd))));
  XLVS_ASSIGN_OR_RETURN(const auto entries, map.Entries());
  std::vector<IpAddr> addrs;
  for (const auto& [addr, present] : entries) addrs.emplace_back(addr);
  return Sorted(std::move(addrs));
}

absl::Status PinnedDecapsulator::ReadEndings(DecapView& view) const {
  XLVS_ASSIGN_OR_RETURN(const UniqueFd fd, pins_.OpenPin("ends"));
  XLVS_RETURN_IF_ERROR(
      CheckedMapInfo(fd.get(), 4, sizeof(xlvs_decap_counters)).status());
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return ErrnoStatus(cpus, "count CPUs");
  return xlvs::ReadEndings<xlvs_decap_counters>(fd.get(), cpus, kEndings, view);
}

absl::StatusOr<DecapView> PinnedDecapsulator::Status() {
  XLVS_ASSIGN_OR_RETURN(const xlvs_decap_meta meta, CheckedMeta());
  DecapView view;
  view.instance = instance_;
  view.pin_path = pins_.path();
  view.tun_port = static_cast<uint16_t>(meta.config.tun_port);
  XLVS_ASSIGN_OR_RETURN(view.from, Addrs("from"));
  XLVS_ASSIGN_OR_RETURN(view.vips, Addrs("vips"));
  XLVS_ASSIGN_OR_RETURN(const auto names, AttachedNames());
  XLVS_ASSIGN_OR_RETURN(const UniqueFd devices, pins_.OpenPin("devs"));
  for (const std::string& name : names) {
    XLVS_ASSIGN_OR_RETURN(const UniqueFd link,
                          pins_.OpenPin(PinDirectory::LinkPin(name)));
    XLVS_ASSIGN_OR_RETURN(const LinkState state, ReadLink(link.get()));
    DeviceView device = {.name = name,
                         .ifindex = state.ifindex,
                         .mode = state.mode,
                         .warning = "",
                         .vlans = {}};
    xlvs_decap_device entry = {};
    const auto mac = DeviceMac(name);
    if (state.ifindex != 0 && mac.ok() &&
        bpf_map_lookup_elem(devices.get(), &state.ifindex, &entry) == 0 &&
        !std::equal(mac->begin(), mac->end(), entry.mac))
      device.warning =
          "its MAC address has changed, nothing is decapsulated: detach it "
          "and attach it again";
    view.devices.push_back(std::move(device));
  }
  XLVS_RETURN_IF_ERROR(ReadEndings(view));
  return view;
}

}  // namespace xlvs
