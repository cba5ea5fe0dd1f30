// SPDX-License-Identifier: Apache-2.0
#include "loader/model/service.h"

#include <array>
#include <utility>

namespace xlvs {
namespace {

constexpr std::array<std::pair<absl::string_view, Scheduler>, 9> kSchedulers = {
    {
        {"rr", Scheduler::kRr},
        {"wrr", Scheduler::kWrr},
        {"lc", Scheduler::kLc},
        {"wlc", Scheduler::kWlc},
        {"sed", Scheduler::kSed},
        {"nq", Scheduler::kNq},
        {"fo", Scheduler::kFo},
        {"ovf", Scheduler::kOvf},
        {"twos", Scheduler::kTwos},
    }};

constexpr std::array<std::pair<absl::string_view, TunnelType>, 3> kTunnelTypes =
    {{
        {"ipip", TunnelType::kIpip},
        {"gue", TunnelType::kGue},
        {"gre", TunnelType::kGre},
    }};

}  // namespace

absl::string_view Name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "?";
}

std::optional<TunnelType> ParseTunnelType(absl::string_view name) {
  for (const auto& [text, type] : kTunnelTypes)
    if (text == name) return type;
  return std::nullopt;
}

absl::string_view Name(TunnelType type) {
  for (const auto& [text, known] : kTunnelTypes)
    if (known == type) return text;
  return "?";
}

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
