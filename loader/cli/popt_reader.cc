// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/popt_reader.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace xlvs {

PoptReader::PoptReader(std::vector<std::string> args, const poptOption* table)
    : args_(std::move(args)) {
  for (const std::string& arg : args_) argv_.push_back(arg.c_str());
  argv_.push_back(nullptr);
  context_.reset(poptGetContext(argv_[0], static_cast<int>(args_.size()),
                                argv_.data(), table, 0));
}

int PoptReader::Next() {
  return poptGetNextOpt(context_.get());
}

std::string PoptReader::ErrorText(int error) const {
  return absl::StrCat(Spelling(), ": ", poptStrerror(error));
}

std::optional<std::string> PoptReader::Value() {
  const std::unique_ptr<char, decltype(&std::free)> text(
      poptGetOptArg(context_.get()), &std::free);
  if (text == nullptr) return std::nullopt;
  return std::string(text.get());
}

std::string PoptReader::Spelling() const {
  return poptBadOption(context_.get(), POPT_BADOPTION_NOALIAS);
}

std::optional<std::string> PoptReader::Word() {
  const char* word = poptGetArg(context_.get());
  if (word == nullptr) return std::nullopt;
  return std::string(word);
}

}  // namespace xlvs
