// SPDX-License-Identifier: Apache-2.0
//
// A BPF object of the bench, loaded beside an instance: its maps named xlvs_*
// are the instance's, so its programs work on the same connections as the
// shipped program.
#ifndef XLVS_TOOLS_BENCH_D_OBJECT_H_
#define XLVS_TOOLS_BENCH_D_OBJECT_H_

#include <bpf/libbpf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/instance.h"
#include "loader/datapath/mapped.h"
#include "tools/bench.d/traffic.h"

namespace xlvs::bench {

// Sizes of a program as the kernel has it.
struct ProgramInfo {
  uint32_t verified_insns = 0;  // that the verifier walked through
  uint32_t translated_insns = 0;
  uint32_t jited_bytes = 0;
  std::vector<bpf_insn> code;  // translated; map references without the map
};
absl::StatusOr<ProgramInfo> ReadProgramInfo(int program_fd);

struct LoadOptions {
  // Whose maps named xlvs_* it uses: an instance's, or a loaded director's.
  // Neither: it has none, or makes its own.
  const Instance* instance = nullptr;
  const BpfObject* beside = nullptr;
  std::vector<std::pair<std::string, uint32_t>> map_entries = {};
  // Read-only variables by name, raw.
  std::vector<std::pair<std::string, std::string>> constants = {};
  // Of programs for forms of packets (bench_*) only those for this one, "4tcp";
  // empty: all.
  std::string form = {};
};

class Object {
 public:
  // `elf` is the object itself.
  static absl::StatusOr<Object> Load(absl::string_view name,
                                     absl::string_view elf,
                                     const LoadOptions& options);
  static absl::StatusOr<Object> LoadFile(const std::string& path,
                                         const LoadOptions& options);

  int program(const std::string& name) const;  // -1 if there is none
  int map(const std::string& name) const;
  bpf_object* raw() const { return object_.get(); }
  // Only of the bench's own objects.
  bench_traffic& traffic() { return traffic_[0]; }

 private:
  struct Closer {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  std::unique_ptr<bpf_object, Closer> object_;
  Mapped<bench_traffic> traffic_;
};

template <typename T>
std::string RawBytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_OBJECT_H_
