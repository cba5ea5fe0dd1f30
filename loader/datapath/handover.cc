// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/handover.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "loader/base/status.h"
#include "loader/datapath/tc.h"

namespace xlvs {

absl::StatusOr<Handover> Handover::Open(const Instance& instance) {
  Handover handover(instance);
  XLVS_ASSIGN_OR_RETURN(handover.handover_,
                        instance.OpenPin(Instance::ProgramPin("handover")));
  XLVS_ASSIGN_OR_RETURN(handover.local_reply_,
                        instance.OpenPin(Instance::ProgramPin("local_reply")));
  return handover;
}

absl::Status Handover::Allow(xlvs_handover_level level) const {
  XLVS_ASSIGN_OR_RETURN(auto control, instance_.MapArray<xlvs_control>(
                                          "control", /*writable=*/true));
  StoreWord(control[0].handover, level);
  return absl::OkStatus();
}

std::string Handover::QdiscMark(const std::string& device) const {
  return instance_.PathOf(Instance::QdiscPin(device));
}

absl::Status Handover::AttachTo(const std::string& device,
                                uint32_t ifindex) const {
  XLVS_ASSIGN_OR_RETURN(const bool made, AddTcQdisc(ifindex));
  absl::Cleanup detach = [&] { DetachFrom(device, ifindex); };
  if (made && bpf_obj_pin(handover_.get(), QdiscMark(device).c_str()) != 0 &&
      errno != EEXIST)
    return ErrnoStatus(errno, "note that the clsact qdisc is ours");
  XLVS_RETURN_IF_ERROR(AttachTc(ifindex, TcHook::kIngress, handover_.get()));
  XLVS_RETURN_IF_ERROR(AttachTc(ifindex, TcHook::kEgress, local_reply_.get()));
  std::move(detach).Cancel();
  return absl::OkStatus();
}

void Handover::DetachFrom(const std::string& device, uint32_t ifindex) const {
  const std::string mark = QdiscMark(device);
  if (ifindex != 0) {
    (void)DetachTc(ifindex, TcHook::kIngress);
    (void)DetachTc(ifindex, TcHook::kEgress);
    if (access(mark.c_str(), F_OK) == 0) (void)RemoveUnusedTcQdisc(ifindex);
  }
  unlink(mark.c_str());
}

bool Handover::IsOn(uint32_t ifindex) const {
  return IsTcAttached(ifindex, TcHook::kIngress, handover_.get()) &&
         IsTcAttached(ifindex, TcHook::kEgress, local_reply_.get());
}

}  // namespace xlvs
