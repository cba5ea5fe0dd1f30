// SPDX-License-Identifier: Apache-2.0
//
// The decapsulator's BPF object: opened from the embedded skeleton, loaded,
// its maps filled. The only code that knows that skeleton.
#ifndef XLVS_LOADER_DATAPATH_DECAP_OBJECT_H_
#define XLVS_LOADER_DATAPATH_DECAP_OBJECT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "loader/model/decapsulator.h"

struct xlvs_decap;

namespace xlvs {

class DecapObject {
 public:
  // With the directors, addresses and port of `options`; no device yet.
  static absl::StatusOr<DecapObject> Load(const DecapOptions& options);

  // What has to be pinned: "program", and the maps, "from" for xlvs_decap_from.
  std::vector<std::pair<std::string, int>> Pins() const;

 private:
  struct Closer {
    void operator()(xlvs_decap* object) const;
  };
  explicit DecapObject(xlvs_decap* object) : object_(object) {}
  absl::Status FillMaps(const DecapOptions& options) const;

  std::unique_ptr<xlvs_decap, Closer> object_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_DECAP_OBJECT_H_
