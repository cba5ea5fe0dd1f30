// SPDX-License-Identifier: Apache-2.0
//
// How packets ended, out of a per-CPU array with one entry: rx first, then the
// endings in the order of their X-list (maps/step.h, maps/decap.h).
#ifndef XLVS_LOADER_DATAPATH_ENDINGS_H_
#define XLVS_LOADER_DATAPATH_ENDINGS_H_

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "loader/base/status.h"
#include "loader/model/host.h"

namespace xlvs {

// A row of an X-list.
struct Ending {
  const char* name;
  const char* action;
  const char* text;
};

// Adds rx, and all endings, of `cpus` CPUs to the view.
template <typename Counters, typename View>
absl::Status ReadEndings(int map_fd, uint32_t cpus,
                         std::span<const Ending> endings, View& view) {
  std::vector<Counters> by_cpu(cpus);
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(map_fd, &zero, by_cpu.data()) != 0)
    return ErrnoStatus(errno, "read the endings' counters");
  for (const Ending& ending : endings)
    view.endings.push_back({.name = ending.name,
                            .action = absl::AsciiStrToLower(ending.action),
                            .text = ending.text,
                            .packets = 0});
  for (const Counters& cpu : by_cpu) {
    view.rx_packets += cpu.rx;
    const __u64* counts = &cpu.rx + 1;
    for (EndingView& ending : view.endings) ending.packets += *counts++;
  }
  return absl::OkStatus();
}

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_ENDINGS_H_
