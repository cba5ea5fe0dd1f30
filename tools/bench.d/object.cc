// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"

namespace xlvs::bench {
namespace {

constexpr char kTimerStarter[] = "xlvs_arm";

// Writes read-only variables where BTF says that they are.
absl::Status SetConstants(
    bpf_object* object,
    const std::vector<std::pair<std::string, std::string>>& constants) {
  if (constants.empty()) return absl::OkStatus();
  bpf_map* map = bpf_object__find_map_by_name(object, ".rodata");
  size_t bytes = 0;
  auto* data = map == nullptr ? nullptr
                              : static_cast<char*>(const_cast<void*>(
                                    bpf_map__initial_value(map, &bytes)));
  const btf* types = bpf_object__btf(object);
  const int id = btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
  if (data == nullptr || id < 0)
    return absl::InternalError("object has no read-only data");
  const btf_type* section = btf__type_by_id(types, id);
  const btf_var_secinfo* variables = btf_var_secinfos(section);
  for (const auto& [name, value] : constants) {
    bool found = false;
    for (int i = 0; i < btf_vlen(section); ++i) {
      const btf_type* variable = btf__type_by_id(types, variables[i].type);
      if (name != btf__name_by_offset(types, variable->name_off)) continue;
      if (variables[i].size != value.size())
        return absl::InternalError(absl::StrCat("size of ", name));
      std::memcpy(data + variables[i].offset, value.data(), value.size());
      found = true;
    }
    if (!found) return absl::InternalError(absl::StrCat("no ", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MapOf(const LoadOptions& options,
                               const std::string& name) {
  if (options.instance != nullptr) return options.instance->OpenPin(name);
  const int fd = dup(options.beside->map_fd(name));
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("use map ", name));
  return UniqueFd(fd);
}

absl::Status ReuseMaps(bpf_object* object, const LoadOptions& options) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    const absl::string_view name = bpf_map__name(map);
    // Tail calls go to the object's own programs: another build's differ.
    if (!absl::StartsWith(name, "xlvs_") || name == "xlvs_programs") continue;
    XLVS_ASSIGN_OR_RETURN(
        const UniqueFd fd,
        MapOf(options, std::string(absl::StripPrefix(name, "xlvs_"))));
    if (const int error = bpf_map__reuse_fd(map, fd.get()); error != 0)
      return ErrnoStatus(error, absl::StrCat("use map ", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProgramInfo> ReadProgramInfo(int program_fd) {
  bpf_prog_info sizes = {};
  uint32_t bytes = sizeof(sizes);
  if (bpf_obj_get_info_by_fd(program_fd, &sizes, &bytes) != 0)
    return ErrnoStatus(errno, "read program info");
  ProgramInfo info = {.verified_insns = sizes.verified_insns,
                      .translated_insns = static_cast<uint32_t>(
                          sizes.xlated_prog_len / sizeof(bpf_insn)),
                      .jited_bytes = sizes.jited_prog_len,
                      .code = {}};
  info.code.resize(info.translated_insns);
  bpf_prog_info code = {};
  code.xlated_prog_len = sizes.xlated_prog_len;
  code.xlated_prog_insns = reinterpret_cast<uintptr_t>(info.code.data());
  bytes = sizeof(code);
  if (bpf_obj_get_info_by_fd(program_fd, &code, &bytes) != 0)
    return ErrnoStatus(errno, "read program code");
  // A load of 64 bits (two instructions) names a map by an id or an address.
  for (size_t i = 0; i + 1 < info.code.size(); ++i) {
    if (info.code[i].code != (BPF_LD | BPF_IMM | BPF_DW)) continue;
    if (info.code[i].src_reg == 0) continue;  // a plain number
    info.code[i].imm = 0;
    ++i;
  }
  return info;
}

absl::StatusOr<Object> Object::Load(absl::string_view name,
                                    absl::string_view elf,
                                    const LoadOptions& options) {
  const std::string object_name(name);
  LIBBPF_OPTS(bpf_object_open_opts, open_options,
              .object_name = object_name.c_str());
  Object result;
  result.object_.reset(
      bpf_object__open_mem(elf.data(), elf.size(), &open_options));
  bpf_object* object = result.object_.get();
  if (object == nullptr)
    return ErrnoStatus(errno, absl::StrCat("open BPF object ", name));
  if (options.instance != nullptr || options.beside != nullptr)
    XLVS_RETURN_IF_ERROR(ReuseMaps(object, options));
  for (const auto& [map, entries] : options.map_entries)
    if (const int error = bpf_map__set_max_entries(
            bpf_object__find_map_by_name(object, map.c_str()), entries);
        error != 0)
      return ErrnoStatus(error, absl::StrCat("size of map ", map));
  XLVS_RETURN_IF_ERROR(SetConstants(object, options.constants));
  bpf_program* arm = bpf_object__find_program_by_name(object, kTimerStarter);
  if (options.instance != nullptr && arm != nullptr)
    bpf_program__set_autoload(arm, false);
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    const absl::string_view program_name = bpf_program__name(program);
    if (!options.form.empty() && absl::StartsWith(program_name, "bench_") &&
        !absl::EndsWith(program_name, options.form))
      bpf_program__set_autoload(program, false);
  }
  if (const int error = bpf_object__load(object); error != 0)
    return Context(ErrnoStatus(error, absl::StrCat("load ", name)),
                   LibbpfLog());

  if (const int traffic = result.map(".bss"); traffic >= 0) {
    XLVS_ASSIGN_OR_RETURN(result.traffic_, Mapped<bench_traffic>::Map(
                                               UniqueFd(dup(traffic)), true));
  }
  return result;
}

absl::StatusOr<Object> Object::LoadFile(const std::string& path,
                                        const LoadOptions& options) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno, absl::StrCat("open ", path));
  std::ostringstream elf;
  elf << file.rdbuf();
  return Load("against", elf.str(), options);
}

int Object::program(const std::string& name) const {
  const bpf_program* program =
      bpf_object__find_program_by_name(object_.get(), name.c_str());
  return program == nullptr ? -1 : bpf_program__fd(program);
}

int Object::map(const std::string& name) const {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (name == bpf_map__name(map) ||
        (bpf_map__is_internal(map) && absl::EndsWith(bpf_map__name(map), name)))
      return bpf_map__fd(map);
  }
  return -1;
}

}  // namespace xlvs::bench
