// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/device.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"

namespace xlvs {
namespace {

// What to do about a driver's refusal.
absl::string_view Advice(const absl::Status& status) {
  if (absl::IsUnimplemented(status))
    return " (the driver has no native XDP; try --mode generic)";
  if (absl::IsPermissionDenied(status)) return " (run as root)";
  return " (an MTU above about 3500 or LRO can be the reason; try 'ip link set "
         "mtu', 'ethtool -K DEVICE lro off', or --mode generic)";
}

}  // namespace

absl::StatusOr<uint32_t> DeviceIndex(const std::string& device) {
  const uint32_t ifindex = if_nametoindex(device.c_str());
  if (ifindex == 0)
    return absl::NotFoundError(absl::StrCat(
        "no device '", device, "' here; 'ip link' shows those there are"));
  return ifindex;
}

std::string ProgramName(uint32_t id) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof(info);
  if (!fd.valid() || bpf_obj_get_info_by_fd(fd.get(), &info, &info_bytes) != 0)
    return "?";
  return info.name;
}

absl::StatusOr<std::array<uint8_t, 6>> DeviceMac(const std::string& device) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (!fd.valid() || ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0)
    return ErrnoStatus(errno,
                       absl::StrCat("ask for the MAC address of ", device));
  std::array<uint8_t, 6> mac;
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

absl::Status CheckNoProgram(const std::string& device, uint32_t ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (const int error = bpf_xdp_query(static_cast<int>(ifindex), 0, &query);
      error != 0)
    return ErrnoStatus(error, "ask which XDP program is attached");
  if (query.attach_mode == XDP_ATTACHED_NONE) return absl::OkStatus();
  const uint32_t id = query.prog_id != 0       ? query.prog_id
                      : query.drv_prog_id != 0 ? query.drv_prog_id
                                               : query.skb_prog_id;
  return absl::FailedPreconditionError(
      absl::StrCat("XDP program '", ProgramName(id), "' (id ", id,
                   ") is attached already; remove it first ('ip link set dev ",
                   device, " xdp off', or the program's own way)"));
}

absl::StatusOr<UniqueFd> AttachProgram(uint32_t ifindex, int program_fd,
                                       AttachMode mode) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags =
      mode == AttachMode::kNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  UniqueFd link(bpf_link_create(program_fd, static_cast<int>(ifindex), BPF_XDP,
                                &options));
  if (link.valid()) return link;
  const absl::Status refusal = ErrnoStatus(errno, "XDP");
  return absl::Status(refusal.code(),
                      absl::StrCat(refusal.message(), Advice(refusal)));
}

absl::StatusOr<LinkState> ReadLink(int link_fd) {
  bpf_link_info info = {};
  uint32_t info_bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(link_fd, &info, &info_bytes) != 0)
    return ErrnoStatus(errno, "read link");
  LinkState state = {.ifindex = info.xdp.ifindex};
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (state.ifindex != 0 &&
      bpf_xdp_query(static_cast<int>(state.ifindex), 0, &query) == 0 &&
      query.attach_mode == XDP_ATTACHED_SKB)
    state.mode = AttachMode::kGeneric;
  return state;
}

}  // namespace xlvs
