// SPDX-License-Identifier: Apache-2.0
//
// The BPF object: opened from the embedded skeleton, sized, loaded. The only
// code that knows the skeleton of the director.
#ifndef XLVS_LOADER_DATAPATH_BPF_OBJECT_H_
#define XLVS_LOADER_DATAPATH_BPF_OBJECT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/datapath/sizes.h"

struct xlvs_director;

namespace xlvs {

class BpfObject {
 public:
  // Maps are new and empty but for xlvs_meta's sizes; the timer does not run.
  static absl::StatusOr<BpfObject> Load(const Sizes& sizes);

  // "director", "arm", ...: all that the object has.
  std::vector<std::string> program_names() const;
  int program_fd(const std::string& name) const;
  int map_fd(const std::string& name) const;  // "conns"; -1 if there is none
  std::vector<std::string> map_names() const;

 private:
  struct Closer {
    void operator()(xlvs_director* object) const;
  };
  explicit BpfObject(xlvs_director* object) : object_(object) {}
  std::unique_ptr<xlvs_director, Closer> object_;
};

// Has libbpf's messages kept instead of printed; the last lines of them.
void CaptureLibbpfLog();
std::string LibbpfLog();

// Why libbpf could not load an object: a missing privilege, or the verifier's
// reason out of its log.
absl::Status LoadError(int error);

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_BPF_OBJECT_H_
