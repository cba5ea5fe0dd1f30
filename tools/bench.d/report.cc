// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/report.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/base/status.h"

namespace xlvs::bench {
namespace {

// More digits would say more than was measured.
double Rounded(double value) {
  return std::round(value * 1000) / 1000;
}

std::string Number(int digits, double value, bool is_there) {
  return is_there ? absl::StrFormat("%.*f", digits, value) : "";
}

std::string Spread(const Figure& figure) {
  return absl::StrFormat("%.0f..%.0f", figure.p10, figure.p90);
}

// What was measured with other numbers of connections comes together.
void SortByPath(std::vector<Row>& rows) {
  std::map<std::string, size_t> first;
  for (size_t i = 0; i < rows.size(); ++i) first.emplace(rows[i].key, i);
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    return first.at(a.key) < first.at(b.key);
  });
}

nlohmann::json ToJson(const Figure& figure) {
  return {{"min", Rounded(figure.min)},
          {"p10", Rounded(figure.p10)},
          {"median", Rounded(figure.median)},
          {"p90", Rounded(figure.p90)},
          {"max", Rounded(figure.max)}};
}

}  // namespace

const Row* FindRow(const std::vector<Row>& rows, const std::string& key,
                   uint32_t count) {
  for (const Row& row : rows)
    if (row.key == key && row.count == count) return &row;
  return nullptr;
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

void PrintEstablished(std::vector<Row> rows) {
  SortByPath(rows);
  absl::PrintF("%-33s%11s%8s%8s%12s%7s\n", "path", "connections", "median",
               "above", "p10..p90", "/ R's");
  absl::PrintF("%-33s%11s%8s%8s%12s\n", "", "", "ns", "ns", "ns");
  for (const Row& row : rows) {
    const bool compared = row.ratio.median != 0;
    absl::PrintF("%-33s%11s%8.1f%8s%12s%7s\n", row.text,
                 row.count == 0 ? "" : WithCommas(row.count), row.ns.median,
                 Number(1, row.above.median, compared),
                 compared ? Spread(row.above) : "",
                 Number(2, row.ratio.median, compared));
  }
}

void PrintNewConns(std::vector<Row> rows) {
  SortByPath(rows);
  absl::PrintF("\n%-24s%13s%9s%8s%15s%11s\n", "new connection", "real servers",
               "above", "/ R's", "p10..p90", "conns/s");
  absl::PrintF("%-24s%13s%9s%8s%15s\n", "", "", "ns", "", "ns");
  for (const Row& row : rows)
    absl::PrintF("%-24s%13s%9.0f%8.2f%15s%11s\n", row.text,
                 row.count == 0 ? "" : WithCommas(row.count), row.above.median,
                 row.ratio.median, Spread(row.above),
                 WithCommas(row.per_second));
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
    nlohmann::json object = {{"path", row.key},
                             {"text", row.text},
                             {"rounds", row.rounds},
                             {"ns", ToJson(row.ns)}};
    const bool is_new = row.per_second != 0;
    if (row.count != 0)
      object[is_new ? "real_servers" : "connections"] = row.count;
    if (row.ratio.median != 0) {
      object["above_ns"] = ToJson(row.above);
      object["ratio"] = ToJson(row.ratio);
    }
    if (is_new)
      object["conns_per_second"] = static_cast<uint64_t>(row.per_second);
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

absl::Status AppendJson(const std::string& path, const nlohmann::json& json) {
  std::ofstream file(path, std::ios::app);
  file << json.dump() << '\n';
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
