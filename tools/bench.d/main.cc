// SPDX-License-Identifier: Apache-2.0
//
// xlvs_bench: what a packet costs, in nanoseconds of one CPU, by
// BPF_PROG_TEST_RUN. tools/bench builds and runs it.
//
// "above" is what a path costs above a program that only makes the packet (see
// traffic.h) and sends it; R (reference.bpf.c) is what one would write without
// much thought. All of it is measured in the same rounds.
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "tools/bench.d/code.h"
#include "tools/bench.d/established.h"
#include "tools/bench.d/new_conns.h"
#include "tools/bench.d/plan.h"
#include "tools/bench.d/ratios.h"
#include "tools/bench.d/report.h"
#include "tools/bench.d/runner.h"
#include "tools/bench.d/world.h"

namespace xlvs::bench {
namespace {

constexpr char kHelp[] =
    R"(usage: tools/bench [--quick] [--check | --record] [--json FILE|-]
                   [--history FILE] [--picture FILE.svg] [--stages] [--layouts]
                   [--flows N[,N...]] [--rounds N] [--against OBJECT]
       tools/bench code [--check | --record] [--json FILE|-]

Measures what a packet costs in the director, beside an empty program and
beside R, a plain NAT balancer on a kernel hash map, all in the same rounds.
Needs root. Touches no device and leaves nothing behind. Through devices, and
beside others: tools/bench live --help, tools/bench ipvs --help.

  --quick           fewer paths and rounds (under a minute; all: 6 minutes)
  --check           fails if a path's ratio to R is 15 % above what is recorded
                    in tools/bench.d/ratios.json, and names it
  --record          records the ratios of this run
  --json FILE       also write the figures as JSON; - for standard output,
                    then without the tables
  --history FILE    append them to a file, one line a run
  --picture FILE    also draw them (SVG)
  --stages          also where the time of an established packet goes
  --layouts         also other layouts of the connection table (lookup only)
  --flows N[,N...]  only established connections, so many (in ascending order)
  --rounds N        so many rounds
  --against OBJECT  also another build of bench.bpf.o, for comparing two trees
                    whose maps have the same layout
  --help            this text

tools/bench code shows how large programs and maps are; its --help says more.
)";

struct Options {
  bool quick = false;
  bool help = false;
  bool check = false;
  bool record = false;
  std::string ratios;           // the record's file
  std::string history;          // a file, or empty
  std::vector<uint32_t> flows;  // empty: the usual ones, and all else
  uint32_t rounds = 0;          // 0: as many as usual
  std::string json;
  std::string commit = "unknown";
  World::Options world;
};

bool ParseFlows(const char* text, std::vector<uint32_t>& ret) {
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    uint32_t flows;
    if (!absl::SimpleAtoi(part, &flows) || flows == 0 || flows > kTableConns)
      return false;
    ret.push_back(flows);
  }
  std::sort(ret.begin(), ret.end());
  return true;
}

// Returns false after saying what is wrong.
bool ParseOptions(int argc, char** argv, Options& ret) {
  enum {
    kQuick = 1,
    kJson,
    kStages,
    kLayouts,
    kFlows,
    kRounds,
    kAgainst,
    kCommit,
    kCheck,
    kRecord,
    kRatios,
    kHistory,
    kHelpOption
  };
  const option known[] = {{"quick", no_argument, nullptr, kQuick},
                          {"json", required_argument, nullptr, kJson},
                          {"stages", no_argument, nullptr, kStages},
                          {"layouts", no_argument, nullptr, kLayouts},
                          {"flows", required_argument, nullptr, kFlows},
                          {"rounds", required_argument, nullptr, kRounds},
                          {"against", required_argument, nullptr, kAgainst},
                          {"commit", required_argument, nullptr, kCommit},
                          {"check", no_argument, nullptr, kCheck},
                          {"record", no_argument, nullptr, kRecord},
                          {"ratios", required_argument, nullptr, kRatios},
                          {"history", required_argument, nullptr, kHistory},
                          {"help", no_argument, nullptr, kHelpOption},
                          {nullptr, 0, nullptr, 0}};
  int found;
  while ((found = getopt_long(argc, argv, "h", known, nullptr)) != -1) {
    switch (found) {
      case kQuick:
        ret.quick = true;
        break;
      case kJson:
        ret.json = optarg;
        break;
      case kStages:
        ret.world.stages = true;
        break;
      case kLayouts:
        ret.world.layouts = true;
        break;
      case kFlows:
        if (!ParseFlows(optarg, ret.flows)) {
          absl::FPrintF(stderr, "bench: --flows %s: not numbers from 1 to %d\n",
                        optarg, kTableConns);
          return false;
        }
        break;
      case kRounds:
        if (!absl::SimpleAtoi(optarg, &ret.rounds) || ret.rounds == 0) {
          absl::FPrintF(stderr, "bench: --rounds %s: not a number\n", optarg);
          return false;
        }
        break;
      case kAgainst:
        ret.world.against = optarg;
        break;
      case kCommit:
        ret.commit = optarg;
        break;
      case kCheck:
        ret.check = true;
        break;
      case kRecord:
        ret.record = true;
        break;
      case kRatios:
        ret.ratios = optarg;
        break;
      case kHistory:
        ret.history = optarg;
        break;
      case 'h':
      case kHelpOption:
        ret.help = true;
        break;
      default:
        return false;
    }
  }
  if (optind != argc) {
    absl::FPrintF(stderr, "bench: unexpected argument '%s'\n", argv[optind]);
    return false;
  }
  if ((ret.check || ret.record) &&
      (ret.check == ret.record || ret.ratios.empty() || !ret.flows.empty())) {
    absl::FPrintF(stderr,
                  "bench: --check and --record are for all paths, and exclude "
                  "each other\n");
    return false;
  }
  return true;
}

