// SPDX-License-Identifier: Apache-2.0
//
// xlvs_bench: what a packet costs, in nanoseconds of one CPU, by
// BPF_PROG_TEST_RUN. tools/bench builds and runs it.
//
// "above" is what a path costs above a program that only makes the packet (see
// traffic.h) and sends it; R (reference.bpf.c) is what one would write without
// much thought. All of it is measured in the same rounds.
#include <getopt.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "tools/bench.d/report.h"
#include "tools/bench.d/runner.h"
#include "tools/bench.d/world.h"

namespace xlvs::bench {
namespace {

constexpr char kHelp[] =
    R"(usage: tools/bench [--quick] [--json FILE|-] [--stages] [--layouts]
                   [--flows N[,N...]] [--rounds N] [--against OBJECT]

Measures what a packet costs in the director, beside an empty program and
beside R, a plain NAT balancer on a kernel hash map, all in the same rounds.
Needs root. Touches no device and leaves nothing behind.

  --quick           fewer rounds (under 40 s)
  --json FILE       also write the figures as JSON; - for standard output,
                    then without the table
  --stages          also where the time of an established packet goes
  --layouts         also other layouts of the connection table (lookup only)
  --flows N[,N...]  only established connections, so many (in ascending order)
  --rounds N        so many rounds
  --against OBJECT  also another build of bench.bpf.o, for comparing two trees
                    whose maps have the same layout
  --help            this text
)";

struct Options {
  bool quick = false;
  bool help = false;
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
  return true;
}

constexpr const char* kStageNames[] = {"parse", "local", "find", "advance",
                                       "count", "way",   "masq", "send"};
constexpr const char* kStageTexts[] = {
    "parse: headers to struct xlvs_packet",
    "lookup: whose address (xlvs_locals)",
    "lookup: the connection",
    "lookup: TCP state and expiry",
    "count on the real server",
    "emit: next hop",
    "forward: addresses and checksums",
    "emit: TTL and MACs",
    "count rx and the ending (whole director)"};
constexpr const char* kLayoutNames[] = {"record", "entry", "tag", "hash"};
constexpr const char* kLayoutTexts[] = {
    "32-byte records, 4 in 2 lines (shipped)", "16-byte entries, 4 in a line",
    "tag line + 64-byte slots", "kernel HASH"};

class Bench {
 public:
  Bench(const Options& options, World& world)
      : options_(options),
        world_(world),
        warm_rounds_(options.quick ? 15 : 51),
        cold_rounds_(options.quick ? 7 : 25) {
    if (options.rounds != 0) warm_rounds_ = cold_rounds_ = options.rounds;
  }

  absl::Status Run() {
    XLVS_RETURN_IF_ERROR(CompareCode());
    if (!options_.flows.empty()) {
      for (const uint32_t flows : options_.flows)
        XLVS_RETURN_IF_ERROR(Established(flows));
      return world_.CheckShippedProgram(options_.flows.back());
    }
    for (const uint32_t flows : {1U, 1'000U, 100'000U, 1'000'000U})
      XLVS_RETURN_IF_ERROR(Established(flows));
    XLVS_RETURN_IF_ERROR(world_.CheckShippedProgram(kTableConns));
    XLVS_RETURN_IF_ERROR(Advancing(kTableConns));
    XLVS_RETURN_IF_ERROR(world_.Clear());
    return NewConnections();
  }

  void Print() const {
    PrintTable(rows_);
    if (options_.world.stages) {
      PrintLines("client -> VIP, ns of each stage", stage_counts_,
                 request_stages_);
      PrintLines("real -> client, ns of each stage", stage_counts_,
                 reply_stages_);
    }
    if (options_.world.layouts)
      PrintLines("connection lookup only, ns", stage_counts_, layouts_);
    absl::PrintF(
        "\nns per packet of one CPU; above: without the floor and what makes "
        "the packet;\n/ R's: that, divided by R's. The clock stands still "
        "unless said; a client's\nnext hop comes from the cache (a connection "
        "asks the FIB once in 8 s).\n");
    absl::PrintF("%s, Linux %s, commit %s\n", CpuModel(), Kernel(),
                 options_.commit);
    absl::PrintF("%s\ndirector: %s insns verified, %s translated, %s B jited\n",
                 pinned_, WithCommas(shipped_.verified_insns),
                 WithCommas(shipped_.translated_insns),
                 WithCommas(shipped_.jited_bytes));
    absl::PrintF(
        "measured with the packet's maker: %s verified, %s translated\n",
        WithCommas(wrapped_.verified_insns),
        WithCommas(wrapped_.translated_insns));
  }

