// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/restore.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "loader/cli/help.h"
#include "loader/cli/ipvsadm.h"
#include "loader/cli/mark.h"
#include "loader/cli/setting.h"

namespace xlvs {
namespace {

constexpr char kBlanks[] = " \t\r\n";

// As ipvsadm, which knows no quotes.
std::vector<std::string> SplitAtBlanks(absl::string_view line) {
  return absl::StrSplit(line, absl::ByAnyChar(kBlanks), absl::SkipEmpty());
}

// As a shell would: the rule of a mark has a blank in it.
std::vector<std::string> SplitQuoted(absl::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char c : line) {
    const bool blank = absl::string_view(kBlanks).find(c) != line.npos;
    if (quote == 0 && blank) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == quote)
      quote = 0;
    else if (quote == 0 && (c == '\'' || c == '"'))
      quote = c;
    else
      words.back() += c;
  }
  return words;
}

class RuleReader {
 public:
  explicit RuleReader(const Program& program) : program_(program) {}

  // nullopt: nothing on this line.
  std::optional<Parsed> Read(absl::string_view line) const {
    std::vector<std::string> words = WithoutName(SplitAtBlanks(line));
    if (words.empty()) return std::nullopt;
    if (program_.personality == Personality::kXlvs) {
      const bool mark = words[0] == kMarkWord;
      if (mark || words[0] == kSetWord) {
        words = WithoutName(SplitQuoted(line));
        words.insert(words.begin(), program_.argv0);
        return mark ? ParseMark(program_, words) : ParseSet(program_, words);
      }
    }
    words.insert(words.begin(), program_.argv0);
    Parsed parsed = ParseIpvsadm(program_, words);
    const auto* command = std::get_if<Command>(&parsed);
    if (command != nullptr && std::holds_alternative<Restore>(*command))
      return Failure{TryHelpText(program_), kExitFailure};
    return parsed;
  }

 private:
  std::vector<std::string> WithoutName(std::vector<std::string> words) const {
    size_t names = 0;
    while (names < words.size() &&
           (words[names] == "ipvsadm" || words[names] == program_.name))
      ++names;
    words.erase(words.begin(),
                words.begin() + static_cast<std::ptrdiff_t>(names));
    return words;
  }

  const Program& program_;
};

bool EndsProgram(const Command& command) {
  return std::holds_alternative<Help>(command) ||
         std::holds_alternative<Version>(command);
}

}  // namespace

std::variant<std::vector<Command>, Failure> ReadRules(const Program& program,
                                                      std::istream& in) {
  const RuleReader reader(program);
  std::vector<Command> commands;
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::optional<Parsed> parsed = reader.Read(line);
    if (!parsed) continue;
    if (auto* failure = std::get_if<Failure>(&*parsed)) {
      if (program.personality == Personality::kXlvs)
        absl::StrAppend(&failure->message, "\n", program.name, " -R: line ",
                        number, "; nothing has been changed");
      return std::move(*failure);
    }
    commands.push_back(std::get<Command>(*std::move(parsed)));
    if (EndsProgram(commands.back())) break;
  }
  return commands;
}

}  // namespace xlvs
