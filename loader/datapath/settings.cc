// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/settings.h"

#include <algorithm>
#include <iterator>

#include "maps/conn.h"

namespace xlvs {
namespace {

// However small the table.
constexpr uint32_t kLeastEmbryonicMax = XLVS_CONNS_PER_BUCKET;

constexpr uint32_t ConnsShare(absl::string_view name) {
  if (name == "embryonic_max") return 2;
  if (name == "service_embryonic_max") return 4;
  return 0;
}

constexpr Setting kSettings[] = {
#define XLVS_X(name, standard, min, max, text) \
  {#name, &xlvs_settings::name, standard, ConnsShare(#name), min, max, text},
    XLVS_SETTINGS(XLVS_X)
#undef XLVS_X
};
static_assert(std::size(kSettings) == XLVS_SETTINGS_COUNT);

}  // namespace

uint32_t Setting::StandardFor(uint32_t conns) const {
  if (conns_share == 0) return standard;
  return std::max(kLeastEmbryonicMax, conns / conns_share);
}

uint32_t Setting::Effective(uint32_t value, uint32_t conns) const {
  return conns_share != 0 && value == 0 ? StandardFor(conns) : value;
}

std::span<const Setting> AllSettings() {
  return kSettings;
}

const Setting* FindSetting(absl::string_view name) {
  const auto* found = std::find_if(
      std::begin(kSettings), std::end(kSettings),
      [&](const Setting& setting) { return setting.name == name; });
  return found == std::end(kSettings) ? nullptr : found;
}

xlvs_settings StandardSettings(uint32_t conns) {
  xlvs_settings settings = {};
  for (const Setting& setting : kSettings)
    settings.*setting.field = setting.StandardFor(conns);
  return settings;
}

}  // namespace xlvs
