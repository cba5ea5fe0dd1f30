// SPDX-License-Identifier: Apache-2.0
//
// Measures programs by BPF_PROG_TEST_RUN, all of them once in every round, so
// that what the machine does meanwhile happens to each alike.
#ifndef XLVS_TOOLS_BENCH_D_RUNNER_H_
#define XLVS_TOOLS_BENCH_D_RUNNER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench.d/figure.h"
#include "tools/bench.d/frames.h"

namespace xlvs::bench {

struct RunResult {
  double ns = 0;        // of this thread's CPU, per packet
  uint32_t action = 0;  // what the last run returned
  Frame frame;          // what it left
};
absl::StatusOr<RunResult> Run(int program, const Frame& frame, uint32_t repeat);

// One thing to measure.
struct Case {
  std::string name;
  int program = -1;
  Frame frame;
  uint32_t repeat = 1;  // packets a round
  uint32_t warm = 0;    // packets before them
  uint32_t action = 0;  // that every packet must end with
  // Before each round. Empty: nothing to do.
  std::function<absl::Status()> before;
  // A count that must go up by one with every packet. Empty: not checked.
  std::function<absl::StatusOr<uint64_t>()> hits;
  uint32_t may_miss = 0;  // so many packets of a round need not be hits

  Samples ns;  // by round
};

// `title` is for the progress line.
absl::Status RunRounds(const std::string& title, uint32_t rounds,
                       std::vector<Case>& cases);

// Figures of the cases by their names.
std::map<std::string, Samples> SamplesOf(const std::vector<Case>& cases);

// On one CPU, before others if that is allowed. Returns what was got: "CPU 1,
// SCHED_FIFO".
std::string PinThread();

// On standard error, and only from the second second on. `done` ends it.
void ShowProgress(const std::string& title, uint64_t step, uint64_t steps);
void EndProgress();

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_RUNNER_H_
