// SPDX-License-Identifier: Apache-2.0
//
// How large the shipped programs and maps are. What only the compiler decides
// is the same everywhere; what the kernel makes of it is not.
#ifndef XLVS_TOOLS_BENCH_D_CODE_H_
#define XLVS_TOOLS_BENCH_D_CODE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace xlvs::bench {

struct ProgramCode {
  std::string name;
  // From the object.
  uint32_t insns = 0;
  uint32_t stack_bytes = 0;   // the largest frame of one function
  uint32_t chain_bytes = 0;   // the largest sum of frames down a chain of calls
  uint32_t helper_calls = 0;  // in the program, not on one packet's path
  // From the kernel.
  uint32_t verified_insns = 0;
  uint32_t translated_insns = 0;
  uint32_t jited_bytes = 0;
  uint32_t calls_left = 0;  // of the helpers, after it has inlined what it can
};

// Keys and values of all maps, with the sizes that an instance has by default.
struct MapSizes {
  uint64_t shared_bytes = 0;
  uint64_t per_cpu_bytes = 0;  // of each CPU
  uint64_t conns_bytes = 0;    // of the shared: the table of connections
  uint64_t conns = 0;
};

struct CodeFigures {
  std::vector<ProgramCode> programs;
  MapSizes maps;
};
// As on a machine with two CPUs, whatever it has. Loads the programs; attaches
// and pins nothing.
absl::StatusOr<CodeFigures> MeasureCode();

void PrintCode(const CodeFigures& figures);
nlohmann::json ToJson(const CodeFigures& figures);

// {"everywhere": {"director.insns": 1234, ...}, "kernel": {...}}: what is
// recorded and compared.
nlohmann::json Repeatable(const CodeFigures& figures);

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_CODE_H_
