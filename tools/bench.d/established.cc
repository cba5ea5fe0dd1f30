// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/established.h"

#include <linux/bpf.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"

namespace xlvs::bench {
namespace {

constexpr uint32_t kRepeat = 50'000;

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

// What is measured beside Masq, IPv4, TCP; with a million connections in a
// quick run only the first of these.
constexpr int kQuickOthers = 3;
std::vector<Target> Others() {
  constexpr Form k4Tcp = {false, Protocol::kTcp},
                 k4Udp = {false, Protocol::kUdp},
                 k6Tcp = {true, Protocol::kTcp}, k6Udp = {true, Protocol::kUdp};
  std::vector<Target> all;
  const auto add = [&](Form form, Method method, TunnelType tunnel = {}) {
    all.push_back({.form = form, .method = method, .tunnel = tunnel});
  };
  add(k4Tcp, Method::kRoute);
  add(k4Tcp, Method::kTunnel);
  add(k6Tcp, Method::kMasq);
  add(k4Tcp, Method::kTunnel, TunnelType::kGue);
  add(k6Tcp, Method::kRoute);
  add(k6Tcp, Method::kTunnel);
  add(k6Tcp, Method::kTunnel, TunnelType::kGue);
  for (const Form form : {k4Udp, k6Udp})
    for (const Method method : {Method::kMasq, Method::kRoute, Method::kTunnel})
      add(form, method);
  return all;
}

// "masq-in-4tcp": for programs.
std::string Key(const Target& target, bool reply) {
  std::string key;
  if (target.method == Method::kMasq)
    key = reply ? "masq-out" : "masq-in";
  else if (target.method == Method::kRoute)
    key = "route";
  else
    key = std::string(Name(target.tunnel));
  return absl::StrCat(key, "-", target.form.name());
}

// The same for people.
std::string Text(const Target& target, bool reply) {
  std::string text;
  if (target.method == Method::kMasq)
    text = reply ? "Masq, real -> client" : "Masq, client -> VIP";
  else if (target.method == Method::kRoute)
    text = "Route";
  else
    text = absl::StrCat("Tunnel (", Name(target.tunnel), ")");
  return absl::StrCat(text, target.form.is_v6 ? ", IPv6 " : ", IPv4 ",
                      target.form.protocol == Protocol::kTcp ? "TCP" : "UDP");
}

const Samples& Of(const std::map<std::string, Samples>& samples,
                  const std::string& name) {
  static const Samples kNone;
  const auto found = samples.find(name);
  return found == samples.end() ? kNone : found->second;
}

std::string Control(const char* what, Form form) {
  return absl::StrCat("bench_control_", what, "_", form.name());
}

}  // namespace

Case Established::Make(std::string name, int program) const {
  return {.name = std::move(name),
          .program = program,
          .frame = MakeFrame(Request({}, 0, BENCH_PORT, kAck)),
          .repeat = kRepeat,
          .warm = warm_,
          .action = XDP_TX,
          .before = {},
          .hits = {},
          .ns = {}};
}

bool Established::Has(const std::string& key) const {
  return std::any_of(rows_.begin(), rows_.end(),
                     [&](const Row& row) { return row.key == key; });
}

absl::Status Established::AddMain() {
  XLVS_ASSIGN_OR_RETURN(main_, world_.AddTarget({}));
  return absl::OkStatus();
}

absl::Status Established::RunMain(uint32_t flows) {
  if (main_ == nullptr) XLVS_RETURN_IF_ERROR(AddMain());
  XLVS_RETURN_IF_ERROR(Group(flows, {main_}));
  return world_.CheckShippedProgram(*main_);
}

absl::Status Established::Run() {
  for (const uint32_t flows : plan_.flows) XLVS_RETURN_IF_ERROR(RunMain(flows));
  if (!plan_.flows.empty()) return absl::OkStatus();

  XLVS_RETURN_IF_ERROR(AddMain());
  std::vector<Target*> all = {main_};
  for (const Target& other : Others()) {
    XLVS_ASSIGN_OR_RETURN(Target * added, world_.AddTarget(other));
    all.push_back(added);
  }
  XLVS_RETURN_IF_ERROR(Group(1, all));
  for (const uint32_t flows : {1'000U, 100'000U, kTableConns})
    XLVS_RETURN_IF_ERROR(RunMain(flows));
  XLVS_RETURN_IF_ERROR(Advancing());
  for (size_t i = 1; i < all.size(); ++i) {
    if (plan_.quick && i > kQuickOthers) break;
    XLVS_RETURN_IF_ERROR(world_.Clear());
    XLVS_RETURN_IF_ERROR(Group(kTableConns, {all[i]}));
    XLVS_RETURN_IF_ERROR(world_.CheckShippedProgram(*all[i]));
  }
  return world_.Clear();
}

void Established::AddCases(const Target& target, std::vector<Case>& cases) {
  const bool has_replies = target.method == Method::kMasq;
  const auto add = [&](Object& object, const char* prefix, bool reply) {
    const std::string program =
        reply ? absl::StrCat("bench_xlvs_reply_", target.form.name())
              : target.request_program();
    Case made =
        Make(absl::StrCat(prefix, Key(target, reply)), object.program(program));
    made.frame = MakeFrame(reply ? Reply(target.form, 0)
                                 : Request(target.form, 0, target.port, kAck));
    made.before = [this, &target] {
      world_.SetTarget(target);
      return absl::OkStatus();
    };
    made.hits = [this, reply] {
      return world_.Ending(reply ? &xlvs_step_counters::tx_dest_to_client
                                 : &xlvs_step_counters::tx_client_to_dest);
    };
    cases.push_back(std::move(made));
  };
  for (const bool reply : {false, true}) {
    if (reply && !has_replies) continue;
    add(world_.bench(), "", reply);
    if (world_.against() != nullptr) add(*world_.against(), "against ", reply);
  }
}

void Established::AddDetailCases(std::vector<Case>& cases) {
  if (Object* stages = world_.stages())
    for (const char* stage : kStageNames)
      for (const char* side : {"request_", "reply_"}) {
        const std::string name = absl::StrCat(side, stage);
        cases.push_back(Make(name, stages->program(name)));
      }
  if (Object* layouts = world_.layouts()) {
    cases.push_back(Make("layout_control", layouts->program("layout_control")));
    for (const char* layout : kLayoutNames) {
      const std::string name = absl::StrCat("layout_find_", layout);
      cases.push_back(Make(name, layouts->program(name)));
    }
  }
}

absl::Status Established::Group(uint32_t flows,
                                const std::vector<Target*>& targets) {
  XLVS_RETURN_IF_ERROR(world_.FillReferenceTo(flows));
  for (Target* target : targets)
    XLVS_RETURN_IF_ERROR(world_.FillTo(*target, flows));
  world_.SetFlows(flows);
  // Enough to have seen most flows, if they can stay in a cache at all. Of few,
  // all are soon seen.
  warm_ = flows <= 1'000 ? 0 : flows < 500'000 ? flows + flows / 2 : 10'000;
  const bool is_main = targets.front() == main_;
  const bool first = rows_.empty();

  Object& bench = world_.bench();
  Object& reference = world_.reference();
  std::vector<Case> cases = {Make("drop", reference.program("reference_drop")),
                             Make("tx", reference.program("reference_tx")),
                             Make("R", reference.program("reference_known"))};
  cases[0].action = XDP_DROP;
  cases[2].hits = [this] { return world_.ReferenceHits(); };
  std::vector<std::string> forms;
  const auto add_controls = [&](Form form) {
    if (std::count(forms.begin(), forms.end(), form.name()) != 0) return;
    forms.push_back(form.name());
    for (const char* what : {"request", "reply", "tunnel"}) {
      const std::string name = Control(what, form);
      cases.push_back(Make(name, bench.program(name)));
      cases.back().frame = MakeFrame(Request(form, 0, BENCH_PORT, kAck));
    }
  };
  add_controls({});  // R's
  for (const Target* target : targets) {
    add_controls(target->form);
    AddCases(*target, cases);
  }
  if (first) {
    cases.push_back(Make("tx", reference.program("reference_tx")));
    cases.push_back(Make("drop", reference.program("reference_drop")));
    cases.back().action = XDP_DROP;
    const auto add_passed = [&](const char* name, Form form,
                                EndingField ending) {
      cases.push_back(Make(name, world_.shipped()));
      cases.back().action = XDP_PASS;
      cases.back().hits = [this, ending] { return world_.Ending(ending); };
      FrameSpec spec = Request(form, 0, BENCH_PORT, kAck);
      spec.daddr = AddrOf(form, BENCH_CLIENT_NET, BENCH_STRANGER);
      cases.back().frame = MakeFrame(spec);
    };
    add_passed("not-ours-4tcp", {}, &xlvs_step_counters::pass_not_ours);
    add_passed("not-ours-6tcp", {.is_v6 = true},
               &xlvs_step_counters::pass_not_ours);
    add_passed("arp", {}, &xlvs_step_counters::pass_not_ip);
    cases.back().frame[12] = 0x08;
    cases.back().frame[13] = 0x06;
  }
  if (is_main && flows == kTableConns) {
    cases.push_back(
        Make("strangers", bench.program("bench_xlvs_stranger_4tcp")));
    cases.back().action = XDP_PASS;
    cases.back().hits = [this] {
      return world_.Ending(&xlvs_step_counters::pass_not_ours);
    };
  }
  const bool detail =
      is_main && (flows != 100'000 || !plan_.flows.empty()) &&
      (world_.stages() != nullptr || world_.layouts() != nullptr);
  if (detail) AddDetailCases(cases);

  const std::string what =
      targets.size() > 1 ? "all" : Text(*targets.front(), false);
  XLVS_RETURN_IF_ERROR(
      RunRounds(absl::StrCat(what, ", ", WithCommas(flows), " connections"),
                flows > 1'000 ? plan_.cold_rounds : plan_.warm_rounds, cases));
  if (Object* layouts = world_.layouts();
      layouts != nullptr && layouts->traffic().failures != 0)
    return absl::InternalError("a layout did not find a connection");
  AddRows(flows, targets, SamplesOf(cases));
  if (detail) AddDetail(flows, SamplesOf(cases));
  return absl::OkStatus();
}

void Established::AddRows(uint32_t flows, const std::vector<Target*>& targets,
                          const std::map<std::string, Samples>& samples) {
  const Samples r =
      Minus(Of(samples, "R"), Of(samples, Control("request", {})));
  const auto row = [&](const std::string& key, std::string text, uint32_t count,
                       const std::string& name, const Samples& control) {
    const Samples& ns = Of(samples, name);
    if (ns.empty()) return;
    const Samples above = Minus(ns, control);
    rows_.push_back({.key = key,
                     .text = std::move(text),
                     .count = count,
                     .rounds = static_cast<uint32_t>(ns.size()),
                     .ns = FigureOf(ns),
                     .above = FigureOf(above),
                     .ratio = FigureOf(Over(above, r))});
  };
  const auto floor = [&](const std::string& key, std::string text,
                         const Samples& ns) {
    rows_.push_back({.key = key,
                     .text = std::move(text),
                     .count = 0,
                     .rounds = static_cast<uint32_t>(ns.size()),
                     .ns = FigureOf(ns),
                     .above = {},
                     .ratio = {}});
  };
  const Samples& request = Of(samples, Control("request", {}));
  const Samples& drop = Of(samples, "drop");
  if (!Has("drop")) {
    floor("drop", "empty program (XDP_DROP)", drop);
    floor("tx", "MAC swap, XDP_TX: the floor", Of(samples, "tx"));
    floor("maker", "the same, packet made anew", request);
    // Twice: away and back.
    const Samples pair = Minus(Of(samples, Control("tunnel", {})), request);
    floor("adjust-head", "bpf_xdp_adjust_head, one call", Times(0.5, pair));
  }
  row("arp", "ARP, passed", 0, "arp", drop);
  row("not-ours-4tcp", "not ours, passed", 0, "not-ours-4tcp", drop);
  row("not-ours-6tcp", "not ours, passed, IPv6", 0, "not-ours-6tcp", drop);
  row("strangers", "not ours, from 250,000 addresses", 0, "strangers", request);
  if (targets.front() == main_)
    row("r", "R: hash map, NAT", flows, "R", request);
  for (const Target* target : targets)
    for (const bool reply : {false, true}) {
      const Samples& plain =
          Of(samples, Control(reply ? "reply" : "request", target->form));
      // Between the controls that call adjust_head twice and never: once.
      const Samples control =
          target->method == Method::kTunnel
              ? Mean(plain, Of(samples, Control("tunnel", target->form)))
              : plain;
      const std::string key = Key(*target, reply);
      if (reply && target->method != Method::kMasq) continue;
      row(key, Text(*target, reply), flows, key, control);
      row("against-" + key, "(against) " + key, flows, "against " + key,
          control);
    }
}

// The lines of --stages and --layouts, one column more.
void Established::AddDetail(uint32_t flows,
                            const std::map<std::string, Samples>& samples) {
  detail_counts_.push_back(flows);
  const auto median = [&](const std::string& name) {
    return FigureOf(Of(samples, name)).median;
  };
  const auto column = [&](std::vector<Line>& lines, size_t index,
                          const char* text, double ns) {
    if (lines.size() <= index) lines.push_back({.name = text, .ns = {}});
    lines[index].ns.push_back(ns);
  };
  if (world_.stages() != nullptr)
    for (const bool reply : {false, true}) {
      auto& lines = reply ? reply_stages_ : request_stages_;
      const char* side = reply ? "reply" : "request";
      double before = median(Control(side, {}));
      size_t i = 0;
      for (; i < std::size(kStageNames); ++i) {
        const double now = median(absl::StrCat(side, "_", kStageNames[i]));
        column(lines, i, kStageTexts[i], now - before);
        before = now;
      }
      column(lines, i, kStageTexts[i], median(Key(*main_, reply)) - before);
    }
  if (world_.layouts() != nullptr)
    for (size_t i = 0; i < std::size(kLayoutNames); ++i)
      column(layouts_, i, kLayoutTexts[i],
             median(absl::StrCat("layout_find_", kLayoutNames[i])) -
                 median("layout_control"));
}

absl::Status Established::Advancing() {
  world_.SetFlows(main_->known);
  warm_ = 2'000;
  Object& bench = world_.bench();
  std::vector<Case> cases = {
      Make("R", world_.reference().program("reference_known"))};
  cases[0].hits = [this] { return world_.ReferenceHits(); };
  for (const char* what : {"request", "reply"})
    cases.push_back(Make(Control(what, {}), bench.program(Control(what, {}))));
  const size_t first = cases.size();
  AddCases(*main_, cases);
  for (size_t i = first; i < cases.size(); ++i)
    cases[i].before = [this] {
      world_.SetTarget(*main_);
      world_.AdvanceClock();
      return absl::OkStatus();
    };
  XLVS_RETURN_IF_ERROR(RunRounds("clock advancing", plan_.cold_rounds, cases));
  const auto samples = SamplesOf(cases);
  const Samples r =
      Minus(Of(samples, "R"), Of(samples, Control("request", {})));
  for (const bool reply : {false, true}) {
    const Samples& ns = Of(samples, Key(*main_, reply));
    const Samples above =
        Minus(ns, Of(samples, Control(reply ? "reply" : "request", {})));
    rows_.push_back({.key = Key(*main_, reply) + "-later",
                     .text = reply ? "real -> client, 1 s later each"
                                   : "client -> VIP, 1 s later each",
                     .count = main_->known,
                     .rounds = static_cast<uint32_t>(ns.size()),
                     .ns = FigureOf(ns),
                     .above = FigureOf(above),
                     .ratio = FigureOf(Over(above, r))});
  }
  return absl::OkStatus();
}

}  // namespace xlvs::bench