  nlohmann::json Json() const {
    const auto program = [](const ProgramInfo& info) {
      return nlohmann::json{{"verified_insns", info.verified_insns},
                            {"translated_insns", info.translated_insns},
                            {"jited_bytes", info.jited_bytes}};
    };
    nlohmann::json json = {{"cpu", CpuModel()},
                           {"kernel", Kernel()},
                           {"commit", options_.commit},
                           {"pinned", pinned_},
                           {"director", program(shipped_)},
                           {"director_with_maker", program(wrapped_)},
                           {"paths", ToJson(rows_)}};
    if (options_.world.stages) {
      json["stages_request"] = ToJson(stage_counts_, request_stages_);
      json["stages_reply"] = ToJson(stage_counts_, reply_stages_);
    }
    if (options_.world.layouts)
      json["layouts"] = ToJson(stage_counts_, layouts_);
    return json;
  }

  void set_pinned(std::string pinned) { pinned_ = std::move(pinned); }

 private:
  using Hits = std::function<absl::StatusOr<uint64_t>()>;

  Hits CountEnding(EndingField ending) {
    return [this, ending] { return world_.Ending(ending); };
  }
  Hits CountReference() {
    return [this] { return world_.ReferenceHits(); };
  }

  // That what is measured is what is shipped.
  absl::Status CompareCode() {
    XLVS_ASSIGN_OR_RETURN(shipped_, ReadProgramInfo(world_.shipped()));
    XLVS_ASSIGN_OR_RETURN(
        const ProgramInfo here,
        ReadProgramInfo(world_.bench().program("xlvs_director")));
    XLVS_ASSIGN_OR_RETURN(
        wrapped_,
        ReadProgramInfo(world_.bench().program("bench_xlvs_request")));
    if (here.code.size() != shipped_.code.size() ||
        std::memcmp(here.code.data(), shipped_.code.data(),
                    here.code.size() * sizeof(bpf_insn)) != 0)
      return absl::InternalError(
          "the director in bench.bpf.o is not the shipped one: build anew");
    return absl::OkStatus();
  }

  static Figure Ns(const std::map<std::string, Figure>& figures,
                   const std::string& name) {
    const auto found = figures.find(name);
    return found == figures.end() ? Figure{} : found->second;
  }

  static std::map<std::string, Figure> FiguresOf(
      const std::vector<Case>& cases) {
    std::map<std::string, Figure> figures;
    for (const Case& the_case : cases)
      figures[the_case.name] = FigureOf(the_case.ns);
    return figures;
  }

  static Figure Minus(Figure a, Figure b) {
    return {.min = a.min - b.min, .median = a.median - b.median};
  }

