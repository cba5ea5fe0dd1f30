// SPDX-License-Identifier: Apache-2.0
//
// Runs a command line against a FakeHost and keeps what it said.
#ifndef XLVS_TESTS_UNIT_COMMAND_LINE_H_
#define XLVS_TESTS_UNIT_COMMAND_LINE_H_

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "loader/cli/run.h"
#include "tests/unit/fake_host.h"

namespace xlvs {

// Words between blanks; '' is an empty one.
inline std::vector<std::string> Words(absl::string_view line) {
  std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
  for (std::string& word : words)
    if (word == "''") word.clear();
  return words;
}

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

// `line` starts with the program's name.
inline Outcome Call(FakeHost& host, absl::string_view line,
                    const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code =
      RunCommandLine(Words(line), host, host.decapsulator, in, out, err);
  return {exit_code, out.str(), err.str()};
}

}  // namespace xlvs

#endif  // XLVS_TESTS_UNIT_COMMAND_LINE_H_
