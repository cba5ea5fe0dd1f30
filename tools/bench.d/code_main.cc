// SPDX-License-Identifier: Apache-2.0
//
// xlvs_code: how large the programs and maps are, and whether that is what is
// recorded. tools/bench code builds and runs it.
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "tools/bench.d/code.h"
#include "tools/bench.d/recorded.h"
#include "tools/bench.d/report.h"

namespace xlvs::bench {
namespace {

constexpr char kHelp[] =
    R"(usage: tools/bench code [--check | --record] [--json FILE|-]

Shows what the shipped programs and maps take: instructions (as compiled, as
walked through by the verifier, as translated), machine code, stack, calls of
helpers, bytes of maps. Loads the programs and attaches nothing; needs root.

  --check       fails if anything is 5 % above what is recorded in
                tools/bench.d/code.json, and names it. What the kernel makes of
                the programs is compared only on a kernel of a release that has
                a record
  --record      records what there is now, and for this kernel's release
  --json FILE   also write the figures as JSON; - for standard output, then
                without the table
  --help        this text
)";

constexpr double kTolerance = 0.05;

// "6.18" of "6.18.44-amd64".
std::string KernelLine() {
  const std::vector<std::string> parts = absl::StrSplit(Kernel(), '.');
  return parts.size() < 2 ? Kernel() : absl::StrCat(parts[0], ".", parts[1]);
}

absl::Status Record(const std::string& path, const nlohmann::json& now) {
  nlohmann::json record = nlohmann::json::object();
  // The other kernels' figures stay, if there are any.
  if (const auto present = ReadRecord(path); present.ok()) record = *present;
  record["everywhere"] = now["everywhere"];
  record["kernels"][KernelLine()] = now["kernel"];
  XLVS_RETURN_IF_ERROR(WriteRecord(path, record));
  absl::PrintF("recorded for Linux %s: %s\n", KernelLine(), path);
  return absl::OkStatus();
}

absl::Status Check(const std::string& path, const nlohmann::json& now) {
  XLVS_ASSIGN_OR_RETURN(const nlohmann::json record, ReadRecord(path));
  int worse =
      CompareWithRecord(record.value("everywhere", nlohmann::json::object()),
                        now["everywhere"], kTolerance);
  const nlohmann::json kernels =
      record.value("kernels", nlohmann::json::object());
  if (const auto kernel = kernels.find(KernelLine()); kernel != kernels.end())
    worse += CompareWithRecord(*kernel, now["kernel"], kTolerance);
  else
    absl::PrintF("no figures are recorded for Linux %s\n", KernelLine());
  if (worse > 0)
    return absl::FailedPreconditionError(absl::StrCat(
        worse,
        " figures are more than 5 % above what is recorded, or not "
        "recorded; if that is what you want: tools/bench code --record"));
  absl::PrintF("code and maps: not above what is recorded\n");
  return absl::OkStatus();
}

struct Options {
  bool check = false, record = false, help = false;
  std::string json, file;
};

// Returns false after saying what is wrong.
bool ParseOptions(int argc, char** argv, Options& ret) {
  enum { kCheck = 1, kRecord, kJson, kFile, kHelpOption };
  const option known[] = {{"check", no_argument, nullptr, kCheck},
                          {"record", no_argument, nullptr, kRecord},
                          {"json", required_argument, nullptr, kJson},
                          {"file", required_argument, nullptr, kFile},
                          {"help", no_argument, nullptr, kHelpOption},
                          {nullptr, 0, nullptr, 0}};
  int found;
  while ((found = getopt_long(argc, argv, "h", known, nullptr)) != -1) {
    switch (found) {
      case kCheck:
        ret.check = true;
        break;
      case kRecord:
        ret.record = true;
        break;
      case kJson:
        ret.json = optarg;
        break;
      case kFile:
        ret.file = optarg;
        break;
      case 'h':
      case kHelpOption:
        ret.help = true;
        break;
      default:
        return false;
    }
  }
  if (optind != argc || (ret.check && ret.record)) return false;
  return ret.help || !ret.file.empty() || (!ret.check && !ret.record);
}

absl::Status Main(const Options& options) {
  CaptureLibbpfLog();
  XLVS_ASSIGN_OR_RETURN(const CodeFigures figures, MeasureCode());
  if (options.json != "-" && !options.check) PrintCode(figures);
  if (!options.json.empty())
    XLVS_RETURN_IF_ERROR(WriteJson(options.json, ToJson(figures)));
  if (options.record) return Record(options.file, Repeatable(figures));
  if (options.check) return Check(options.file, Repeatable(figures));
  return absl::OkStatus();
}

}  // namespace
}  // namespace xlvs::bench

int main(int argc, char** argv) {
  xlvs::bench::Options options;
  if (!xlvs::bench::ParseOptions(argc, argv, options)) {
    std::fputs(xlvs::bench::kHelp, stderr);
    return 2;
  }
  if (options.help) {
    std::fputs(xlvs::bench::kHelp, stdout);
    return 0;
  }
  if (geteuid() != 0) {
    std::fputs("bench code: needs root: BPF programs are loaded\n", stderr);
    return 1;
  }
  const absl::Status status = xlvs::bench::Main(options);
  if (!status.ok()) {
    absl::FPrintF(stderr, "bench code: %s\n", status.message());
    return 1;
  }
  return 0;
}
