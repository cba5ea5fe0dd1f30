// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/code.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/probe.h"
#include "loader/datapath/sizes.h"
#include "maps/clock.h"
#include "maps/config.h"
#include "maps/decap.h"
#include "maps/dest.h"
#include "maps/local.h"
#include "maps/pool.h"
#include "maps/rate.h"
#include "maps/service.h"
#include "maps/step.h"
#include "tools/bench.d/object.h"
#include "tools/bench.d/report.h"
// The skeletons last.
#include "decap.skel.h"
#include "director.skel.h"

namespace xlvs::bench {
namespace {

constexpr uint32_t kCpus = 2;

bool IsCall(const bpf_insn& insn) {
  return insn.code == (BPF_JMP | BPF_CALL);
}
bool IsHelperCall(const bpf_insn& insn) {
  return IsCall(insn) && insn.src_reg == 0;
}
bool IsFunctionCall(const bpf_insn& insn) {
  return IsCall(insn) && insn.src_reg == BPF_PSEUDO_CALL;
}
bool IsFunctionAddress(const bpf_insn& insn) {
  return insn.code == (BPF_LD | BPF_IMM | BPF_DW) &&
         insn.src_reg == BPF_PSEUDO_FUNC;
}

// A program's functions: the kernel is given them one behind the other, and
// calls by distance.
class Functions {
 public:
  explicit Functions(absl::Span<const bpf_insn> insns) : insns_(insns) {
    starts_.insert(0);
    for (size_t i = 0; i < insns.size(); ++i)
      if (IsFunctionCall(insns[i]) || IsFunctionAddress(insns[i]))
        starts_.insert(Target(i));
  }

  uint32_t LargestFrame() const {
    uint32_t largest = 0;
    for (const size_t start : starts_)
      largest = std::max(largest, Frame(start));
    return largest;
  }

  uint32_t LargestChain() {
    uint32_t largest = Chain(0);
    for (const size_t start : roots_) largest = std::max(largest, Chain(start));
    return largest;
  }

 private:
  size_t Target(size_t at) const { return at + insns_[at].imm + 1; }
  size_t End(size_t start) const {
    const auto next = starts_.upper_bound(start);
    return next == starts_.end() ? insns_.size() : *next;
  }

  // The furthest below the frame pointer that anything is addressed: by an
  // access, or by a copy of it that a number is added to.
  uint32_t Frame(size_t start) const {
    int lowest = 0;
    std::set<uint8_t> copies;
    for (size_t i = start; i < End(start); ++i) {
      const bpf_insn& insn = insns_[i];
      const uint8_t kind = BPF_CLASS(insn.code);
      if (kind == BPF_LDX && insn.src_reg == BPF_REG_10)
        lowest = std::min<int>(lowest, insn.off);
      if ((kind == BPF_ST || kind == BPF_STX) && insn.dst_reg == BPF_REG_10)
        lowest = std::min<int>(lowest, insn.off);
      const bool copied = insn.code == (BPF_ALU64 | BPF_MOV | BPF_X) &&
                          insn.src_reg == BPF_REG_10;
      const bool moved = insn.code == (BPF_ALU64 | BPF_ADD | BPF_K) &&
                         copies.count(insn.dst_reg) != 0;
      if (moved) lowest = std::min(lowest, insn.imm);
      if (copied)
        copies.insert(insn.dst_reg);
      else if (kind == BPF_ALU64 || kind == BPF_ALU || kind == BPF_LDX ||
               kind == BPF_LD)
        copies.erase(insn.dst_reg);
    }
    return -lowest;
  }

  // With the frames of what it calls, and of what helpers call for it
  // meanwhile (bpf_loop). What a timer calls has a stack of its own.
  uint32_t Chain(size_t start) {
    const auto known = chains_.find(start);
    if (known != chains_.end()) return known->second;
    uint32_t below = 0;
    std::vector<size_t> addresses;
    for (size_t i = start; i < End(start); ++i) {
      const bpf_insn& insn = insns_[i];
      if (IsFunctionCall(insn)) below = std::max(below, Chain(Target(i)));
      if (IsFunctionAddress(insn)) addresses.push_back(Target(i));
      if (!IsHelperCall(insn)) continue;
      for (const size_t address : addresses) {
        if (insn.imm == BPF_FUNC_timer_set_callback)
          roots_.insert(address);
        else
          below = std::max(below, Chain(address));
      }
      addresses.clear();
    }
    return chains_[start] = Frame(start) + below;
  }

