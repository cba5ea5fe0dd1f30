// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/ratios.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/base/status.h"
#include "tools/bench.d/recorded.h"

namespace xlvs::bench {
namespace {

// Of paths that are compared, two runs of one build differed by 11 % at most.
constexpr double kTolerance = 0.15;
constexpr uint32_t kMillion = 1'000'000;

// Whether two runs of one build have nearly the same ratio. Some have not:
// where the caches are just full, where a search of a thousand servers is
// divided by a lookup, and where next to nothing is measured.
bool IsSteady(const Row& row) {
  const bool is_new = row.per_second != 0;
  if (row.ratio.median < 0.1) return false;
  return is_new ? row.count <= 100 : row.count <= 1 || row.count >= kMillion;
}

nlohmann::json Ratios(const std::vector<Row>& rows) {
  nlohmann::json ratios = nlohmann::json::object();
  for (const Row& row : rows) {
    const bool is_ours = row.key != "r" && row.key != "new-r" &&
                         !absl::StartsWith(row.key, "against");
    if (is_ours && IsSteady(row))
      ratios[absl::StrCat(row.key, "@", row.count)] =
          std::round(row.ratio.median * 1000) / 1000;
  }
  return ratios;
}

struct Goal {
  std::string text;
  double figure = 0;
  double limit = 0;
  const char* unit = "";

  // As exactly as it is printed.
  bool holds() const {
    return std::round(100 * figure) <= std::round(100 * limit);
  }
};

class Goals {
 public:
  explicit Goals(const std::vector<Row>& rows) : rows_(rows) {
    OfR("masq-in-4tcp", "Masq, client -> VIP", 0.60, 0.50);
    OfR("masq-out-4tcp", "Masq, real -> client", 0.60, 0.50);
    for (const auto& [key, text] : {std::pair("not-ours-4tcp", "not ours / R"),
                                    {"not-ours-6tcp", "not ours, IPv6 / R"}})
      if (const Row* row = FindRow(rows, key, 0))
        Add(text, row->ratio.median, 0.35, "");
    for (const uint32_t count : {1U, kMillion})
      for (const char* form : {"4tcp", "4udp", "6tcp", "6udp"})
        Compare("route-", "masq-in-", form, form, count, "Route / Masq", 1.0);
    Tunnels();
    for (const uint32_t count : {1U, kMillion})
      for (const char* path :
           {"masq-in-", "masq-out-", "route-", "ipip-", "gue-"})
        Compare(path, path, "6tcp", "4tcp", count,
                absl::StrCat("IPv6 / IPv4, ", path), 1.3);
  }
  const std::vector<Goal>& all() const { return goals_; }

 private:
  void Add(std::string text, double figure, double limit, const char* unit) {
    goals_.push_back({std::move(text), figure, limit, unit});
  }

  void OfR(const char* key, const char* text, double hot, double cold) {
    for (const auto& [count, limit] : {std::pair(1U, hot), {kMillion, cold}})
      if (const Row* row = FindRow(rows_, key, count))
        Add(absl::StrCat(text, " / R, ", WithCommas(count)), row->ratio.median,
            limit, "");
  }

  // By what both are of R: with many connections they are not measured in the
  // same rounds.
  void Compare(const std::string& a, const std::string& b, const char* form_a,
               const char* form_b, uint32_t count, std::string text,
               double limit) {
    const Row* above = FindRow(rows_, a + form_a, count);
    const Row* below = FindRow(rows_, b + form_b, count);
    if (above == nullptr || below == nullptr) return;
    if (absl::EndsWith(text, "-")) text.pop_back();
    Add(absl::StrCat(text, ", ", form_a, ", ", WithCommas(count)),
        above->ratio.median / below->ratio.median, limit, "");
  }

  void Tunnels() {
    const Row* head = FindRow(rows_, "adjust-head", 0);
    for (const char* form : {"4tcp", "6tcp"})
      for (const char* tunnel : {"ipip-", "gue-"}) {
        const Row* row = FindRow(rows_, std::string(tunnel) + form, 1);
        const Row* masq = FindRow(rows_, std::string("masq-in-") + form, 1);
        if (head == nullptr || row == nullptr || masq == nullptr) continue;
        Add(absl::StrCat("Tunnel - Masq, ", tunnel, form, ", 1"),
            row->above.median - masq->above.median, 1.5 * head->ns.median,
            " ns");
      }
  }

  const std::vector<Row>& rows_;
  std::vector<Goal> goals_;
};

}  // namespace

absl::Status RecordRatios(const std::string& path,
                          const std::vector<Row>& rows) {
  return WriteRecord(
      path,
      {{"cpu", CpuModel()}, {"kernel", Kernel()}, {"ratios", Ratios(rows)}});
}

absl::Status CheckRatios(const std::string& path,
                         const std::vector<Row>& rows) {
  XLVS_ASSIGN_OR_RETURN(const nlohmann::json record, ReadRecord(path));
  if (record.value("cpu", "") != CpuModel())
    absl::PrintF("recorded on another machine: %s\n", record.value("cpu", ""));
  const int worse =
      CompareWithRecord(record.value("ratios", nlohmann::json::object()),
                        Ratios(rows), kTolerance);
  if (worse > 0)
    return absl::FailedPreconditionError(absl::StrCat(
        worse,
        " ratios to R are more than 15 % above what is recorded, or not "
        "recorded; run it again, and if they stay and are wanted: "
        "tools/bench --record"));
  absl::PrintF("ratios to R: not above what is recorded\n");
  return absl::OkStatus();
}

void PrintTargets(const std::vector<Row>& rows) {
  const Goals goals(rows);
  if (goals.all().empty()) return;
  absl::PrintF("\n%-48s%12s%12s%6s\n", "targets", "figure", "at most", "");
  for (const Goal& goal : goals.all()) {
    absl::PrintF("%-48s%12s%12s%6s\n", goal.text,
                 absl::StrFormat("%.2f%s", goal.figure, goal.unit),
                 absl::StrFormat("%.2f%s", goal.limit, goal.unit),
                 goal.holds() ? "yes" : "no");
  }
}

nlohmann::json TargetsToJson(const std::vector<Row>& rows) {
  nlohmann::json array = nlohmann::json::array();
  const Goals goals(rows);
  for (const Goal& goal : goals.all())
    array.push_back({{"target", goal.text},
                     {"figure", goal.figure},
                     {"limit", goal.limit},
                     {"holds", goal.holds()}});
  return array;
}

}  // namespace xlvs::bench