// "2026-01-31T12:00:00Z".
std::string Now() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof(text), "%FT%TZ", std::gmtime(&now));
  return text;
}

// That what is measured is what is shipped. Returns it with the packet's maker
// before it.
absl::StatusOr<ProgramInfo> ComparePrograms(World& world) {
  XLVS_ASSIGN_OR_RETURN(const ProgramInfo shipped,
                        ReadProgramInfo(world.shipped()));
  XLVS_ASSIGN_OR_RETURN(
      const ProgramInfo here,
      ReadProgramInfo(world.bench().program("xlvs_director")));
  if (here.code.size() != shipped.code.size() ||
      std::memcmp(here.code.data(), shipped.code.data(),
                  here.code.size() * sizeof(bpf_insn)) != 0)
    return absl::InternalError(
        "the director in bench.bpf.o is not the shipped one: build anew");
  return ReadProgramInfo(world.bench().program("bench_xlvs_request_4tcp"));
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    plan_ = {.quick = options.quick,
             .warm_rounds = options.quick ? 15U : 51U,
             .cold_rounds = options.quick ? 7U : 25U,
             .flows = options.flows};
    if (options.rounds != 0)
      plan_.warm_rounds = plan_.cold_rounds = options.rounds;
  }

  absl::Status Run() {
    pinned_ = PinThread();
    XLVS_ASSIGN_OR_RETURN(code_, MeasureCode());
    XLVS_RETURN_IF_ERROR(RunEstablished());
    if (!options_.flows.empty()) return absl::OkStatus();
    if (!options_.quick) XLVS_RETURN_IF_ERROR(RunLargeTable());
    return RunNewConns();
  }

  void Print() const {
    PrintEstablished(established_);
    if (options_.world.stages) {
      PrintLines("client -> VIP, ns of each stage", detail_counts_,
                 request_stages_);
      PrintLines("real -> client, ns of each stage", detail_counts_,
                 reply_stages_);
    }
    if (options_.world.layouts)
      PrintLines("connection lookup only, ns", detail_counts_, layouts_);
    if (!new_conns_.empty()) PrintNewConns(new_conns_);
    absl::PrintF(
        "\nns per packet of one CPU, medians; above: without the floor and "
        "what "
        "makes the\npacket; / R's: that, divided by R's of the same rounds. "
        "The "
        "clock stands still\nunless said; a client's next hop comes from the "
        "cache (a connection asks the\nFIB once in 8 s).\n");
    absl::PrintF("%s, Linux %s, commit %s\n", CpuModel(), Kernel(),
                 options_.commit);
    absl::PrintF(
        "%s\nthe director with the packet's maker: %s insns verified, %s "
        "translated\n",
        pinned_, WithCommas(wrapped_.verified_insns),
        WithCommas(wrapped_.translated_insns));
    if (!options_.flows.empty()) return;
    absl::PrintF("\n");
    PrintCode(code_);
    PrintTargets(established_);
  }

  std::vector<Row> rows() const {
    std::vector<Row> all = established_;
    all.insert(all.end(), new_conns_.begin(), new_conns_.end());
    return all;
  }

  nlohmann::json Json() const {
    const auto program = [](const ProgramInfo& info) {
      return nlohmann::json{{"verified_insns", info.verified_insns},
                            {"translated_insns", info.translated_insns},
                            {"jited_bytes", info.jited_bytes}};
    };
    nlohmann::json json = {{"time", Now()},
                           {"quick", options_.quick},
                           {"cpu", CpuModel()},
                           {"kernel", Kernel()},
                           {"commit", options_.commit},
                           {"pinned", pinned_},
                           {"code", ToJson(code_)},
                           {"director_with_maker", program(wrapped_)},
                           {"targets", TargetsToJson(established_)},
                           {"established", ToJson(established_)},
                           {"new_connections", ToJson(new_conns_)}};
    if (options_.world.stages) {
      json["stages_request"] = ToJson(detail_counts_, request_stages_);
      json["stages_reply"] = ToJson(detail_counts_, reply_stages_);
    }
    if (options_.world.layouts)
      json["layouts"] = ToJson(detail_counts_, layouts_);
    return json;
  }

 private:
  absl::Status RunEstablished() {
    XLVS_ASSIGN_OR_RETURN(const auto world, World::Make(options_.world));
    XLVS_ASSIGN_OR_RETURN(wrapped_, ComparePrograms(*world));
    Established established(plan_, *world);
    XLVS_RETURN_IF_ERROR(established.Run());
    established_ = established.rows();
    detail_counts_ = established.detail_counts();
    request_stages_ = established.request_stages();
    reply_stages_ = established.reply_stages();
    layouts_ = established.layouts();
    return absl::OkStatus();
  }

  // Of another instance: in one table for all counts, fewer connections would
  // lie further apart than they do in a table that was made for them.
  absl::Status RunLargeTable() {
    World::Options options = options_.world;
    options.stages = options.layouts = false;
    options.conns = kLargeTableConns;
    options.form = Form().name();
    XLVS_ASSIGN_OR_RETURN(const auto world, World::Make(options));
    Established established(plan_, *world);
    XLVS_RETURN_IF_ERROR(established.RunMain(kLargeTableConns));
    for (const Row& row : established.rows())
      if (row.count != 0) established_.push_back(row);
    return absl::OkStatus();
  }

  absl::Status RunNewConns() {
    World::Options options = options_.world;
    options.stages = options.layouts = false;
    options.form = Form().name();
    {
      XLVS_ASSIGN_OR_RETURN(const auto world, World::Make(options));
      NewConns fewer(plan_, *world);
      XLVS_RETURN_IF_ERROR(fewer.Run(
          plan_.quick ? std::vector<uint32_t>{kReals, 1'000}
                      : std::vector<uint32_t>{1, kReals, 100, 1'000}));
      new_conns_ = fewer.rows();
      XLVS_RETURN_IF_ERROR(fewer.RunFull());
      XLVS_RETURN_IF_ERROR(fewer.RunFlood());
      full_ = {fewer.rows().begin() + new_conns_.size(), fewer.rows().end()};
    }
    if (!plan_.quick) {
      options.dests = NewConns::DestsFor({kManyReals});
      XLVS_ASSIGN_OR_RETURN(const auto world, World::Make(options));
      NewConns many(plan_, *world);
      XLVS_RETURN_IF_ERROR(many.Run({kManyReals}));
      for (const Row& row : many.rows())
        if (row.count != 0) new_conns_.push_back(row);
    }
    new_conns_.insert(new_conns_.end(), full_.begin(), full_.end());
    return absl::OkStatus();
  }

  static constexpr uint32_t kLargeTableConns = 4'000'000;
  static constexpr uint32_t kManyReals = 10'000;

  const Options& options_;
  Plan plan_;
  std::string pinned_;
  CodeFigures code_;
  ProgramInfo wrapped_;
  std::vector<Row> established_, new_conns_, full_;
  std::vector<uint32_t> detail_counts_;
  std::vector<Line> request_stages_, reply_stages_, layouts_;
};

absl::Status Main(const Options& options) {
  CaptureLibbpfLog();
  Bench bench(options);
  XLVS_RETURN_IF_ERROR(bench.Run());
  if (options.json != "-") bench.Print();
  const nlohmann::json json = bench.Json();
  if (!options.json.empty())
    XLVS_RETURN_IF_ERROR(WriteJson(options.json, json));
  if (!options.history.empty())
    XLVS_RETURN_IF_ERROR(AppendJson(options.history, json));
  if (options.record) return RecordRatios(options.ratios, bench.rows());
  if (options.check) return CheckRatios(options.ratios, bench.rows());
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
    std::fputs("bench: needs root: BPF programs are loaded and run\n", stderr);
    return 1;
  }
  const absl::Status status = xlvs::bench::Main(options);
  if (!status.ok()) {
    absl::FPrintF(stderr, "bench: %s\n", status.message());
    return 1;
  }
  return 0;
}
