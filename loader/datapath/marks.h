// SPDX-License-Identifier: Apache-2.0
//
// The loader's side of the rules that give packets a mark (maps/mark.h): the
// list of them, and whose addresses it makes ours. Those of a small network go
// into xlvs_locals one by one, a large network into xlvs_wide as a whole.
//
// An entry behind the last rule has no mark, and one that was half written
// matches nothing: so the list says itself how long it is, also after a command
// that was cut short, and while one writes.
#ifndef XLVS_LOADER_DATAPATH_MARKS_H_
#define XLVS_LOADER_DATAPATH_MARKS_H_

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/datapath/locals.h"
#include "loader/datapath/mapped.h"
#include "loader/model/director.h"
#include "maps/config.h"
#include "maps/mark.h"

namespace xlvs {

class MarkList {
 public:
  using WideMap = HashMap<xlvs_wide_key, __u32>;

  MarkList() = default;
  MarkList(Mapped<xlvs_mark> marks, WideMap wide);

  const std::vector<MarkRule>& rules() const { return rules_; }
  // Tells `locals` which addresses it has already because of the rules.
  void CountIn(Locals& locals);

  // What is changed of `control` are the numbers of rules and of networks.
  absl::Status Add(const MarkRule& rule, Locals& locals, xlvs_control& control);
  absl::Status Delete(const MarkRule& rule, Locals& locals,
                      xlvs_control& control);
  // Those with this mark, or all.
  void Clear(std::optional<uint32_t> fwmark, Locals& locals,
             xlvs_control& control);
  // After a command that was cut short; `locals` has been told.
  absl::Status Rebuild(xlvs_control& control);

 private:
  using Network = std::pair<uint32_t, IpAddr>;  // bits of 128, address

  absl::Status AddAddresses(const MarkRule& rule, Locals& locals,
                            xlvs_control& control);
  void RemoveAddresses(const MarkRule& rule, Locals& locals,
                       xlvs_control& control);
  // Writes rules_ from `first` on, and that there are no more.
  void WriteFrom(size_t first, xlvs_control& control);

  Mapped<xlvs_mark> marks_;
  WideMap wide_;
  std::vector<MarkRule> rules_;
  std::map<Network, uint32_t> wide_users_;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_MARKS_H_
