// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/datapath/device.h"
#include "loader/net/netlink.h"

namespace xlvs {
namespace {

// Between those that people give (1, 2, 10, ...) and those that the kernel
// chooses (49152 and below): after the former, before the latter.
constexpr uint32_t kPriority = 4711;
constexpr uint32_t kHandle = 0x786c7673;  // "xlvs"
constexpr absl::string_view kOurPrograms = "xlvs_";

bpf_tc_hook Hook(uint32_t ifindex, TcHook hook) {
  bpf_tc_hook raw = {};
  raw.sz = sizeof(raw);
  raw.ifindex = static_cast<int>(ifindex);
  raw.attach_point = hook == TcHook::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return raw;
}

bpf_tc_opts Place() {
  bpf_tc_opts place = {};
  place.sz = sizeof(place);
  place.handle = kHandle;
  place.priority = kPriority;
  return place;
}

// The id of the program at our place; 0: none.
uint32_t Occupant(uint32_t ifindex, TcHook hook) {
  const bpf_tc_hook raw = Hook(ifindex, hook);
  bpf_tc_opts place = Place();
  return bpf_tc_query(&raw, &place) == 0 ? place.prog_id : 0;
}

bool HasFilters(uint32_t ifindex, uint32_t parent) {
  NetlinkRequest request(RTM_GETTFILTER, NLM_F_DUMP);
  tcmsg& header = request.Extra<tcmsg>();
  header.tcm_ifindex = static_cast<int>(ifindex);
  header.tcm_parent = parent;
  bool any = false;
  const int error = request.Ask([&](const nlmsghdr& message) {
    any = any || message.nlmsg_type == RTM_NEWTFILTER;
  });
  return any || error != 0;
}

}  // namespace

absl::StatusOr<bool> AddTcQdisc(uint32_t ifindex) {
  bpf_tc_hook hook = Hook(ifindex, TcHook::kIngress);
  const int error = bpf_tc_hook_create(&hook);
  if (error == 0) return true;
  if (error == -EEXIST) return false;
  return ErrnoStatus(error, "add the clsact qdisc");
}

absl::Status RemoveUnusedTcQdisc(uint32_t ifindex) {
  if (HasFilters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) ||
      HasFilters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)))
    return absl::OkStatus();
  bpf_tc_hook hook = Hook(ifindex, TcHook::kIngress);
  // Both at once is what means the qdisc.
  hook.attach_point =
      static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  if (const int error = bpf_tc_hook_destroy(&hook);
      error != 0 && error != -ENOENT)
    return ErrnoStatus(error, "remove the clsact qdisc");
  return absl::OkStatus();
}

absl::Status AttachTc(uint32_t ifindex, TcHook hook, int program_fd) {
  const uint32_t occupant = Occupant(ifindex, hook);
  if (occupant != 0 && !absl::StartsWith(ProgramName(occupant), kOurPrograms))
    return absl::FailedPreconditionError(
        absl::StrCat("TC program '", ProgramName(occupant), "' (id ", occupant,
                     ") has our priority ", kPriority, " and handle"));
  const bpf_tc_hook raw = Hook(ifindex, hook);
  bpf_tc_opts place = Place();
  place.prog_fd = program_fd;
  place.flags = occupant != 0 ? BPF_TC_F_REPLACE : 0;
  if (const int error = bpf_tc_attach(&raw, &place); error != 0)
    return ErrnoStatus(error, hook == TcHook::kIngress
                                  ? "attach the TC program of arriving packets"
                                  : "attach the TC program of leaving packets");
  return absl::OkStatus();
}

absl::Status DetachTc(uint32_t ifindex, TcHook hook) {
  const uint32_t occupant = Occupant(ifindex, hook);
  if (occupant == 0 || !absl::StartsWith(ProgramName(occupant), kOurPrograms))
    return absl::OkStatus();
  const bpf_tc_hook raw = Hook(ifindex, hook);
  const bpf_tc_opts place = Place();
  if (const int error = bpf_tc_detach(&raw, &place);
      error != 0 && error != -ENOENT)
    return ErrnoStatus(error, "detach the TC program");
  return absl::OkStatus();
}

bool IsTcAttached(uint32_t ifindex, TcHook hook, int program_fd) {
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof(info);
  return bpf_obj_get_info_by_fd(program_fd, &info, &info_bytes) == 0 &&
         Occupant(ifindex, hook) == info.id;
}

}  // namespace xlvs