  absl::Status Established(uint32_t flows) {
    XLVS_RETURN_IF_ERROR(world_.FillTo(flows));
    world_.SetFlows(flows);
    const uint32_t repeat = 50'000;
    // Enough to have seen most flows, if they can stay in a cache at all.
    const uint32_t warm =
        flows < 500'000 ? std::max(1'000U, flows + flows / 2) : 10'000;
    const uint32_t rounds = flows > 1'000 ? cold_rounds_ : warm_rounds_;
    const Frame ack = RequestFrame(0, kAck);
    const bool first = rows_.empty();
    std::vector<Case> cases;
    const auto add = [&](std::string name, int program, uint32_t action,
                         Hits hits) {
      cases.push_back({.name = std::move(name),
                       .program = program,
                       .frame = ack,
                       .repeat = repeat,
                       .warm = warm,
                       .action = action,
                       .before = {},
                       .hits = std::move(hits),
                       .ns = {}});
    };
    Object& bench = world_.bench();
    Object& reference = world_.reference();
    const auto requests = &xlvs_step_counters::tx_client_to_dest;
    const auto replies = &xlvs_step_counters::tx_dest_to_client;
    add("drop", reference.program("reference_drop"), XDP_DROP, {});
    add("tx", reference.program("reference_tx"), XDP_TX, {});
    add("control request", bench.program("bench_control_request"), XDP_TX, {});
    add("control reply", bench.program("bench_control_reply"), XDP_TX, {});
    add("R", reference.program("reference_known"), XDP_TX, CountReference());
    add("request", bench.program("bench_xlvs_request"), XDP_TX,
        CountEnding(requests));
    add("reply", bench.program("bench_xlvs_reply"), XDP_TX,
        CountEnding(replies));
    if (Object* against = world_.against()) {
      add("against request", against->program("bench_xlvs_request"), XDP_TX,
          CountEnding(requests));
      add("against reply", against->program("bench_xlvs_reply"), XDP_TX,
          CountEnding(replies));
    }
    if (first) {
      add("not ours", world_.shipped(), XDP_PASS,
          CountEnding(&xlvs_step_counters::pass_not_ours));
      cases.back().frame = MakeFrame({.saddr = 0x0a000001,
                                      .daddr = 0x0a000002,
                                      .sport = 1234,
                                      .dport = 80});
      add("arp", world_.shipped(), XDP_PASS,
          CountEnding(&xlvs_step_counters::pass_not_ip));
      cases.back().frame[12] = 0x08;
      cases.back().frame[13] = 0x06;
    }
    if (flows == kTableConns)
      add("strangers", bench.program("bench_xlvs_stranger"), XDP_PASS,
          CountEnding(&xlvs_step_counters::pass_not_ours));
    const bool detail = flows != 100'000 || !options_.flows.empty();
    if (Object* stages = world_.stages(); stages != nullptr && detail)
      for (const char* stage : kStageNames)
        for (const char* side : {"request_", "reply_"}) {
          const std::string name = absl::StrCat(side, stage);
          add(name, stages->program(name), XDP_TX, {});
        }
    if (Object* layouts = world_.layouts(); layouts != nullptr && detail) {
      if (first) layouts->traffic().failures = 0;
      add("layout_control", layouts->program("layout_control"), XDP_TX, {});
      for (const char* layout : kLayoutNames) {
        const std::string name = absl::StrCat("layout_find_", layout);
        add(name, layouts->program(name), XDP_TX, {});
      }
    }

    XLVS_RETURN_IF_ERROR(RunRounds(
        absl::StrCat("established, ", WithCommas(flows), " connections"),
        rounds, cases));
    if (Object* layouts = world_.layouts();
        layouts != nullptr && layouts->traffic().failures != 0)
      return absl::InternalError("a layout did not find a connection");

    const auto figures = FiguresOf(cases);
    const auto row = [&](std::string path, const std::string& name,
                         const std::string& control, Figure r) {
      rows_.push_back({.path = std::move(path),
                       .count = flows,
                       .rounds = rounds,
                       .ns = Ns(figures, name),
                       .control = Ns(figures, control),
                       .r = r,
                       .is_new = false,
                       .floor = Ns(figures, "tx").min});
    };
    const Figure r = Minus(Ns(figures, "R"), Ns(figures, "control request"));
    if (first) {
      row("empty program (XDP_DROP)", "drop", "", {});
      row("MAC swap, XDP_TX: the floor", "tx", "", {});
      row("the same, packet made anew", "control request", "", {});
      row("ARP, passed", "arp", "drop", r);
      row("not ours, passed", "not ours", "drop", r);
      for (size_t i = rows_.size() - 5; i < rows_.size(); ++i)
        rows_[i].count = 0;
    }
    row("R: hash map, NAT", "R", "control request", r);
    row("established, client -> VIP", "request", "control request", r);
    row("established, real -> client", "reply", "control reply", r);
    if (flows == kTableConns) {
      row("not ours, from 250,000 addresses", "strangers", "control request",
          r);
      rows_.back().count = 0;
    }
    if (world_.against() != nullptr) {
      row("(against) client -> VIP", "against request", "control request", r);
      row("(against) real -> client", "against reply", "control reply", r);
    }
    if (detail) AddDetail(flows, figures);
    return absl::OkStatus();
  }

