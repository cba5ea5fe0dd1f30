// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/decap_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/pins.h"
#include "loader/net/netns.h"
// The contract before the skeleton, which names our structs without defining
// them.
#include "maps/decap.h"
// The skeleton last.
#include "decap.skel.h"

namespace xlvs {
namespace {

constexpr absl::string_view kMapPrefix = "xlvs_decap_";

absl::Status FillAddrs(const bpf_map* map, const std::vector<IpAddr>& addrs) {
  const uint32_t present = 1;
  for (const IpAddr& addr : addrs)
    if (bpf_map_update_elem(bpf_map__fd(map), &addr.raw(), &present, 0) != 0)
      return ErrnoStatus(errno,
                         absl::StrCat("enter the address ", addr.ToString()));
  return absl::OkStatus();
}

}  // namespace

void DecapObject::Closer::operator()(xlvs_decap* object) const {
  xlvs_decap__destroy(object);
}

absl::StatusOr<DecapObject> DecapObject::Load(const DecapOptions& options) {
  xlvs_decap* raw = xlvs_decap__open();
  if (raw == nullptr) return ErrnoStatus(errno, "open BPF object");
  DecapObject object(raw);
  xlvs_decap_config& config = raw->rodata->xlvs_decap_cfg;
  config.tun_port = options.tun_port;
  config.vips = options.vips.size();
  if (const int error = xlvs_decap__load(raw); error != 0)
    return LoadError(error);
  XLVS_RETURN_IF_ERROR(object.FillMaps(options));
  return object;
}

absl::Status DecapObject::FillMaps(const DecapOptions& options) const {
  const auto& maps = object_->maps;
  XLVS_RETURN_IF_ERROR(FillAddrs(maps.xlvs_decap_from, options.from));
  XLVS_RETURN_IF_ERROR(FillAddrs(maps.xlvs_decap_vips, options.vips));
  xlvs_decap_meta meta = {.layout_version = XLVS_DECAP_LAYOUT_VERSION,
                          .pad0 = 0,
                          .netns_cookie = 0,
                          .version = {},
                          .config = object_->rodata->xlvs_decap_cfg};
  XLVS_ASSIGN_OR_RETURN(meta.netns_cookie, NetnsCookie());
  std::memcpy(meta.version, kVersion.data(), kVersion.size());
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(maps.xlvs_decap_meta), &zero, &meta, 0) !=
      0)
    return ErrnoStatus(errno, "write map entry");
  return absl::OkStatus();
}

std::vector<std::pair<std::string, int>> DecapObject::Pins() const {
  std::vector<std::pair<std::string, int>> pins = {
      {"program", bpf_program__fd(object_->progs.xlvs_decapsulator)}};
  const bpf_map* map;
  bpf_object__for_each_map(map, object_->obj) {
    if (!bpf_map__is_internal(map))
      pins.emplace_back(absl::StripPrefix(bpf_map__name(map), kMapPrefix),
                        bpf_map__fd(map));
  }
  return pins;
}

}  // namespace xlvs
