// SPDX-License-Identifier: Apache-2.0
//
// What of maps/setting.h the loader goes by: each setting's name, its place in
// xlvs_control and its default, which of some is a share of the connection
// table.
#ifndef XLVS_LOADER_DATAPATH_SETTINGS_H_
#define XLVS_LOADER_DATAPATH_SETTINGS_H_

#include <cstdint>
#include <span>

#include "absl/strings/string_view.h"
#include "maps/setting.h"

namespace xlvs {

struct Setting {
  absl::string_view name;
  __u32 xlvs_settings::*field;
  uint32_t standard = 0;
  uint32_t conns_share = 0;  // not 0: the default is conns over this
  uint32_t min = 0;
  uint32_t max = 0;
  absl::string_view text;

  uint32_t StandardFor(uint32_t conns) const;
  // What is to be in the map for a value that was given: 0 of a setting whose
  // default is a share means the default.
  uint32_t Effective(uint32_t value, uint32_t conns) const;
};

std::span<const Setting> AllSettings();
// Null: no such setting.
const Setting* FindSetting(absl::string_view name);
// As they are before anyone changed them, for a table of this size.
xlvs_settings StandardSettings(uint32_t conns);

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_SETTINGS_H_
