// SPDX-License-Identifier: Apache-2.0
//
// The part of MapDirector that says which addresses and ports are ours.
#include "loader/datapath/map_director.h"

namespace xlvs {
namespace {

// Whether nat_icmp_send asks for the dest's port, and as what.
bool HasPort(const xlvs_dest& dest) {
  return dest.state == XLVS_DEST_available && dest.method == XLVS_METHOD_masq;
}

uint32_t PortOf(const xlvs_dest& dest) {
  const uint32_t protocol = dest.fwmark == 0 ? dest.l4_proto : 0;
  return XLVS_LOCAL_PORT | protocol << 16 | dest.dport;
}

}  // namespace

void MapDirector::CountLocals() {
  for (const auto& [key, service] : services_)
    if (key.fwmark == 0) locals_.Count(key.vaddr, XLVS_LOCAL_virtual);
  for (const auto& [key, id] : dests_by_key_) {
    locals_.Count(key.second.daddr, XLVS_LOCAL_dest);
    if (HasPort(dests_[id])) {
      locals_.Count(key.second.daddr, XLVS_LOCAL_masq, PortOf(dests_[id]));
      ports_shown_.insert(id);
    }
    // A removed dest keeps its service's address ours: its connections'
    // packets are dropped, not handed to the host.
    if (key.first.fwmark == 0)
      locals_.Count(key.first.vaddr, XLVS_LOCAL_virtual);
  }
  marks_.CountIn(locals_);
}

absl::Status MapDirector::AddVirtual(const ServiceKey& key) {
  if (key.fwmark != 0) return absl::OkStatus();
  return locals_.Add(key.vaddr, XLVS_LOCAL_virtual);
}

void MapDirector::RemoveVirtual(const ServiceKey& key) {
  if (key.fwmark == 0) locals_.Remove(key.vaddr, XLVS_LOCAL_virtual);
}

void MapDirector::ShowPort(uint32_t id) {
  const xlvs_dest& dest = dests_[id];
  const IpAddr addr(dest.daddr);
  const bool shown = ports_shown_.contains(id);
  if (shown == HasPort(dest)) return;
  if (shown) {
    locals_.Remove(addr, XLVS_LOCAL_masq, PortOf(dest));
    ports_shown_.erase(id);
  } else if (locals_.Add(addr, XLVS_LOCAL_masq, PortOf(dest)).ok()) {
    ports_shown_.insert(id);
  }
}

}  // namespace xlvs
