// SPDX-License-Identifier: Apache-2.0
#include "loader/model/service.h"

#include <array>
#include <utility>

namespace xlvs {
namespace {

constexpr std::array<std::pair<absl::string_view, Scheduler>, 4> kSchedulers = {
    {
        {"rr", Scheduler::kRr},
        {"wrr", Scheduler::kWrr},
        {"lc", Scheduler::kLc},
        {"wlc", Scheduler::kWlc},
    }};

}  // namespace

std::optional<Scheduler> ParseScheduler(absl::string_view name) {
  for (const auto& [text, scheduler] : kSchedulers)
    if (text == name) return scheduler;
  return std::nullopt;
}

absl::string_view Name(Scheduler scheduler) {
  for (const auto& [text, known] : kSchedulers)
    if (known == scheduler) return text;
  return "?";
}

}  // namespace xlvs
