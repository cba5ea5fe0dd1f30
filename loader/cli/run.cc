// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "loader/cli/admin.h"
#include "loader/cli/command.h"
#include "loader/cli/decap.h"
#include "loader/cli/help.h"
#include "loader/cli/ipvsadm.h"
#include "loader/cli/json.h"
#include "loader/cli/mark.h"
#include "loader/cli/names.h"
#include "loader/cli/print.h"
#include "loader/cli/program.h"
#include "loader/cli/real_setup.h"
#include "loader/cli/restore.h"
#include "loader/cli/setting.h"
#include "loader/real/apply.h"
#include "loader/real/machine.h"

namespace xlvs {
namespace {

// What ipvsadm says for the codes that a call can end with.
struct Texts {
  const char* not_found = nullptr;
  const char* already_exists = nullptr;
  bool of_dest = false;  // FAILED_PRECONDITION may be a missing service
};

constexpr char kNoServiceOfDest[] = "Service not defined";

constexpr Texts kAddServiceTexts = {nullptr, "Service already exists"};
constexpr Texts kServiceTexts = {"No such service"};
constexpr Texts kAddDestTexts = {nullptr, "Destination already exists", true};
constexpr Texts kDestTexts = {"No such destination", nullptr, true};

bool IsMissingService(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) &&
         status.message() == "no such service";
}

class Runner {
 public:
  Runner(const std::vector<std::string>& args, Host& host,
         Decapsulator& decapsulator, std::istream& in, std::ostream& out,
         std::ostream& err)
      : program_(Program::FromArgv0(args[0])),
        args_(args),
        host_(host),
        decapsulator_(decapsulator),
        in_(in),
        out_(out),
        err_(err) {}

  int Run();

  int operator()(const AddService& command);
  int operator()(const EditService& command);
  int operator()(const DeleteService& command);
  int operator()(const Clear& command);
  int operator()(const AddDest& command);
  int operator()(const EditDest& command);
  int operator()(const DeleteDest& command);
  int operator()(const Zero& command);
  int operator()(const SetTimeouts& command);
  int operator()(const Refused& command);
  int operator()(const StopDaemon& command);
  int operator()(const List& command);
  int operator()(const Save& command);
  int operator()(const Restore& command);
  int operator()(const Help& command);
  int operator()(const Version& command);
  int operator()(const Attach& command);
  int operator()(const Detach& command);
  int operator()(const ShowStatus& command);
  int operator()(const ListSettings& command);
  int operator()(const ChangeSetting& command);
  int operator()(const ListMarks& command);
  int operator()(const AddMarks& command);
  int operator()(const DeleteMarks& command);
  int operator()(const SetUpReal& command);
  int operator()(const DecapAttach& command);
  int operator()(const DecapDetach& command);
  int operator()(const ShowDecapStatus& command);

 private:
  int RunSaveWrapper();
  int RunRestoreWrapper();
  Parsed Parse() const;
  int Execute(const Command& command) { return std::visit(*this, command); }

  // The director, opened once for a whole restore. nullptr: it said why not,
  // and exit_code_ has the answer.
  Director* Open(bool for_writing);
  template <typename Call>
  int Change(const Texts& texts, Call call);
  int Restored(const std::vector<Command>& commands);
  int ExecuteAll(const std::vector<Command>& commands);
  absl::Status SaveTheRest(Director& director);

  int ListServices(Director& director, const List& command);
  int ListConns(Director& director, const List& command);
  int ListTimeouts(Director& director, const List& command);
  absl::StatusOr<std::vector<ServiceView>> Select(Director& director,
                                                  const List& command);

  int Say(const std::string& message, int exit_code);
  // A status that ipvsadm has no words for.
  int SayStatus(const absl::Status& status, int exit_code);
  int SayKernel(const absl::Status& status, const Texts& texts);
  // Of xlvs's own words, with the word before the message.
  int SayOf(absl::string_view word, const std::string& message, int exit_code);

