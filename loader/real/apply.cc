// SPDX-License-Identifier: Apache-2.0
#include "loader/real/apply.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "loader/base/status.h"

namespace xlvs {
namespace {

using Json = nlohmann::json;

// A note of one step that was done, or was about to be.
struct SysctlNote {
  std::string path;
  std::string value;
  std::string old;
};
struct ThingNote {
  Argv undo;
  Argv show;  // there is something to undo if it prints all of `shown`
  std::vector<std::string> shown;
};
using Note = std::variant<SysctlNote, ThingNote>;

Json ToJson(const Note& note) {
  if (const auto* sysctl = std::get_if<SysctlNote>(&note))
    return {
        {"path", sysctl->path}, {"value", sysctl->value}, {"old", sysctl->old}};
  const auto& thing = std::get<ThingNote>(note);
  return {{"undo", thing.undo}, {"show", thing.show}, {"shown", thing.shown}};
}

Note FromJson(const Json& json) {
  if (json.contains("path"))
    return SysctlNote{json.at("path"), json.at("value"), json.at("old")};
  return ThingNote{json.at("undo"), json.at("show"), json.at("shown")};
}

absl::StatusOr<std::vector<Note>> ReadNotes(Machine& machine) {
  XLVS_ASSIGN_OR_RETURN(const std::string text, machine.ReadNote());
  std::vector<Note> notes;
  if (text.empty()) return notes;
  try {
    for (const Json& json : Json::parse(text)) notes.push_back(FromJson(json));
  } catch (const Json::exception& error) {
    return absl::InternalError(absl::StrCat(
        "the note of what was applied cannot be read: ", error.what()));
  }
  return notes;
}

absl::Status WriteNotes(const std::vector<Note>& notes, Machine& machine) {
  Json list = Json::array();
  for (const Note& note : notes) list.push_back(ToJson(note));
  return machine.WriteNote(notes.empty() ? "" : list.dump(1) + "\n");
}

// A failing `show` (no such device) shows nothing.
bool IsShown(const Argv& show, const std::vector<std::string>& shown,
             Machine& machine) {
  const auto text = machine.Run(show);
  return text.ok() &&
         std::all_of(shown.begin(), shown.end(), [&](const std::string& part) {
           return absl::StrContains(*text, part);
         });
}

std::string Text(const Argv& words) {
  return absl::StrJoin(words, " ");
}

// What to do for a step: its commands, and how to take them back.
struct Action {
  std::string text;
  Note note;
  std::optional<Argv> command;  // else the sysctl is written
};
// nullopt: nothing to do, it is so already.
using MaybeAction = absl::StatusOr<std::optional<Action>>;

const char* FamilyFlag(bool v4) {
  return v4 ? "-4" : "-6";
}

Argv ShowDefault(bool v4) {
  return {"ip", FamilyFlag(v4), "route", "show", "default"};
}

Argv RouteCommand(bool v4, const char* verb, const Argv& route) {
  Argv words = {"ip", FamilyFlag(v4), "route", verb};
  words.insert(words.end(), route.begin(), route.end());
  return words;
}

// Default routes as one could give them to `ip route`: without what it only
// says about their state.
absl::StatusOr<std::vector<Argv>> DefaultRoutes(bool v4, Machine& machine) {
  XLVS_ASSIGN_OR_RETURN(const std::string text, machine.Run(ShowDefault(v4)));
  std::vector<Argv> routes;
  for (absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    if (!absl::StartsWith(line, "default"))  // "nexthop via ..."
      return absl::FailedPreconditionError(
          "the default route has several next hops, which this command does "
          "not change; run without --apply and edit what it prints");
    Argv route;
    const Argv words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] == "expires")
        ++i;
      else if (words[i] != "linkdown" && words[i] != "dead")
        route.push_back(words[i]);
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

std::optional<std::string> ValueOf(const Argv& route,
                                   absl::string_view keyword) {
  for (size_t i = 0; i + 1 < route.size(); ++i)
    if (route[i] == keyword) return route[i + 1];
  return std::nullopt;
}

MaybeAction Prepare(const SysctlStep& step, Machine& machine) {
  XLVS_ASSIGN_OR_RETURN(const std::string old, machine.ReadSysctl(step.path));
  if (old == step.value) return std::nullopt;
  return Action{absl::StrCat(step.path, " = ", step.value, " (was ", old, ")"),
                SysctlNote{step.path, step.value, old}, std::nullopt};
}

MaybeAction Prepare(const ThingStep& step, Machine& machine) {
  if (IsShown(step.show, step.shown, machine)) return std::nullopt;
  return Action{Text(step.add), ThingNote{step.remove, step.show, step.shown},
                step.add};
}

// A new default route takes the place of the one with the metric that `ip
// route` gives to ours: none with IPv4, 1024 with IPv6.
MaybeAction Prepare(const GatewayStep& step, Machine& machine) {
  const bool v4 = step.director.is_v4();
  XLVS_ASSIGN_OR_RETURN(const auto routes, DefaultRoutes(v4, machine));
  Argv wanted = {"default", "via", step.director.ToString()};
  if (!step.device.empty()) wanted.insert(wanted.end(), {"dev", step.device});
  Argv undo = RouteCommand(v4, "del", wanted);
  for (const Argv& route : routes) {
    if (ValueOf(route, "metric").value_or("0") != (v4 ? "0" : "1024")) continue;
    if (ValueOf(route, "via") == step.director.ToString() &&
        (step.device.empty() || ValueOf(route, "dev") == step.device))
      return std::nullopt;
    undo = RouteCommand(v4, "replace", route);
    break;
  }
  const Argv command = RouteCommand(v4, "replace", wanted);
  return Action{
      Text(command),
      ThingNote{undo,
                ShowDefault(v4),
                {absl::StrCat("via ", step.director.ToString(), " ")}},
      command};
}

MaybeAction Prepare(const SegmentStep& step, Machine& machine) {
  XLVS_ASSIGN_OR_RETURN(const auto routes, DefaultRoutes(step.v4, machine));
  if (routes.empty())
    return absl::FailedPreconditionError(absl::StrCat(
        "there is no IPv", step.v4 ? 4 : 6,
        " default route, by which clients are answered: set it first"));
  Argv route = routes.front();
  const std::string advmss = absl::StrCat(step.advmss);
  if (ValueOf(route, "advmss") == advmss) return std::nullopt;
  const Argv undo = RouteCommand(step.v4, "replace", route);
  for (size_t i = 0; i + 1 < route.size(); ++i)
    if (route[i] == "advmss") {
      route.erase(route.begin() + static_cast<std::ptrdiff_t>(i),
                  route.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      break;
    }
  route.insert(route.end(), {"advmss", advmss});
  const Argv command = RouteCommand(step.v4, "replace", route);
  return Action{
      Text(command),
      ThingNote{undo, ShowDefault(step.v4), {absl::StrCat("advmss ", advmss)}},
      command};
}

absl::Status Do(const Action& action, Machine& machine) {
  if (action.command) return machine.Run(*action.command).status();
  const auto& sysctl = std::get<SysctlNote>(action.note);
  return machine.WriteSysctl(sysctl.path, sysctl.value);
}

// Returns a line about it; empty: there was nothing left to take back.
absl::StatusOr<std::string> Undo(const SysctlNote& note, Machine& machine) {
  const auto now = machine.ReadSysctl(note.path);
  if (!now.ok()) return "";  // the device is gone
  if (*now == note.old) return "";
  if (*now != note.value)
    return absl::StrCat("left: ", note.path, " = ", *now,
                        " (somebody changed it since)");
  XLVS_RETURN_IF_ERROR(machine.WriteSysctl(note.path, note.old));
  return absl::StrCat("done: ", note.path, " = ", note.old);
}

absl::StatusOr<std::string> Undo(const ThingNote& note, Machine& machine) {
  if (!IsShown(note.show, note.shown, machine)) return "";
  const auto run = machine.Run(note.undo);
  if (!run.ok()) return run.status();
  return absl::StrCat("done: ", Text(note.undo));
}

// Takes back notes from the end on until `keep` are left. Those that fail stay
// in `notes`.
absl::Status UndoDownTo(size_t keep, std::vector<Note>& notes, Machine& machine,
                        std::vector<std::string>& lines) {
  absl::Status first;
  std::vector<Note> failed;
  while (notes.size() > keep) {
    const auto line = std::visit(
        [&](const auto& note) { return Undo(note, machine); }, notes.back());
    if (!line.ok()) {
      if (first.ok()) first = line.status();
      failed.insert(failed.begin(), notes.back());
    } else if (!line->empty()) {
      lines.push_back(*line);
    }
    notes.pop_back();
  }
  notes.insert(notes.end(), std::make_move_iterator(failed.begin()),
               std::make_move_iterator(failed.end()));
  if (auto status = WriteNotes(notes, machine); !status.ok()) return status;
  return first;
}

absl::Status ApplyStep(const Step& step, std::vector<Note>& notes,
                       Machine& machine, std::vector<std::string>& lines) {
  MaybeAction action = std::visit(
      [&](const auto& what) { return Prepare(what, machine); }, step.what);
  if (!action.ok()) return action.status();
  if (!action->has_value()) return absl::OkStatus();
  notes.push_back((*action)->note);
  XLVS_RETURN_IF_ERROR(WriteNotes(notes, machine));
  XLVS_RETURN_IF_ERROR(Do(**action, machine));
  lines.push_back(absl::StrCat("done: ", (*action)->text));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ApplySetup(const RealSetup& setup,
                                                    Machine& machine) {
  XLVS_ASSIGN_OR_RETURN(std::vector<Note> notes, ReadNotes(machine));
  const size_t before = notes.size();
  std::vector<std::string> lines;
  for (const Step& step : PlanSteps(setup)) {
    const absl::Status status = ApplyStep(step, notes, machine, lines);
    if (status.ok()) continue;
    std::vector<std::string> undone;
    if (const auto undo = UndoDownTo(before, notes, machine, undone);
        !undo.ok())
      return absl::InternalError(
          absl::StrCat(status.message(),
                       "; then, taking back what was done: ", undo.message()));
    return Context(status, "nothing was changed");
  }
  return lines;
}

absl::StatusOr<std::vector<std::string>> UndoSetup(Machine& machine) {
  XLVS_ASSIGN_OR_RETURN(std::vector<Note> notes, ReadNotes(machine));
  std::vector<std::string> lines;
  XLVS_RETURN_IF_ERROR(UndoDownTo(0, notes, machine, lines));
  return lines;
}

}  // namespace xlvs
