// SPDX-License-Identifier: Apache-2.0
//
// What a packet costs that begins a connection, by scheduler and number of real
// servers: in a table with room, in one that stays full, and in a SYN flood.
#ifndef XLVS_TOOLS_BENCH_D_NEW_CONNS_H_
#define XLVS_TOOLS_BENCH_D_NEW_CONNS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench.d/plan.h"
#include "tools/bench.d/report.h"
#include "tools/bench.d/runner.h"
#include "tools/bench.d/world.h"

namespace xlvs::bench {

class NewConns {
 public:
  NewConns(const Plan& plan, World& world) : plan_(plan), world_(world) {}

  // Room for the real servers of a service of every scheduler with so many.
  static uint32_t DestsFor(const std::vector<uint32_t>& reals);

  // Every scheduler with so many real servers.
  absl::Status Run(const std::vector<uint32_t>& reals);
  // After Run with kReals and 1,000 among them: a table that is full and stays
  // so, ...
  absl::Status RunFull();
  // ... and one with as many embryonic connections as may be.
  absl::Status RunFlood();

  const std::vector<Row>& rows() const { return rows_; }

 private:
  // The cases of a group: the floor, R, and what `add` adds.
  absl::Status Begin(std::vector<Case>& cases);
  Case Make(std::string name, int program, uint32_t warm, uint32_t repeat);
  absl::Status NextFlows(Object& object, const Target& target, uint32_t count);
  Target* Find(Scheduler scheduler, uint32_t reals) const;
  void AddRow(std::string key, std::string text, uint32_t reals,
              const std::string& name,
              const std::map<std::string, Samples>& samples);
  void AddReference(const std::map<std::string, Samples>& samples);

  const Plan& plan_;
  World& world_;
  std::vector<Target*> targets_;
  std::vector<Row> rows_;
  uint32_t next_flow_ = 0;
  uint32_t room_ = 0;            // flows after which the table is emptied
  uint32_t reference_next_ = 0;  // of R's flows
};

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_NEW_CONNS_H_
