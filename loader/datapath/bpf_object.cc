// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/bpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "loader/base/status.h"
// The contract before the skeleton, which names our structs without defining
// them.
#include "maps/clock.h"
#include "maps/config.h"
#include "maps/dest.h"
#include "maps/local.h"
#include "maps/pool.h"
#include "maps/rate.h"
#include "maps/service.h"
#include "maps/step.h"
// The skeleton last.
#include "director.skel.h"

namespace xlvs {
namespace {

constexpr absl::string_view kPrefix = "xlvs_";
// The programs' read-only data, which the compiler names.
constexpr char kConfigMap[] = "config";
constexpr size_t kLogBytesKept = 4096;

std::string& Log() {
  static std::string log;
  return log;
}

int KeepMessage(libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  va_list again;
  va_copy(again, args);
  const int bytes = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (bytes <= 0) return bytes;
  std::string message(bytes + 1, '\0');
  std::vsnprintf(message.data(), message.size(), format, args);
  message.pop_back();
  std::string& log = Log();
  log += message;
  if (log.size() > kLogBytesKept) log.erase(0, log.size() - kLogBytesKept);
  return bytes;
}

// The line of libbpf's log that says why the kernel refused a program: the one
// before the verifier's own last line ("processed N insns ...").
std::string Refusal(const std::string& log) {
  std::string refusal = "no reason given";
  for (absl::string_view line : absl::StrSplit(log, '\n')) {
    if (absl::StartsWith(line, "processed ")) break;
    if (!line.empty()) refusal = std::string(line);
  }
  return refusal;
}

void SetMapSizes(xlvs_director& object, const Sizes& sizes) {
  auto& maps = object.maps;
  const std::pair<bpf_map*, uint32_t> entries[] = {
      {maps.xlvs_services, sizes.services},
      {maps.xlvs_pools, sizes.services + 1},
      {maps.xlvs_slots, sizes.slot_chunks},
      {maps.xlvs_dests, sizes.config.dests},
      {maps.xlvs_counters, sizes.config.dests},
      {maps.xlvs_loads, sizes.config.dests},
      {maps.xlvs_rates, sizes.config.dests},
      {maps.xlvs_conns, sizes.config.buckets},
      {maps.xlvs_heads, sizes.config.buckets},
      {maps.xlvs_locals, sizes.config.locals},
  };
  for (const auto& [map, count] : entries) bpf_map__set_max_entries(map, count);
}

}  // namespace

void CaptureLibbpfLog() {
  libbpf_set_print(KeepMessage);
}
std::string LibbpfLog() {
  return Log();
}

absl::Status LoadError(int error) {
  if (geteuid() != 0 || error == -EPERM || error == -ENOMEM)
    return ErrnoStatus(error, "load BPF programs");
  // EACCES and EINVAL are the verifier's words too.
  utsname kernel;
  uname(&kernel);
  return absl::InternalError(absl::StrCat("load BPF programs: this kernel (",
                                          kernel.release,
                                          ") refuses them: ", Refusal(Log())));
}

void BpfObject::Closer::operator()(xlvs_director* object) const {
  xlvs_director__destroy(object);
}

absl::StatusOr<BpfObject> BpfObject::Load(const Sizes& sizes) {
  xlvs_director* raw = xlvs_director__open();
  if (raw == nullptr) return ErrnoStatus(errno, "open BPF object");
  BpfObject program(raw);
  SetMapSizes(*raw, sizes);
  raw->rodata->xlvs_cfg = sizes.config;
  if (const int error = xlvs_director__load(raw); error != 0)
    return LoadError(error);
  return program;
}

std::vector<std::string> BpfObject::program_names() const {
  std::vector<std::string> names;
  bpf_program* program;
  bpf_object__for_each_program(program, object_->obj) {
    names.emplace_back(absl::StripPrefix(bpf_program__name(program), kPrefix));
  }
  return names;
}

int BpfObject::program_fd(const std::string& name) const {
  return bpf_program__fd(bpf_object__find_program_by_name(
      object_->obj, absl::StrCat(kPrefix, name).c_str()));
}

int BpfObject::map_fd(const std::string& name) const {
  if (name == kConfigMap) return bpf_map__fd(object_->maps.rodata);
  return bpf_object__find_map_fd_by_name(object_->obj,
                                         absl::StrCat(kPrefix, name).c_str());
}

std::vector<std::string> BpfObject::map_names() const {
  std::vector<std::string> names;
  bpf_map* map;
  bpf_object__for_each_map(map, object_->obj) {
    const absl::string_view name = bpf_map__name(map);
    if (bpf_map__is_internal(map))
      names.emplace_back(kConfigMap);
    else
      names.emplace_back(absl::StripPrefix(name, kPrefix));
  }
  return names;
}

}  // namespace xlvs
