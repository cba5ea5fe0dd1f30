// SPDX-License-Identifier: Apache-2.0
//
// xlvs, and, by a symbolic link, ipvsadm. No logic: it wires the command line
// to the pinned maps.
#include <iostream>
#include <string>
#include <vector>

#include "loader/cli/admin.h"
#include "loader/cli/run.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/pinned_decapsulator.h"
#include "loader/datapath/pinned_host.h"

int main(int argc, char** argv) {
  std::vector<std::string> args(argv, argv + argc);
  const auto instance = xlvs::TakeInstance(args);
  if (!instance.ok()) {
    std::cerr << instance.status().message() << "\n";
    return 2;
  }
  xlvs::CaptureLibbpfLog();
  xlvs::PinnedHost host(*instance);
  xlvs::PinnedDecapsulator decapsulator(*instance);
  return xlvs::RunCommandLine(args, host, decapsulator, std::cin, std::cout,
                              std::cerr);
}
