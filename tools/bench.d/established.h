// SPDX-License-Identifier: Apache-2.0
//
// Packets of established connections: by every method, both ways where there
// are two, IPv4 and IPv6, TCP and UDP. Beside them in the same rounds: programs
// that do next to nothing, and R.
#ifndef XLVS_TOOLS_BENCH_D_ESTABLISHED_H_
#define XLVS_TOOLS_BENCH_D_ESTABLISHED_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench.d/plan.h"
#include "tools/bench.d/report.h"
#include "tools/bench.d/runner.h"
#include "tools/bench.d/world.h"

namespace xlvs::bench {

class Established {
 public:
  Established(const Plan& plan, World& world) : plan_(plan), world_(world) {}

  absl::Status Run();
  // Only Masq, IPv4, TCP, with so many.
  absl::Status RunMain(uint32_t flows);

  const std::vector<Row>& rows() const { return rows_; }
  // By number of connections, of --stages and --layouts.
  const std::vector<uint32_t>& detail_counts() const { return detail_counts_; }
  const std::vector<Line>& request_stages() const { return request_stages_; }
  const std::vector<Line>& reply_stages() const { return reply_stages_; }
  const std::vector<Line>& layouts() const { return layouts_; }

 private:
  absl::Status AddMain();
  // So many connections to each of these.
  absl::Status Group(uint32_t flows, const std::vector<Target*>& targets);
  void AddCases(const Target& target, std::vector<Case>& cases);
  void AddDetailCases(std::vector<Case>& cases);
  void AddRows(uint32_t flows, const std::vector<Target*>& targets,
               const std::map<std::string, Samples>& samples);
  void AddDetail(uint32_t flows, const std::map<std::string, Samples>& samples);
  // As Group, but a second passes before each round: nearly every packet is its
  // connection's first in that second, and moves its expiry.
  absl::Status Advancing();
  // A case for `program`, with what all of a group have in common.
  Case Make(std::string name, int program) const;
  bool Has(const std::string& key) const;

  const Plan& plan_;
  World& world_;
  Target* main_ = nullptr;  // Masq, IPv4, TCP
  std::vector<Row> rows_;
  std::vector<uint32_t> detail_counts_;
  std::vector<Line> request_stages_, reply_stages_, layouts_;
  uint32_t warm_ = 0;  // of the present group
};

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_ESTABLISHED_H_
