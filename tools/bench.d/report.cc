// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/report.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/base/status.h"

namespace xlvs::bench {
namespace {

// More digits would say more than was measured.
double Rounded(double value) {
  return static_cast<int64_t>(value * 100 + 0.5) / 100.0;
}

}  // namespace

Figure FigureOf(std::vector<double> ns) {
  if (ns.empty()) return {};
  std::sort(ns.begin(), ns.end());
  return {.min = ns.front(), .median = ns[ns.size() / 2]};
}

Figure Row::above() const {
  return {.min = ns.min - control.min, .median = ns.median - control.median};
}

Figure Row::ratio() const {
  if (r.min == 0) return {};
  return {.min = above().min / r.min, .median = above().median / r.median};
}

double Row::per_second() const {
  return 1e9 / (above().min + floor);
}

std::string WithCommas(uint64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

void PrintTable(const std::vector<Row>& rows) {
  bool is_new = false;
  absl::PrintF("%-32s%11s%8s%8s%9s%12s\n", "path", "connections", "min",
               "median", "above", "above / R's");
  absl::PrintF("%-32s%11s%8s%8s%9s%12s\n", "", "", "ns", "ns", "ns", "");
  for (const Row& row : rows) {
    if (row.is_new && !is_new) {
      is_new = true;
      absl::PrintF("\n%-27s%12s%8s%8s%9s%6s%10s\n", "new connection",
                   "real servers", "min", "median", "above", "/ R's",
                   "conns/s");
    }
    const std::string count = row.count == 0 ? "" : WithCommas(row.count);
    const std::string above =
        row.control.min == 0 ? "" : absl::StrFormat("%.1f", row.above().min);
    const std::string ratio =
        row.r.min == 0 ? "" : absl::StrFormat("%.2f", row.ratio().min);
    if (is_new)
      absl::PrintF("%-27s%12s%8.1f%8.1f%9s%6s%10s\n", row.path, count,
                   row.ns.min, row.ns.median, above, ratio,
                   WithCommas(row.per_second()));
    else
      absl::PrintF("%-32s%11s%8.1f%8.1f%9s%12s\n", row.path, count, row.ns.min,
                   row.ns.median, above, ratio);
  }
}

void PrintLines(const std::string& title, const std::vector<uint32_t>& counts,
                const std::vector<Line>& lines) {
  absl::PrintF("\n%-40s", title);
  for (const uint32_t count : counts) absl::PrintF("%12s", WithCommas(count));
  absl::PrintF("\n");
  for (const Line& line : lines) {
    absl::PrintF("%-40s", line.name);
    for (const double ns : line.ns) absl::PrintF("%12.1f", ns);
    absl::PrintF("\n");
  }
}

nlohmann::json ToJson(const std::vector<Row>& rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const Row& row : rows) {
    nlohmann::json object = {{"path", row.path},
                             {"rounds", row.rounds},
                             {"min_ns", Rounded(row.ns.min)},
                             {"median_ns", Rounded(row.ns.median)}};
    if (row.count != 0)
      object[row.is_new ? "real_servers" : "connections"] = row.count;
    if (row.control.min != 0) {
      object["above_min_ns"] = Rounded(row.above().min);
      object["above_median_ns"] = Rounded(row.above().median);
    }
    if (row.r.min != 0) {
      object["ratio_min"] = Rounded(row.ratio().min);
      object["ratio_median"] = Rounded(row.ratio().median);
    }
    if (row.is_new)
      object["conns_per_second"] = static_cast<uint64_t>(row.per_second());
    array.push_back(object);
  }
  return array;
}

nlohmann::json ToJson(const std::vector<uint32_t>& counts,
                      const std::vector<Line>& lines) {
  nlohmann::json array = nlohmann::json::array();
  for (const Line& line : lines)
    for (size_t i = 0; i < line.ns.size(); ++i)
      array.push_back({{"name", line.name},
                       {"connections", counts[i]},
                       {"ns", Rounded(line.ns[i])}});
  return array;
}

absl::Status WriteJson(const std::string& path, const nlohmann::json& json) {
  if (path == "-") {
    std::cout << json.dump(2) << '\n';
    return absl::OkStatus();
  }
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  file.flush();
  if (!file) return ErrnoStatus(errno, absl::StrCat("write ", path));
  return absl::OkStatus();
}

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  std::string line, name = "unknown CPU", family, model;
  while (std::getline(info, line) && !line.empty()) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string value = line.substr(colon + 2);
    if (absl::StartsWith(line, "model name"))
      name = value;
    else if (absl::StartsWith(line, "cpu family"))
      family = value;
    else if (absl::StartsWith(line, "model\t"))
      model = value;
  }
  return absl::StrCat(name, " (family ", family, " model ", model, ")");
}

std::string Kernel() {
  utsname name;
  return uname(&name) == 0 ? name.release : "unknown";
}

}  // namespace xlvs::bench
