// SPDX-License-Identifier: Apache-2.0
//
// What a command line asks for, as a value: parsers make one, run.cc executes
// it. What of ipvsadm's grammar this program cannot do ends in a Failure.
#ifndef XLVS_LOADER_CLI_COMMAND_H_
#define XLVS_LOADER_CLI_COMMAND_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "loader/model/decapsulator.h"
#include "loader/model/host.h"
#include "loader/model/service.h"
#include "loader/real/setup.h"

namespace xlvs {

struct AddService {
  Service service;
};
struct EditService {
  Service service;
};
struct DeleteService {
  ServiceKey service;
};
struct Clear {};

struct AddDest {
  ServiceKey service;
  Dest dest;
};
struct EditDest {
  ServiceKey service;
  Dest dest;
};
struct DeleteDest {
  ServiceKey service;
  DestKey dest;
};

struct Zero {
  std::optional<ServiceKey> service;  // nullopt: all
};
struct SetTimeouts {
  Timeouts timeouts;
};

// What IPVS's kernel part refuses whatever its tables hold. It is an answer of
// the director all the same: of several mistakes the kernel names a missing
// service, or one that exists already, before it looks at what is asked for.
struct Refused {
  enum class Of { kAddService, kEditService, kDest };
  Of of = Of::kAddService;
  ServiceKey service;
  std::string message;
};
struct StopDaemon {};

enum class ListWhat { kServices, kConns, kTimeouts, kDaemons };
enum class ListColumns {
  kPlain,
  kStats,
  kRate,
  kThresholds,
  kPersistentConn,
  kTunInfo
};
struct ListOptions {
  ListColumns columns = ListColumns::kPlain;
  bool numeric = false;
  bool exact = false;
  bool sort = true;
};
struct List {
  ListWhat what = ListWhat::kServices;
  std::optional<ServiceKey> service;  // only of kServices
  ListOptions options;
  bool json = false;
};

struct Save {
  bool numeric = false;
  // Also what ipvsadm -S leaves out: thresholds, timeouts, marks, settings.
  bool everything = false;
};
struct Restore {};
struct Help {};
struct Version {};

struct Attach {
  AttachOptions options;
};
struct Detach {
  std::vector<std::string> devices;
  bool purge = false;
};
struct ShowStatus {
  bool json = false;
  bool all = false;  // endings that no packet met, too
};

struct ListSettings {
  std::optional<std::string> name;  // nullopt: all
  bool json = false;
};
struct ChangeSetting {
  std::string name;
  uint32_t value = 0;  // whether it is one for it the director knows
};

struct ListMarks {
  bool json = false;
};
struct AddMarks {
  std::vector<MarkRule> rules;  // in this order, all or none
};
struct DeleteMarks {
  uint32_t fwmark = 0;
  std::vector<MarkRule> rules;  // all or none; empty: all of `fwmark`
};

// What a real server needs: shown as a script, done, or taken back.
enum class RealAction { kPrint, kApply, kUndo };
struct SetUpReal {
  RealAction action = RealAction::kPrint;
  RealSetup setup;  // not of kUndo
};

struct DecapAttach {
  DecapOptions options;
};
struct DecapDetach {
  std::string device;
};
struct ShowDecapStatus {
  bool json = false;
  bool all = false;  // endings that no packet met, too
};

using Command =
    std::variant<AddService, EditService, DeleteService, Clear, AddDest,
                 EditDest, DeleteDest, Zero, SetTimeouts, Refused, StopDaemon,
                 List, Save, Restore, Help, Version, Attach, Detach, ShowStatus,
                 ListSettings, ChangeSetting, ListMarks, AddMarks, DeleteMarks,
                 SetUpReal, DecapAttach, DecapDetach, ShowDecapStatus>;

// ipvsadm's exit codes. Scripts test them, so ours are the same.
enum ExitCode : int {
  kExitOk = 0,
  kExitRefused = 1,   // listing failed; here also: not a thing that xlvs does
  kExitUsage = 2,     // ipvsadm itself found the mistake
  kExitFailure = 255  // popt or the kernel found it
};

// A command line that is not a command.
struct Failure {
  std::string message;  // one line, or more, without the last newline
  int exit_code = kExitUsage;
};

using Parsed = std::variant<Command, Failure>;

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_COMMAND_H_