  Program program_;
  const std::vector<std::string>& args_;
  Host& host_;
  Decapsulator& decapsulator_;
  std::istream& in_;
  std::ostream& out_;
  std::ostream& err_;
  std::unique_ptr<Director> director_;
  int exit_code_ = kExitOk;
};

int Runner::Run() {
  if (program_.personality == Personality::kIpvsadmSave)
    return RunSaveWrapper();
  if (program_.personality == Personality::kIpvsadmRestore)
    return RunRestoreWrapper();
  const Parsed parsed = Parse();
  if (const auto* failure = std::get_if<Failure>(&parsed))
    return Say(failure->message, failure->exit_code);
  return Execute(std::get<Command>(parsed));
}

Parsed Runner::Parse() const {
  if (program_.personality == Personality::kXlvs && args_.size() > 1) {
    if (args_[1] == "help") return Command(Help{});
    if (args_[1] == kRealSetupWord) return ParseRealSetup(program_, args_);
    if (IsAdminWord(args_[1])) return ParseAdmin(program_, args_);
    if (args_[1] == kSetWord) return ParseSet(program_, args_);
    if (args_[1] == kMarkWord) return ParseMark(program_, args_);
    if (args_[1] == "decap") return ParseDecap(program_, args_);
  }
  return ParseIpvsadm(program_, args_);
}

int Runner::RunSaveWrapper() {
  Save save;
  for (size_t i = 1; i < args_.size(); ++i) {
    if (args_[i] == "-n")
      save.numeric = true;
    else if (args_[i][0] == '-')
      return Say(absl::StrCat("usage: ", program_.name,
                              " [-n]   saves the "
                              "services to stdout; -n: numbers, no names"),
                 kExitRefused);
  }
  return Execute(save);
}

int Runner::RunRestoreWrapper() {
  std::stringstream lines;
  for (std::string line; std::getline(in_, line);)
    if (line[0] != '#') lines << line << '\n';
  program_ = Program::FromArgv0("ipvsadm");  // which the original calls
  const auto commands = ReadRules(program_, lines);
  if (const auto* failure = std::get_if<Failure>(&commands))
    return Say(failure->message, failure->exit_code);
  // As the original, it restores even when nothing could be cleared; only
  // without a director there is no point.
  Execute(Clear{});
  if (director_ == nullptr) return exit_code_;
  return Restored(std::get<std::vector<Command>>(commands));
}

int Runner::Say(const std::string& message, int exit_code) {
  err_ << message << '\n';
  return exit_code;
}

int Runner::SayStatus(const absl::Status& status, int exit_code) {
  if (absl::IsPermissionDenied(status))
    return Say("Permission denied (you must be root)", kExitFailure);
  return Say(absl::StrCat(program_.name, ": ", status.message()), exit_code);
}

int Runner::SayKernel(const absl::Status& status, const Texts& texts) {
  if (absl::IsNotFound(status) && texts.not_found != nullptr)
    return Say(texts.not_found, kExitFailure);
  if (absl::IsAlreadyExists(status) && texts.already_exists != nullptr)
    return Say(texts.already_exists, kExitFailure);
  if (absl::IsInvalidArgument(status))
    return Say(
        "Invalid operation.  Possibly wrong module version, address not "
        "unicast, ...",
        kExitFailure);
  if (texts.of_dest && IsMissingService(status))
    return Say(kNoServiceOfDest, kExitFailure);
  return SayStatus(status, kExitFailure);
}

int Runner::SayOf(absl::string_view word, const std::string& message,
                  int exit_code) {
  return Say(absl::StrCat(program_.name, " ", word, ": ", message), exit_code);
}

Director* Runner::Open(bool for_writing) {
  if (director_ != nullptr) return director_.get();
  auto opened = host_.Open(for_writing);
  if (opened.ok()) {
    director_ = *std::move(opened);
    return director_.get();
  }
  // Nothing attached is what a missing kernel module is to ipvsadm.
  const bool absent = absl::IsFailedPrecondition(opened.status()) ||
                      absl::IsNotFound(opened.status());
  exit_code_ = SayStatus(opened.status(), absent ? kExitUsage : kExitFailure);
  return nullptr;
}

template <typename Call>
int Runner::Change(const Texts& texts, Call call) {
  Director* director = Open(/*for_writing=*/true);
  if (director == nullptr) return exit_code_;
  const absl::Status status = call(*director);
  return status.ok() ? kExitOk : SayKernel(status, texts);
}

int Runner::operator()(const AddService& command) {
  return Change(kAddServiceTexts, [&](Director& director) {
    return director.AddService(command.service);
  });
}

int Runner::operator()(const EditService& command) {
  return Change(kServiceTexts, [&](Director& director) {
    return director.EditService(command.service);
  });
}

int Runner::operator()(const DeleteService& command) {
  return Change(kServiceTexts, [&](Director& director) {
    return director.DeleteService(command.service);
  });
}

int Runner::operator()(const Clear&) {
  return Change({}, [](Director& director) { return director.Clear(); });
}

int Runner::operator()(const AddDest& command) {
  return Change(kAddDestTexts, [&](Director& director) {
    return director.AddDest(command.service, command.dest);
  });
}

int Runner::operator()(const EditDest& command) {
  return Change(kDestTexts, [&](Director& director) {
    return director.EditDest(command.service, command.dest);
  });
}

int Runner::operator()(const DeleteDest& command) {
  return Change(kDestTexts, [&](Director& director) {
    return director.DeleteDest(command.service, command.dest);
  });
}

int Runner::operator()(const Zero& command) {
  return Change(kServiceTexts, [&](Director& director) {
    return director.Zero(command.service);
  });
}

int Runner::operator()(const SetTimeouts& command) {
  return Change({}, [&](Director& director) {
    return director.SetTimeouts(command.timeouts);
  });
}

int Runner::operator()(const Refused& command) {
  Director* director = Open(/*for_writing=*/true);
  if (director == nullptr) return exit_code_;
  absl::Status status = director->FindService(command.service).status();
  const bool adds = command.of == Refused::Of::kAddService;
  if (adds && status.ok())
    return SayKernel(absl::AlreadyExistsError(""), kAddServiceTexts);
  if (adds && absl::IsNotFound(status)) status = absl::OkStatus();
  if (status.ok()) return Say(command.message, kExitFailure);
  if (command.of == Refused::Of::kDest && absl::IsNotFound(status))
    return Say(kNoServiceOfDest, kExitFailure);
  return SayKernel(status, kServiceTexts);
}

int Runner::operator()(const StopDaemon&) {
  if (Open(/*for_writing=*/false) == nullptr) return exit_code_;
  return Say("No daemon is running", kExitFailure);  // as there never is
}

int Runner::operator()(const List& command) {
  Director* director = Open(/*for_writing=*/false);
  if (director == nullptr) return exit_code_;
  switch (command.what) {
    case ListWhat::kServices:
      return ListServices(*director, command);
    case ListWhat::kConns:
      return ListConns(*director, command);
    case ListWhat::kTimeouts:
      return ListTimeouts(*director, command);
    case ListWhat::kDaemons:
      if (command.json) out_ << DaemonsJson();
      return kExitOk;
  }
  return kExitOk;
}

absl::StatusOr<std::vector<ServiceView>> Runner::Select(Director& director,
                                                        const List& command) {
  if (!command.service) return director.Services();
  auto view = director.FindService(*command.service);
  if (!view.ok()) return view.status();
  return std::vector<ServiceView>{*std::move(view)};
}

int Runner::ListServices(Director& director, const List& command) {
  auto services = Select(director, command);
  if (absl::IsNotFound(services.status()))
    return Say("No such service", kExitRefused);
  if (!services.ok()) return SayStatus(services.status(), kExitRefused);
  const auto table = director.Table();
  if (!table.ok()) return SayStatus(table.status(), kExitRefused);
  if (command.options.sort) Sort(*services);
  if (command.json) {
    out_ << ServicesJson(*table, *services);
    return kExitOk;
  }
  if (!command.service) PrintTableLine(*table, out_);
  PrintServices(*services, command.options,
                command.options.numeric ? Numeric() : FromSystem(), out_);
  return kExitOk;
}

int Runner::ListConns(Director& director, const List& command) {
  const auto conns = director.Conns();
  if (!conns.ok()) return SayStatus(conns.status(), kExitRefused);
  if (command.json)
    out_ << ConnsJson(*conns);
  else
    PrintConns(*conns, command.options,
               command.options.numeric ? Numeric() : FromSystem(), out_);
  return kExitOk;
}

int Runner::ListTimeouts(Director& director, const List& command) {
  const auto timeouts = director.GetTimeouts();
  if (!timeouts.ok()) return SayStatus(timeouts.status(), kExitRefused);
  if (command.json)
    out_ << TimeoutsJson(*timeouts);
  else
    PrintTimeouts(*timeouts, out_);
  return kExitOk;
}

int Runner::operator()(const Save& command) {
  Director* director = Open(/*for_writing=*/false);
  if (director == nullptr) return exit_code_;
  auto services = director->Services();
  if (!services.ok()) return SayStatus(services.status(), kExitRefused);
  Sort(*services);
  if (command.everything)
    if (const absl::Status status = SaveTheRest(*director); !status.ok())
      return SayStatus(status, kExitRefused);
  PrintRules(*services, command.everything,
             command.numeric ? Numeric() : FromSystem(), out_);
  return kExitOk;
}

absl::Status Runner::SaveTheRest(Director& director) {
  const auto settings = director.Settings();
  if (!settings.ok()) return settings.status();
  const auto timeouts = director.GetTimeouts();
  if (!timeouts.ok()) return timeouts.status();
  const auto marks = director.Marks();
  if (!marks.ok()) return marks.status();
  PrintSettingRules(*settings, out_);
  PrintTimeoutRule(*timeouts, out_);
  PrintMarkRules(*marks, out_);
  return absl::OkStatus();
}

int Runner::operator()(const Restore&) {
  // Before the director is opened: nobody waits for a lock while the lines
  // come in.
  const auto commands = ReadRules(program_, in_);
  if (const auto* failure = std::get_if<Failure>(&commands))
    return Say(failure->message, failure->exit_code);
  if (Open(/*for_writing=*/true) == nullptr) return exit_code_;
  return Restored(std::get<std::vector<Command>>(commands));
}

int Runner::Restored(const std::vector<Command>& commands) {
  director_->BeginBatch();
  const int exit_code = ExecuteAll(commands);
  const absl::Status status = director_->EndBatch();
  return status.ok() ? exit_code : SayStatus(status, kExitFailure);
}

int Runner::ExecuteAll(const std::vector<Command>& commands) {
  int exit_code = kExitOk;  // the last line's, as ipvsadm
  for (const Command& command : commands) {
    exit_code = Execute(command);
    // ipvsadm exits from within a listing that fails.
    if (std::holds_alternative<List>(command) && exit_code != kExitOk) break;
  }
  return exit_code;
}

int Runner::operator()(const Help&) {
  out_ << HelpText(program_);
  return kExitOk;
}

int Runner::operator()(const Version&) {
  out_ << VersionText(program_);
  return kExitOk;
}

int Runner::operator()(const Attach& command) {
  const auto devices = host_.Attach(command.options);
  if (!devices.ok()) return SayStatus(devices.status(), kExitRefused);
  PrintAttached(*devices, command.options.mode, out_);
  return kExitOk;
}

int Runner::operator()(const Detach& command) {
  const absl::Status status = host_.Detach(command.devices, command.purge);
  return status.ok() ? kExitOk : SayStatus(status, kExitRefused);
}

int Runner::operator()(const ShowStatus& command) {
  const auto status = host_.Status();
  if (!status.ok()) return SayStatus(status.status(), kExitRefused);
  if (command.json)
    out_ << StatusJson(*status);
  else
    PrintStatus(*status, command.all, out_);
  return status->devices.empty() ? kExitRefused : kExitOk;
}

int Runner::operator()(const ListSettings& command) {
  Director* director = Open(/*for_writing=*/false);
  if (director == nullptr) return exit_code_;
  auto settings = director->Settings();
  if (!settings.ok()) return SayStatus(settings.status(), kExitRefused);
  if (command.name) {
    const SettingView* one = FindSetting(*settings, *command.name);
    if (one == nullptr)
      return SayOf(kSetWord, UnknownSetting(*settings, *command.name),
                   kExitUsage);
    settings = std::vector<SettingView>{*one};
  }
  if (command.json)
    out_ << SettingsJson(*settings);
  else if (command.name)
    out_ << settings->front().value << '\n';
  else
    PrintSettings(*settings, out_);
  return kExitOk;
}

int Runner::operator()(const ChangeSetting& command) {
  Director* director = Open(/*for_writing=*/true);
  if (director == nullptr) return exit_code_;
  const auto settings = director->Settings();
  if (!settings.ok()) return SayStatus(settings.status(), kExitRefused);
  const SettingView* setting = FindSetting(*settings, command.name);
  if (setting == nullptr)
    return SayOf(kSetWord, UnknownSetting(*settings, command.name), kExitUsage);
  if (command.value < setting->min || command.value > setting->max)
    return SayOf(kSetWord,
                 absl::StrCat(command.name, " is ", setting->min, " to ",
                              setting->max, ", not ", command.value),
                 kExitUsage);
  const absl::Status status = director->Set(command.name, command.value);
  return status.ok() ? kExitOk : SayStatus(status, kExitRefused);
}

int Runner::operator()(const ListMarks& command) {
  Director* director = Open(/*for_writing=*/false);
  if (director == nullptr) return exit_code_;
  const auto rules = director->Marks();
  if (!rules.ok()) return SayStatus(rules.status(), kExitRefused);
  if (command.json)
    out_ << MarksJson(*rules);
  else
    PrintMarks(*rules, out_);
  return kExitOk;
}

int Runner::operator()(const AddMarks& command) {
  Director* director = Open(/*for_writing=*/true);
  if (director == nullptr) return exit_code_;
  auto known = director->Marks();
  if (!known.ok()) return SayStatus(known.status(), kExitRefused);
  for (const MarkRule& rule : command.rules) {
    if (std::find(known->begin(), known->end(), rule) != known->end())
      return SayOf(kMarkWord,
                   absl::StrCat("mark ", rule.fwmark, " has '",
                                MarkRuleText(rule), "' already"),
                   kExitRefused);
    known->push_back(rule);  // of two that are the same the second is refused
  }
  for (size_t i = 0; i < command.rules.size(); ++i) {
    const absl::Status status = director->AddMark(command.rules[i]);
    if (status.ok()) continue;
    while (i-- > 0) director->DeleteMark(command.rules[i]).IgnoreError();
    return SayStatus(status, kExitRefused);
  }
  return kExitOk;
}

int Runner::operator()(const DeleteMarks& command) {
  Director* director = Open(/*for_writing=*/true);
  if (director == nullptr) return exit_code_;
  auto known = director->Marks();
  if (!known.ok()) return SayStatus(known.status(), kExitRefused);
  const auto of_mark = [&](const MarkRule& rule) {
    return rule.fwmark == command.fwmark;
  };
  if (std::none_of(known->begin(), known->end(), of_mark))
    return SayOf(kMarkWord, absl::StrCat("no packet has mark ", command.fwmark),
                 kExitRefused);
  for (const MarkRule& rule : command.rules) {
    const auto found = std::find(known->begin(), known->end(), rule);
    if (found == known->end())
      return SayOf(kMarkWord,
                   absl::StrCat("mark ", rule.fwmark, " has no '",
                                MarkRuleText(rule), "'"),
                   kExitRefused);
    known->erase(found);
  }
  if (command.rules.empty()) {
    const absl::Status status = director->ClearMarks(command.fwmark);
    return status.ok() ? kExitOk : SayStatus(status, kExitRefused);
  }
  for (const MarkRule& rule : command.rules)
    if (const absl::Status status = director->DeleteMark(rule); !status.ok())
      return SayStatus(status, kExitRefused);
  return kExitOk;
}

int Runner::operator()(const SetUpReal& command) {
  if (command.action == RealAction::kPrint) {
    out_ << ScriptOf(command.setup);
    return kExitOk;
  }
  auto machine = RealMachine::Open();
  if (!machine.ok()) return SayStatus(machine.status(), kExitRefused);
  const bool undo = command.action == RealAction::kUndo;
  const auto lines =
      undo ? UndoSetup(*machine) : ApplySetup(command.setup, *machine);
  if (!lines.ok()) return SayStatus(lines.status(), kExitRefused);
  for (const std::string& line : *lines) out_ << line << '\n';
  if (lines->empty())
    out_ << (undo ? "nothing to take back\n" : "all is so already\n");
  return kExitOk;
}

int Runner::operator()(const DecapAttach& command) {
  const auto device = decapsulator_.Attach(command.options);
  if (!device.ok()) return SayStatus(device.status(), kExitRefused);
  PrintAttached({*device}, command.options.mode, out_);
  return kExitOk;
}

int Runner::operator()(const DecapDetach& command) {
  const absl::Status status = decapsulator_.Detach(command.device);
  return status.ok() ? kExitOk : SayStatus(status, kExitRefused);
}

int Runner::operator()(const ShowDecapStatus& command) {
  const auto view = decapsulator_.Status();
  if (!view.ok()) return SayStatus(view.status(), kExitRefused);
  if (command.json)
    out_ << DecapJson(*view);
  else
    PrintDecapStatus(*view, command.all, out_);
  return view->devices.empty() ? kExitRefused : kExitOk;
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& args, Host& host,
                   Decapsulator& decapsulator, std::istream& in,
                   std::ostream& out, std::ostream& err) {
  return Runner(args, host, decapsulator, in, out, err).Run();
}

}  // namespace xlvs
