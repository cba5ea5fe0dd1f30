// SPDX-License-Identifier: Apache-2.0
//
// One command line of ipvsadm, read and checked as ipvsadm does it: every
// mistake that ipvsadm itself would report is found here, in its order and
// its words. What the kernel would refuse is found later, in ipvsadm.cc.
#ifndef XLVS_LOADER_CLI_LINE_H_
#define XLVS_LOADER_CLI_LINE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "loader/cli/command.h"
#include "loader/cli/grammar.h"
#include "loader/cli/program.h"
#include "loader/model/service.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

struct Line {
  CommandId command = CommandId::kList;
  OptionSet given;

  Choice service_kind = Choice::kNone;  // kTcp, kUdp, kSctp or kFwmark
  IpAddr vaddr;
  uint16_t vport = 0;
  bool service_v6 = false;
  uint32_t fwmark = 0;
  std::string scheduler = "wlc";
  std::string sched_flags;
  uint32_t persistent_s = 0;
  uint32_t persist_mask = FullMask(/*is_v4=*/true);  // as in Service
  std::string engine;                                // --pe

  IpAddr daddr;
  uint16_t dport = 0;
  bool server_v6 = false;
  Choice method = Choice::kRoute;
  uint32_t weight = 1;
  uint32_t u_threshold = 0;
  uint32_t l_threshold = 0;
  Tunnel tunnel;

  Timeouts timeouts;  // of --set
};

// `args[0]` is the program's name and is not looked at.
std::variant<Line, Failure> ReadLine(const Program& program,
                                     const std::vector<std::string>& args);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_LINE_H_
