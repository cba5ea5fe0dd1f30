// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/recorded.h"

#include <cerrno>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/base/status.h"

namespace xlvs::bench {
namespace {

std::string Text(const nlohmann::json& number) {
  return number.is_number_float()
             ? absl::StrFormat("%.2f", number.get<double>())
             : absl::StrCat(number.get<int64_t>());
}

}  // namespace

absl::StatusOr<nlohmann::json> ReadRecord(const std::string& path) {
  std::ifstream file(path);
  if (!file) return ErrnoStatus(errno, absl::StrCat("open ", path));
  nlohmann::json record = nlohmann::json::parse(file, nullptr, false);
  if (!record.is_object())
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     " is no record of figures: write it anew with "
                     "--record"));
  return record;
}

absl::Status WriteRecord(const std::string& path,
                         const nlohmann::json& record) {
  std::ofstream file(path);
  file << record.dump(2) << '\n';
  file.flush();
  if (!file) return ErrnoStatus(errno, absl::StrCat("write ", path));
  return absl::OkStatus();
}

int CompareWithRecord(const nlohmann::json& recorded, const nlohmann::json& now,
                      double tolerance) {
  int worse = 0;
  for (const auto& [name, figure] : now.items()) {
    const auto found = recorded.find(name);
    if (found == recorded.end()) {
      absl::PrintF("not recorded: %s (%s)\n", name, Text(figure));
      ++worse;
      continue;
    }
    const double was = found->get<double>(), is = figure.get<double>();
    const bool grew = is > was * (1 + tolerance);
    if (!grew && is >= was * (1 - tolerance)) continue;
    worse += grew;
    const std::string change =
        was == 0 ? "" : absl::StrFormat(" (%+.0f %%)", 100 * (is - was) / was);
    absl::PrintF("%s: %s, was %s, is %s%s\n", grew ? "grew" : "smaller", name,
                 Text(*found), Text(figure), change);
  }
  return worse;
}

}  // namespace xlvs::bench
