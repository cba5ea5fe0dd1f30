// SPDX-License-Identifier: Apache-2.0
#include "loader/model/service.h"

#include <array>
#include <utility>

namespace xlvs {
namespace {

constexpr std::array<std::pair<absl::string_view, Scheduler>, 15> kSchedulers =
    {{
        {"none", Scheduler::kNone},
        {"rr", Scheduler::kRr},
        {"wrr", Scheduler::kWrr},
        {"lc", Scheduler::kLc},
        {"wlc", Scheduler::kWlc},
        {"sed", Scheduler::kSed},
        {"nq", Scheduler::kNq},
        {"fo", Scheduler::kFo},
        {"ovf", Scheduler::kOvf},
        {"twos", Scheduler::kTwos},
        {"sh", Scheduler::kSh},
        {"dh", Scheduler::kDh},
        {"mh", Scheduler::kMh},
        {"lblc", Scheduler::kLblc},
        {"lblcr", Scheduler::kLblcr},
    }};

// The names of one scheduler's before those of any.
constexpr SchedFlag kSchedFlags[] = {
    {"sh-fallback", kSchedFlag1, Scheduler::kSh},
    {"sh-port", kSchedFlag2, Scheduler::kSh},
    {"mh-fallback", kSchedFlag1, Scheduler::kMh},
    {"mh-port", kSchedFlag2, Scheduler::kMh},
    {"flag-1", kSchedFlag1, std::nullopt},
    {"flag-2", kSchedFlag2, std::nullopt},
    {"flag-3", kSchedFlag3, std::nullopt},
};

constexpr std::array<std::pair<absl::string_view, TunnelType>, 3> kTunnelTypes =
    {{
        {"ipip", TunnelType::kIpip},
        {"gue", TunnelType::kGue},
        {"gre", TunnelType::kGre},
    }};

}  // namespace

absl::string_view Name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kIp:
      return "ip";
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

std::optional<SchedFlag> FindSchedFlag(absl::string_view name) {
  for (const SchedFlag& flag : kSchedFlags)
    if (flag.name == name) return flag;
  return std::nullopt;
}

std::vector<absl::string_view> SchedFlagNames(const Service& service) {
  std::vector<absl::string_view> names;
  uint32_t left = service.sched_flags;
  for (const SchedFlag& flag : kSchedFlags) {
    if ((left & flag.value) == 0) continue;
    if (flag.scheduler && *flag.scheduler != service.scheduler) continue;
    names.push_back(flag.name);
    left &= ~flag.value;
  }
  return names;
}

absl::string_view Name(Scheduler scheduler) {
  for (const auto& [text, known] : kSchedulers)
    if (known == scheduler) return text;
  return "?";
}

}  // namespace xlvs
