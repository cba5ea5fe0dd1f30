// SPDX-License-Identifier: Apache-2.0
//
// Reads the options and words after one of xlvs's own words.
#ifndef XLVS_LOADER_CLI_ADMIN_READER_H_
#define XLVS_LOADER_CLI_ADMIN_READER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "loader/cli/command.h"
#include "loader/cli/popt_reader.h"

namespace xlvs {

// An option without a short form.
inline poptOption PoptEntry(const char* name, int argument, int option) {
  return {name,    0,      static_cast<unsigned>(argument), nullptr, option,
          nullptr, nullptr};
}

class AdminReader {
 public:
  // `what` begins its complaints ("xlvs attach"); `args` begin with the word.
  AdminReader(absl::string_view what, std::vector<std::string> args,
              std::vector<poptOption> table)
      : prefix_(absl::StrCat(what, ": ")),
        table_(std::move(table)),
        popt_(std::move(args), table_.data()) {}

  int Next() { return popt_.Next(); }
  std::string Value() { return popt_.Value().value_or(""); }

  std::vector<std::string> Words() {
    std::vector<std::string> words;
    while (const auto word = popt_.Word()) words.push_back(*word);
    return words;
  }

  Failure Mistake(absl::string_view message) const {
    return Failure{absl::StrCat(prefix_, message)};
  }
  Failure OptionError(int error) const {
    return Mistake(popt_.ErrorText(error));
  }

 private:
  const std::string prefix_;
  const std::vector<poptOption> table_;
  PoptReader popt_;
};

// What `status` commands take.
inline std::vector<poptOption> StatusTable() {
  return {PoptEntry("json", POPT_ARG_NONE, 1),
          PoptEntry("all", POPT_ARG_NONE, 2), POPT_TABLEEND};
}

// Status: a command with `json` and `all`.
template <typename Status>
Parsed ParseStatus(AdminReader& reader) {
  Status status;
  int option;
  while ((option = reader.Next()) >= 0) {
    if (option == 1) status.json = true;
    if (option == 2) status.all = true;
  }
  if (option < -1) return reader.OptionError(option);
  const std::vector<std::string> words = reader.Words();
  if (!words.empty())
    return reader.Mistake(absl::StrCat("unexpected argument ", words.front()));
  return Command(status);
}

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_ADMIN_READER_H_