  // The lines of --stages and --layouts, one column more.
  void AddDetail(uint32_t flows, const std::map<std::string, Figure>& figures) {
    stage_counts_.push_back(flows);
    const auto column = [&](std::vector<Line>& lines, size_t index,
                            const char* text, double ns) {
      if (lines.size() <= index) lines.push_back({.name = text, .ns = {}});
      lines[index].ns.push_back(ns);
    };
    if (world_.stages() != nullptr)
      for (const char* side : {"request", "reply"}) {
        auto& lines =
            side == std::string("request") ? request_stages_ : reply_stages_;
        double before = Ns(figures, absl::StrCat("control ", side)).min;
        size_t i = 0;
        for (; i < std::size(kStageNames); ++i) {
          const double now =
              Ns(figures, absl::StrCat(side, "_", kStageNames[i])).min;
          column(lines, i, kStageTexts[i], now - before);
          before = now;
        }
        column(lines, i, kStageTexts[i], Ns(figures, side).min - before);
      }
    if (world_.layouts() != nullptr)
      for (size_t i = 0; i < std::size(kLayoutNames); ++i)
        column(layouts_, i, kLayoutTexts[i],
               Ns(figures, absl::StrCat("layout_find_", kLayoutNames[i])).min -
                   Ns(figures, "layout_control").min);
  }

  // As Established, but a second passes before each round: nearly every packet
  // is its connection's first in that second, and moves its expiry.
  absl::Status Advancing(uint32_t flows) {
    world_.SetFlows(flows);
    const Frame ack = RequestFrame(0, kAck);
    const auto advance = [this] {
      world_.AdvanceClock();
      return absl::OkStatus();
    };
    const auto make = [&](const char* name, int program,
                          std::function<absl::Status()> before, Hits hits) {
      return Case{.name = name,
                  .program = program,
                  .frame = ack,
                  .repeat = 50'000,
                  .warm = 2'000,
                  .action = XDP_TX,
                  .before = std::move(before),
                  .hits = std::move(hits),
                  .ns = {}};
    };
    Object& bench = world_.bench();
    Object& reference = world_.reference();
    std::vector<Case> cases = {
        make("tx", reference.program("reference_tx"), {}, {}),
        make("control request", bench.program("bench_control_request"), {}, {}),
        make("control reply", bench.program("bench_control_reply"), {}, {}),
        make("R", reference.program("reference_known"), {}, CountReference()),
        make("request", bench.program("bench_xlvs_request"), advance,
             CountEnding(&xlvs_step_counters::tx_client_to_dest)),
        make("reply", bench.program("bench_xlvs_reply"), advance,
             CountEnding(&xlvs_step_counters::tx_dest_to_client))};
    XLVS_RETURN_IF_ERROR(
        RunRounds("established, clock advancing", cold_rounds_, cases));
    const auto figures = FiguresOf(cases);
    const Figure r = Minus(Ns(figures, "R"), Ns(figures, "control request"));
    for (const auto& [path, name] :
         {std::pair("client -> VIP, 1 s later each", "request"),
          std::pair("real -> client, 1 s later each", "reply")})
      rows_.push_back({.path = path,
                       .count = flows,
                       .rounds = cold_rounds_,
                       .ns = Ns(figures, name),
                       .control = Ns(figures, absl::StrCat("control ", name)),
                       .r = r,
                       .is_new = false,
                       .floor = Ns(figures, "tx").min});
    return absl::OkStatus();
  }

