// SPDX-License-Identifier: Apache-2.0
//
// The loader's side of xlvs_links (maps/nexthop.h): which VLAN devices there
// are on the devices that the director is attached to.
#ifndef XLVS_LOADER_DATAPATH_VLANS_H_
#define XLVS_LOADER_DATAPATH_VLANS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "loader/datapath/mapped.h"
#include "loader/net/devices.h"
#include "maps/nexthop.h"

namespace xlvs {

using LinkMap = HashMap<uint32_t, xlvs_link>;

// By interface index, all VLAN devices that stand on one of `attached`, by one
// tag or two. More tags than XLVS_VLAN_TAGS the packet path cannot write.
std::map<uint32_t, xlvs_link> VlansOn(const std::vector<NetworkDevice>& devices,
                                      const std::set<uint32_t>& attached);

// Makes the map say `wanted`; writes only what differs.
absl::Status WriteLinks(const std::map<uint32_t, xlvs_link>& wanted,
                        LinkMap& links);

// "vlan 100", "vlan 802.1ad 100 vlan 200": as a person would write the tags.
std::string TagsText(const xlvs_link& link);

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_VLANS_H_
