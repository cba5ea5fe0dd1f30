// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/vlans.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"

namespace xlvs {
namespace {

using DevicesByIndex = std::map<uint32_t, const NetworkDevice*>;

// Goes down from `device` until it meets one of `attached`.
std::optional<xlvs_link> WayDown(const NetworkDevice& device,
                                 const DevicesByIndex& devices,
                                 const std::set<uint32_t>& attached) {
  std::vector<xlvs_vlan_tag> tags;  // outermost first
  const NetworkDevice* at = &device;
  while (!attached.contains(at->ifindex)) {
    if (!at->vlan.has_value() || tags.size() == XLVS_VLAN_TAGS)
      return std::nullopt;
    tags.insert(tags.begin(),
                {.tpid = at->vlan->tpid, .tci = at->vlan->vlan_id});
    const auto below = devices.find(at->vlan->below);
    if (below == devices.end()) return std::nullopt;
    at = below->second;
  }
  xlvs_link link = {.ifindex = at->ifindex, .tag = {}};
  std::copy(tags.begin(), tags.end(), link.tag);
  return link;
}

bool Same(const xlvs_link& a, const xlvs_link& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

}  // namespace

std::map<uint32_t, xlvs_link> VlansOn(const std::vector<NetworkDevice>& devices,
                                      const std::set<uint32_t>& attached) {
  DevicesByIndex by_index;
  for (const NetworkDevice& device : devices)
    by_index[device.ifindex] = &device;
  std::map<uint32_t, xlvs_link> links;
  for (const NetworkDevice& device : devices) {
    // What is attached itself is no VLAN device to us.
    if (attached.contains(device.ifindex)) continue;
    if (const auto link = WayDown(device, by_index, attached))
      links[device.ifindex] = *link;
  }
  return links;
}

absl::Status WriteLinks(const std::map<uint32_t, xlvs_link>& wanted,
                        LinkMap& links) {
  XLVS_ASSIGN_OR_RETURN(const auto present, links.Entries());
  std::map<uint32_t, xlvs_link> missing = wanted;
  for (const auto& [ifindex, link] : present) {
    const auto found = missing.find(ifindex);
    if (found != missing.end() && Same(found->second, link))
      missing.erase(found);
    else if (found == missing.end())
      XLVS_RETURN_IF_ERROR(links.Erase(ifindex));
  }
  for (const auto& [ifindex, link] : missing)
    XLVS_RETURN_IF_ERROR(Context(links.Put(ifindex, link),
                                 absl::StrCat("enter ", wanted.size(),
                                              " VLAN devices (room is "
                                              "for ",
                                              links.max_entries(), ")")));
  return absl::OkStatus();
}

std::string TagsText(const xlvs_link& link) {
  std::string text;
  for (const xlvs_vlan_tag& tag : link.tag) {
    if (tag.tpid == 0) break;
    absl::StrAppend(&text, text.empty() ? "" : " ", "vlan ",
                    tag.tpid == ETH_P_8021AD ? "802.1ad " : "", tag.tci);
  }
  return text;
}

}  // namespace xlvs