  // A table with room: emptied before it is half full.
  absl::Status NewConnections() {
    constexpr uint32_t kRoom = 400'000;
    constexpr uint32_t kRepeat = 10'000, kFewer = 2'000, kWarm = 500;
    uint32_t next_flow = 0;
    const Frame syn = RequestFrame(0, kSyn);
    const auto next_flows = [&](Object& object, uint16_t port,
                                uint32_t count) -> absl::Status {
      if (next_flow + count > kRoom) {
        XLVS_RETURN_IF_ERROR(world_.Clear());
        next_flow = 0;
      }
      world_.SetVport(port);
      world_.SetInOrder(object, next_flow);
      next_flow += count;
      return absl::OkStatus();
    };
    std::vector<Case> cases;
    const auto add = [&](std::string name, int program, uint32_t repeat,
                         uint32_t warm, std::function<absl::Status()> before,
                         Hits hits) {
      cases.push_back({.name = std::move(name),
                       .program = program,
                       .frame = syn,
                       .repeat = repeat,
                       .warm = warm,
                       .action = XDP_TX,
                       .before = std::move(before),
                       .hits = std::move(hits),
                       .ns = {}});
    };
    Object& bench = world_.bench();
    Object& reference = world_.reference();
    add("tx", reference.program("reference_tx"), kRepeat, kWarm, {}, {});
    add("control", bench.program("bench_control_request"), kRepeat, kWarm,
        [&] {
          world_.SetInOrder(bench, 0);
          return absl::OkStatus();
        },
        {});
    uint32_t reference_flows = 0;
    add(
        "R", reference.program("reference_new"), kRepeat, kWarm,
        [&]() -> absl::Status {
          // What the last round made goes first.
          world_.SetVport(BENCH_PORT);
          world_.SetInOrder(reference, 0);
          if (reference_flows > 0) {
            const auto gone = bench::Run(reference.program("reference_forget"),
                                         syn, reference_flows);
            if (!gone.ok()) return gone.status();
          }
          reference_flows = kWarm + kRepeat;
          world_.SetInOrder(reference, 0);
          return absl::OkStatus();
        },
        CountReference());
    for (const SchedulerService& service : world_.schedulers()) {
      const bool slow =
          service.reals > 100 && (service.scheduler == Scheduler::kLc ||
                                  service.scheduler == Scheduler::kWlc);
      const uint32_t repeat = slow ? kFewer : kRepeat;
      const uint32_t warm = std::max(kWarm, 2 * service.reals);
      for (Object* object : {&bench, world_.against()}) {
        if (object == nullptr) continue;
        add(
            absl::StrCat(object == &bench ? "" : "(against) ",
                         Name(service.scheduler), " ", service.reals),
            object->program("bench_xlvs_request"), repeat, warm,
            [&next_flows, object, port = service.port, count = warm + repeat] {
              return next_flows(*object, port, count);
            },
            [this] { return world_.ConnsMade(); });
      }
    }
    XLVS_RETURN_IF_ERROR(RunRounds("new connections", cold_rounds_, cases));

    const auto figures = FiguresOf(cases);
    const Figure r = Minus(Ns(figures, "R"), Ns(figures, "control"));
    const auto row = [&](std::string path, uint32_t reals,
                         const std::string& name) {
      rows_.push_back({.path = std::move(path),
                       .count = reals,
                       .rounds = cold_rounds_,
                       .ns = Ns(figures, name),
                       .control = Ns(figures, "control"),
                       .r = r,
                       .is_new = true,
                       .floor = Ns(figures, "tx").min});
    };
    row("R: hash map insert, NAT", 0, "R");
    for (const SchedulerService& service : world_.schedulers()) {
      const std::string name =
          absl::StrCat(Name(service.scheduler), " ", service.reals);
      row(std::string(Name(service.scheduler)), service.reals, name);
      if (world_.against() != nullptr)
        row(absl::StrCat("(against) ", Name(service.scheduler)), service.reals,
            absl::StrCat("(against) ", name));
    }
    return absl::OkStatus();
  }

  const Options& options_;
  World& world_;
  uint32_t warm_rounds_;  // the flows fit into the cache: cheap
  uint32_t cold_rounds_;
  std::string pinned_;
  ProgramInfo shipped_, wrapped_;
  std::vector<Row> rows_;
  std::vector<uint32_t> stage_counts_;
  std::vector<Line> request_stages_, reply_stages_, layouts_;
};

absl::Status Main(const Options& options) {
  CaptureLibbpfLog();
  XLVS_ASSIGN_OR_RETURN(const auto world, World::Make(options.world));
  Bench bench(options, *world);
  bench.set_pinned(PinThread());
  XLVS_RETURN_IF_ERROR(bench.Run());
  if (options.json != "-") bench.Print();
  if (!options.json.empty()) return WriteJson(options.json, bench.Json());
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