  absl::Span<const bpf_insn> insns_;
  std::set<size_t> starts_;
  std::set<size_t> roots_;  // called by timers
  std::map<size_t, uint32_t> chains_;
};

absl::Status AddPrograms(const Object& object, CodeFigures& figures) {
  bpf_program* program;
  bpf_object__for_each_program(program, object.raw()) {
    const absl::Span<const bpf_insn> insns(bpf_program__insns(program),
                                           bpf_program__insn_cnt(program));
    Functions functions(insns);
    XLVS_ASSIGN_OR_RETURN(const ProgramInfo info,
                          ReadProgramInfo(bpf_program__fd(program)));
    figures.programs.push_back(
        {.name = std::string(
             absl::StripPrefix(bpf_program__name(program), "xlvs_")),
         .insns = static_cast<uint32_t>(insns.size()),
         .stack_bytes = functions.LargestFrame(),
         .chain_bytes = functions.LargestChain(),
         .helper_calls = static_cast<uint32_t>(
             std::count_if(insns.begin(), insns.end(), IsHelperCall)),
         .verified_insns = info.verified_insns,
         .translated_insns = info.translated_insns,
         .jited_bytes = info.jited_bytes,
         .calls_left = static_cast<uint32_t>(
             std::count_if(info.code.begin(), info.code.end(), IsHelperCall))});
  }
  return absl::OkStatus();
}

absl::Status AddMaps(const BpfObject& object, MapSizes& sizes) {
  for (const std::string& name : object.map_names()) {
    bpf_map_info info = {};
    uint32_t bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(object.map_fd(name), &info, &bytes) != 0)
      return ErrnoStatus(errno, absl::StrCat("read map info of ", name));
    const auto rounded = [](uint64_t size) { return (size + 7) / 8 * 8; };
    const uint64_t values = rounded(info.value_size) * info.max_entries;
    const bool is_array = info.type == BPF_MAP_TYPE_ARRAY ||
                          info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
                          info.type == BPF_MAP_TYPE_PROG_ARRAY;
    if (info.type == BPF_MAP_TYPE_PERCPU_ARRAY)
      sizes.per_cpu_bytes += values;
    else
      sizes.shared_bytes +=
          values + (is_array ? 0 : rounded(info.key_size) * info.max_entries);
    if (name == "conns" || name == "heads") sizes.conns_bytes += values;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CodeFigures> MeasureCode() {
  AttachOptions options;
  options.count_batch = 1;
  XLVS_ASSIGN_OR_RETURN(Sizes sizes, ComputeSizes(options, kCpus));
  sizes.config.fib_source = FibTellsSource();
  // Always the same, so that what the verifier does is.
  for (auto& key : sizes.config.hash_key) key = 1;
  sizes.config.hash_v4_common = xlvs_hash_v4_common(sizes.config.hash_key);
  XLVS_ASSIGN_OR_RETURN(const BpfObject loaded, BpfObject::Load(sizes));
  // Once more, by who shows the instructions.
  size_t bytes = 0;
  const void* elf = xlvs_director__elf_bytes(&bytes);
  XLVS_ASSIGN_OR_RETURN(
      const Object director,
      Object::Load("director",
                   absl::string_view(static_cast<const char*>(elf), bytes),
                   {.beside = &loaded,
                    .constants = {{"xlvs_cfg", RawBytes(sizes.config)}}}));
  // With addresses to look for, else the verifier takes that code away.
  const xlvs_decap_config config = {.tun_port = 6080, .vips = 1};
  elf = xlvs_decap__elf_bytes(&bytes);
  XLVS_ASSIGN_OR_RETURN(
      const Object decap,
      Object::Load("decap",
                   absl::string_view(static_cast<const char*>(elf), bytes),
                   {.constants = {{"xlvs_decap_cfg", RawBytes(config)}}}));
  CodeFigures figures;
  XLVS_RETURN_IF_ERROR(AddPrograms(director, figures));
  XLVS_RETURN_IF_ERROR(AddPrograms(decap, figures));
  figures.maps.conns = sizes.conns;
  XLVS_RETURN_IF_ERROR(AddMaps(loaded, figures.maps));
  return figures;
}

void PrintCode(const CodeFigures& figures) {
  absl::PrintF("%-15s%8s%10s%11s%8s%7s%7s%7s%7s\n", "program", "insns",
               "verified", "translated", "jited", "frame", "chain", "calls",
               "left");
  absl::PrintF("%-15s%8s%10s%11s%8s%7s%7s%7s%7s\n", "", "", "", "", "B", "B",
               "B", "", "");
  for (const ProgramCode& program : figures.programs)
    absl::PrintF("%-15s%8s%10s%11s%8s%7d%7d%7d%7d\n", program.name,
                 WithCommas(program.insns), WithCommas(program.verified_insns),
                 WithCommas(program.translated_insns),
                 WithCommas(program.jited_bytes), program.stack_bytes,
                 program.chain_bytes, program.helper_calls, program.calls_left);
  absl::PrintF(
      "frame: of one function; chain: down a chain of calls, bpf_loop's too.\n"
      "calls: of helpers, in the whole program, not on one packet's path; "
      "left: what\nthe kernel does not inline.\n");
  const MapSizes& maps = figures.maps;
  absl::PrintF(
      "maps, %s connections: %.1f MiB and %.1f MiB a CPU; a connection %.1f "
      "B\n",
      WithCommas(maps.conns), maps.shared_bytes / 1048576.0,
      maps.per_cpu_bytes / 1048576.0,
      static_cast<double>(maps.conns_bytes) / maps.conns);
}

nlohmann::json ToJson(const CodeFigures& figures) {
  nlohmann::json json;
  for (const ProgramCode& program : figures.programs)
    json["programs"].push_back(
        {{"name", program.name},
         {"insns", program.insns},
         {"verified_insns", program.verified_insns},
         {"translated_insns", program.translated_insns},
         {"jited_bytes", program.jited_bytes},
         {"stack_bytes", program.stack_bytes},
         {"stack_chain_bytes", program.chain_bytes},
         {"helper_calls_in_program", program.helper_calls},
         {"helper_calls_not_inlined", program.calls_left}});
  json["maps"] = {{"conns", figures.maps.conns},
                  {"shared_bytes", figures.maps.shared_bytes},
                  {"per_cpu_bytes", figures.maps.per_cpu_bytes},
                  {"conns_bytes", figures.maps.conns_bytes}};
  return json;
}

nlohmann::json Repeatable(const CodeFigures& figures) {
  nlohmann::json everywhere, kernel;
  for (const ProgramCode& program : figures.programs) {
    const auto key = [&](const char* what) {
      return absl::StrCat(program.name, ": ", what);
    };
    everywhere[key("instructions")] = program.insns;
    everywhere[key("stack bytes of a function")] = program.stack_bytes;
    everywhere[key("stack bytes of a chain")] = program.chain_bytes;
    everywhere[key("helper calls")] = program.helper_calls;
    kernel[key("verified instructions")] = program.verified_insns;
    kernel[key("translated instructions")] = program.translated_insns;
    kernel[key("jited bytes")] = program.jited_bytes;
    kernel[key("helper calls left")] = program.calls_left;
  }
  everywhere["maps: bytes"] = figures.maps.shared_bytes;
  everywhere["maps: bytes a CPU"] = figures.maps.per_cpu_bytes;
  everywhere["maps: bytes of connections"] = figures.maps.conns_bytes;
  return {{"everywhere", everywhere}, {"kernel", kernel}};
}

}  // namespace xlvs::bench
