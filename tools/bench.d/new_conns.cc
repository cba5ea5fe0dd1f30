// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/new_conns.h"

#include <linux/bpf.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"

namespace xlvs::bench {
namespace {

constexpr Scheduler kSchedulers[] = {
    Scheduler::kRr,   Scheduler::kWrr,  Scheduler::kLc, Scheduler::kWlc,
    Scheduler::kSed,  Scheduler::kNq,   Scheduler::kFo, Scheduler::kOvf,
    Scheduler::kTwos, Scheduler::kSh,   Scheduler::kDh, Scheduler::kMh,
    Scheduler::kLblc, Scheduler::kLblcr};
constexpr uint32_t kRepeat = 10'000;
// Of schedulers that look at every real server, where these are many.
constexpr uint32_t kRepeatOfMany = 1'000;
constexpr uint32_t kRepeatOfVeryMany = 200;
constexpr uint32_t kMany = 1'000;
constexpr int32_t kBusy = 10;          // connections of each of these
constexpr uint32_t kMostOfMh = 4'093;  // as many as its table has slots
// Of the table's connections: emptied before it is half full.
constexpr double kRoom = 0.4;
// A table that stays full: so many begin in each second of a SYN_RECV's life,
// and so many end.
constexpr uint32_t kSynRecvSeconds = 60;
constexpr uint32_t kServiceBound = 1'000;  // embryonic ones of a service

bool LooksAtAll(Scheduler scheduler) {
  switch (scheduler) {
    case Scheduler::kLc:
    case Scheduler::kWlc:
    case Scheduler::kSed:
    case Scheduler::kNq:
    case Scheduler::kFo:
    case Scheduler::kOvf:
    case Scheduler::kTwos:
    case Scheduler::kLblc:
    case Scheduler::kLblcr:
      return true;
    default:
      return false;
  }
}

}  // namespace

uint32_t NewConns::DestsFor(const std::vector<uint32_t>& reals) {
  uint32_t dests = 0;
  for (const uint32_t count : reals) dests += count;
  return dests * std::size(kSchedulers);
}

Case NewConns::Make(std::string name, int program, uint32_t warm,
                    uint32_t repeat) {
  return {.name = std::move(name),
          .program = program,
          .frame = MakeFrame(Request({}, 0, BENCH_PORT, kSyn)),
          .repeat = repeat,
          .warm = warm,
          .action = XDP_TX,
          .before = {},
          .hits = {},
          .ns = {}};
}

absl::Status NewConns::Begin(std::vector<Case>& cases) {
  Object& bench = world_.bench();
  Object& reference = world_.reference();
  XLVS_RETURN_IF_ERROR(world_.Clear());
  next_flow_ = 0;
  cases.push_back(Make("tx", reference.program("reference_tx"), 0, kRepeat));
  cases.push_back(
      Make("control", bench.program("bench_control_request_4tcp"), 0, kRepeat));
  cases.back().before = [this, &bench] {
    world_.SetInOrder(bench, 0);
    return absl::OkStatus();
  };
  cases.push_back(Make("R", reference.program("reference_new"), 0, kRepeat));
  // Always others, as the director gets them; what the last round made goes
  // first.
  cases.back().before = [this, &reference]() -> absl::Status {
    if (reference_next_ > 0) {
      world_.SetInOrder(reference, reference_next_ - kRepeat);
      const auto gone =
          bench::Run(reference.program("reference_forget"),
                     MakeFrame(Request({}, 0, BENCH_PORT, kSyn)), kRepeat);
      if (!gone.ok()) return gone.status();
    }
    world_.SetInOrder(reference, reference_next_);
    reference_next_ += kRepeat;
    return absl::OkStatus();
  };
  cases.back().hits = [this] { return world_.ReferenceHits(); };
  return absl::OkStatus();
}

absl::Status NewConns::NextFlows(Object& object, const Target& target,
                                 uint32_t count) {
  if (room_ != 0 && next_flow_ + count > room_) {
    XLVS_RETURN_IF_ERROR(world_.Clear());
    next_flow_ = 0;
  }
  world_.SetTarget(target);
  world_.SetInOrder(object, next_flow_);
  next_flow_ += count;
  return absl::OkStatus();
}

Target* NewConns::Find(Scheduler scheduler, uint32_t reals) const {
  for (Target* target : targets_)
    if (target->scheduler == scheduler && target->reals == reals) return target;
  return nullptr;
}

void NewConns::AddRow(std::string key, std::string text, uint32_t reals,
                      const std::string& name,
                      const std::map<std::string, Samples>& samples) {
  const Samples& ns = samples.at(name);
  const Samples& control = samples.at("control");
  const Samples above = Minus(ns, control);
  const Samples r = Minus(samples.at("R"), control);
  const double floor = FigureOf(samples.at("tx")).median;
  const Figure figure = FigureOf(above);
  rows_.push_back({.key = std::move(key),
                   .text = std::move(text),
                   .count = reals,
                   .rounds = static_cast<uint32_t>(ns.size()),
                   .ns = FigureOf(ns),
                   .above = figure,
                   .ratio = FigureOf(Over(above, r)),
                   .per_second = 1e9 / (figure.median + floor)});
}

void NewConns::AddReference(const std::map<std::string, Samples>& samples) {
  const bool is_there =
      std::any_of(rows_.begin(), rows_.end(),
                  [](const Row& row) { return row.key == "new-r"; });
  if (!is_there) AddRow("new-r", "R: hash map insert, NAT", 0, "R", samples);
}

absl::Status NewConns::Run(const std::vector<uint32_t>& reals) {
  room_ = kRoom * world_.meta().conns;
  for (const uint32_t count : reals) {
    std::vector<Case> cases;
    std::vector<std::pair<std::string, Target*>> added;
    for (const Scheduler scheduler : kSchedulers) {
      if (scheduler == Scheduler::kMh && count > kMostOfMh) continue;
      XLVS_ASSIGN_OR_RETURN(Target * target,
                            world_.AddTarget({.scheduler = scheduler,
                                              .first_real = kSchedulerReals,
                                              .reals = count}));
      targets_.push_back(target);
      added.emplace_back(Name(scheduler), target);
    }
    XLVS_RETURN_IF_ERROR(Begin(cases));
    for (const auto& [name, target] : added) {
      const bool slow = count >= kMany && LooksAtAll(target->scheduler);
      const uint32_t repeat = !slow            ? kRepeat
                              : count == kMany ? kRepeatOfMany
                                               : kRepeatOfVeryMany;
      // To have seen every real server.
      const uint32_t warm = slow || count < kMany ? 0 : 2 * count;
      for (Object* object : {&world_.bench(), world_.against()}) {
        if (object == nullptr) continue;
        const bool is_other = object != &world_.bench();
        cases.push_back(Make(absl::StrCat(is_other ? "(against) " : "", name),
                             object->program("bench_xlvs_request_4tcp"), warm,
                             repeat));
        cases.back().before = [this, object, target = target, slow,
                               conns = warm + repeat]() -> absl::Status {
          XLVS_RETURN_IF_ERROR(NextFlows(*object, *target, conns));
          // So few packets leave most of them idle, and the first idle one
          // ends a search.
          if (slow) world_.SetActive(*target, kBusy);
          return absl::OkStatus();
        };
        cases.back().hits = [this, target = target] {
          return world_.ConnsMade(*target);
        };
      }
    }
    XLVS_RETURN_IF_ERROR(RunRounds(
        absl::StrCat("new connections, ", WithCommas(count), " real servers"),
        plan_.cold_rounds, cases));
    const auto samples = SamplesOf(cases);
    AddReference(samples);
    for (const auto& [name, target] : added) {
      AddRow(absl::StrCat("new-", name), name, count, name, samples);
      const std::string other = absl::StrCat("(against) ", name);
      if (world_.against() != nullptr)
        AddRow(absl::StrCat("against-new-", name), other, count, other,
               samples);
    }
  }
  return absl::OkStatus();
}

absl::Status NewConns::RunFull() {
  const uint32_t conns = world_.meta().conns;
  const uint32_t per_second = conns / kSynRecvSeconds;
  room_ = 0;
  std::vector<Case> cases;
  XLVS_RETURN_IF_ERROR(Begin(cases));
  const std::vector<Target*> targets = {
      Find(Scheduler::kRr, kReals), Find(Scheduler::kWrr, kReals),
      Find(Scheduler::kMh, kReals), Find(Scheduler::kWlc, kReals),
      Find(Scheduler::kWlc, kMany)};
  const auto name_of = [](const Target& target) {
    return absl::StrCat(Name(target.scheduler), " ", target.reals);
  };
  // Two lives long: by then new ones take the places of expired ones.
  for (uint32_t second = 0; second < 2 * kSynRecvSeconds; ++second) {
    world_.AdvanceClock();
    XLVS_RETURN_IF_ERROR(world_.Begin(*targets[second % targets.size()],
                                      next_flow_, per_second));
    next_flow_ += per_second;
  }
  for (Target* target : targets) {
    cases.push_back(Make(name_of(*target),
                         world_.bench().program("bench_xlvs_request_4tcp"), 0,
                         per_second));
    cases.back().before = [this, target, per_second] {
      world_.AdvanceClock();
      return NextFlows(world_.bench(), *target, per_second);
    };
    cases.back().hits = [this, target] { return world_.ConnsMade(*target); };
  }
  XLVS_RETURN_IF_ERROR(
      RunRounds("new connections, full table", plan_.cold_rounds, cases));
  const uint32_t live = world_.LiveConns();
  if (live < 0.98 * conns || live > 1.02 * conns)
    return absl::InternalError(absl::StrCat("the table that stays full has ",
                                            live, " connections, not ", conns));
  for (const Target* target : targets)
    AddRow(absl::StrCat("full-", Name(target->scheduler)),
           absl::StrCat(Name(target->scheduler), ", table full"), target->reals,
           name_of(*target), SamplesOf(cases));
  return absl::OkStatus();
}

absl::Status NewConns::RunFlood() {
  const uint32_t conns = world_.meta().conns;
  const uint32_t bound = conns / 2;  // as the director has it by itself
  Target& flooded = *Find(Scheduler::kRr, kReals);
  Target& refused = *Find(Scheduler::kWlc, kReals);
  room_ = 0;
  const auto make = [&](const char* name, Target& target) {
    Case made = Make(name, world_.bench().program("bench_xlvs_request_4tcp"), 0,
                     kRepeat);
    made.before = [this, &target] {
      return NextFlows(world_.bench(), target, kRepeat);
    };
    // Once in some hundred thousand packets no place is found, or is.
    made.may_miss = 10;
    return made;
  };

  // Half of the table is embryonic: the oldest ones near make room.
  std::vector<Case> cases;
  XLVS_RETURN_IF_ERROR(Begin(cases));
  XLVS_RETURN_IF_ERROR(world_.Begin(flooded, 0, bound));
  next_flow_ = bound;
  XLVS_RETURN_IF_ERROR(world_.Set("embryonic_max", bound));
  cases.push_back(make("evicts", flooded));
  cases.back().hits = [this, &flooded] { return world_.ConnsMade(flooded); };
  XLVS_RETURN_IF_ERROR(
      RunRounds("SYN flood, evicting", plan_.cold_rounds, cases));
  AddRow("flood-evicts", "SYN flood: oldest goes", 0, "evicts",
         SamplesOf(cases));
  XLVS_RETURN_IF_ERROR(world_.Set("embryonic_max", INT32_MAX));

  // All of the table is established, and the service may have no more: it is
  // looked for one of its own that could go, and there is none.
  cases.clear();
  XLVS_RETURN_IF_ERROR(Begin(cases));
  XLVS_RETURN_IF_ERROR(world_.Establish(flooded, 0, conns));
  next_flow_ = conns;
  XLVS_RETURN_IF_ERROR(world_.Set("service_embryonic_max", kServiceBound));
  world_.SetEmbryonic(refused, kServiceBound);
  cases.push_back(make("refused", refused));
  cases.back().action = XDP_DROP;
  cases.back().hits = [this] {
    return world_.Ending(&xlvs_step_counters::drop_embryonic);
  };
  XLVS_RETURN_IF_ERROR(
      RunRounds("SYN flood, refusing", plan_.cold_rounds, cases));
  AddRow("flood-refused", "SYN flood: refused", 0, "refused", SamplesOf(cases));
  XLVS_RETURN_IF_ERROR(world_.Set("service_embryonic_max", INT32_MAX));
  return world_.Clear();
}

}  // namespace xlvs::bench
