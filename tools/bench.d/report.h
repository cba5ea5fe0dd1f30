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

namespace xlvs::bench {

struct Figure {
  double min = 0;
  double median = 0;
};
Figure FigureOf(std::vector<double> ns);

struct Row {
  std::string path;
  uint32_t count = 0;  // connections, or real servers; 0 = not applicable
  uint32_t rounds = 0;
  Figure ns;
  Figure control;  // the same without what is measured; zero: a floor itself
  Figure r;        // R's, above its control; zero: not compared
  bool is_new = false;  // one new connection a packet

  Figure above() const;
  Figure ratio() const;       // 0: not compared
  double per_second() const;  // with the floor, without the wrapper
  double floor = 0;           // ns of XDP_TX in the same rounds
};

// One line of the stages' or layouts' tables: ns by number of connections.
struct Line {
  std::string name;
  std::vector<double> ns;
};

void PrintTable(const std::vector<Row>& rows);
void PrintLines(const std::string& title, const std::vector<uint32_t>& counts,
                const std::vector<Line>& lines);
nlohmann::json ToJson(const std::vector<Row>& rows);
nlohmann::json ToJson(const std::vector<uint32_t>& counts,
                      const std::vector<Line>& lines);
// "-" is standard output.
absl::Status WriteJson(const std::string& path, const nlohmann::json& json);

std::string CpuModel();
std::string Kernel();
// 1000000 -> "1,000,000".
std::string WithCommas(uint64_t number);

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_REPORT_H_
