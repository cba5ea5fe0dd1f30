// SPDX-License-Identifier: Apache-2.0
//
// The figures: as a table of at most 80 columns, and as JSON.
#ifndef XLVS_TOOLS_BENCH_D_REPORT_H_
#define XLVS_TOOLS_BENCH_D_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "tools/bench.d/figure.h"

namespace xlvs::bench {

// One path.
struct Row {
  std::string key;     // for programs, kept for good: "masq-in-4tcp"
  std::string text;    // for people
  uint32_t count = 0;  // connections, or real servers; 0 = not applicable
  uint32_t rounds = 0;
  Figure ns;
  Figure above;  // what makes the packet and the floor; zero: a floor itself
  Figure ratio;  // that, over R's of the same rounds; zero: not compared
  double per_second = 0;  // with the floor; 0: no new connections
};
// nullptr if there is none.
const Row* FindRow(const std::vector<Row>& rows, const std::string& key,
                   uint32_t count);

// One line of the stages' or layouts' tables: ns by number of connections.
struct Line {
  std::string name;
  std::vector<double> ns;
};

void PrintEstablished(std::vector<Row> rows);
void PrintNewConns(std::vector<Row> rows);
void PrintLines(const std::string& title, const std::vector<uint32_t>& counts,
                const std::vector<Line>& lines);
nlohmann::json ToJson(const std::vector<Row>& rows);
nlohmann::json ToJson(const std::vector<uint32_t>& counts,
                      const std::vector<Line>& lines);
// "-" is standard output.
absl::Status WriteJson(const std::string& path, const nlohmann::json& json);
// One line at the end of the file.
absl::Status AppendJson(const std::string& path, const nlohmann::json& json);

std::string CpuModel();
std::string Kernel();
// 1000000 -> "1,000,000".
std::string WithCommas(uint64_t number);

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_REPORT_H_
