// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/marks.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/net/prefix.h"

namespace xlvs {
namespace {

// Both ports of a rule, as the one word that they are in the record.
struct PortWord {
  uint16_t first;
  uint16_t last;
} __attribute__((aligned(4)));
static_assert(offsetof(xlvs_mark, port_first) % sizeof(PortWord) == 0 &&
              offsetof(xlvs_mark, port_last) ==
                  offsetof(xlvs_mark, port_first) + 2);
constexpr PortWord kNoPort = {.first = 1, .last = 0};

// Of the 128.
uint32_t PrefixOf(const MarkRule& rule) {
  return rule.prefix_bits + (rule.network.is_v4() ? 96 : 0);
}

uint32_t HostBits(const MarkRule& rule) {
  return 128 - PrefixOf(rule);
}

bool IsWide(const MarkRule& rule) {
  return HostBits(rule) >= 31 || 1U << HostBits(rule) > XLVS_MARK_HOSTS;
}

// The addresses of a network that is not wide.
std::vector<IpAddr> AddressesOf(const MarkRule& rule) {
  std::vector<IpAddr> addrs;
  for (uint32_t host = 0; host < 1U << HostBits(rule); ++host) {
    xlvs_addr addr = rule.network.raw();
    static_assert(XLVS_MARK_HOSTS <= 256);
    addr.byte[15] |= host;
    addrs.emplace_back(addr);
  }
  return addrs;
}

xlvs_wide_key WideKey(const std::pair<uint32_t, IpAddr>& network) {
  xlvs_wide_key key = {};
  key.prefix_bits = network.first;
  key.addr = network.second.raw();
  return key;
}

xlvs_mark RawMark(const MarkRule& rule) {
  return {.addr = rule.network.raw(),
          .mask = PrefixMask(PrefixOf(rule)),
          .fwmark = rule.fwmark,
          .port_first = rule.port_first,
          .port_last = rule.port_last,
          .l4_proto = static_cast<uint8_t>(rule.protocol),
          .pad0 = {}};
}

MarkRule RuleOf(const xlvs_mark& mark) {
  const IpAddr network(mark.addr);
  return {.fwmark = mark.fwmark,
          .protocol = static_cast<Protocol>(mark.l4_proto),
          .network = network,
          .prefix_bits = PrefixBits(mark.mask) - (network.is_v4() ? 96 : 0),
          .port_first = mark.port_first,
          .port_last = mark.port_last};
}

// Half written it matches nothing.
void StoreMark(xlvs_mark& to, const xlvs_mark& mark) {
  auto& ports = reinterpret_cast<PortWord&>(to.port_first);
  StoreWord(ports, kNoPort);
  xlvs_mark without_ports = mark;
  without_ports.port_first = kNoPort.first;
  without_ports.port_last = kNoPort.last;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  to = without_ports;
  StoreWord(ports, PortWord{mark.port_first, mark.port_last});
}

}  // namespace

MarkList::MarkList(Mapped<xlvs_mark> marks, WideMap wide)
    : marks_(std::move(marks)), wide_(std::move(wide)) {
  for (uint32_t i = 0; i < marks_.size() && marks_[i].fwmark != 0; ++i) {
    const xlvs_mark mark = marks_[i];
    if (mark.port_first > mark.port_last) continue;
    const MarkRule rule = RuleOf(mark);
    // A deletion that was cut short leaves a rule twice.
    if (std::find(rules_.begin(), rules_.end(), rule) == rules_.end())
      rules_.push_back(rule);
  }
}

void MarkList::CountIn(Locals& locals) {
  for (const MarkRule& rule : rules_) {
    if (IsWide(rule)) {
      wide_users_[{PrefixOf(rule), rule.network}]++;
      continue;
    }
    for (const IpAddr& addr : AddressesOf(rule))
      locals.Count(addr, XLVS_LOCAL_virtual);
  }
}

absl::Status MarkList::AddAddresses(const MarkRule& rule, Locals& locals,
                                    xlvs_control& control) {
  if (IsWide(rule)) {
    const Network network = {PrefixOf(rule), rule.network};
    if (!wide_users_.contains(network))
      XLVS_RETURN_IF_ERROR(wide_.Put(WideKey(network), 0));
    wide_users_[network]++;
    StoreWord(control.wide_marks, static_cast<uint32_t>(wide_users_.size()));
    return absl::OkStatus();
  }
  const std::vector<IpAddr> addrs = AddressesOf(rule);
  for (size_t i = 0; i < addrs.size(); ++i)
    if (auto status = locals.Add(addrs[i], XLVS_LOCAL_virtual); !status.ok()) {
      while (i-- > 0) locals.Remove(addrs[i], XLVS_LOCAL_virtual);
      return status;
    }
  return absl::OkStatus();
}

void MarkList::RemoveAddresses(const MarkRule& rule, Locals& locals,
                               xlvs_control& control) {
  if (!IsWide(rule)) {
    for (const IpAddr& addr : AddressesOf(rule))
      locals.Remove(addr, XLVS_LOCAL_virtual);
    return;
  }
  const auto user = wide_users_.find({PrefixOf(rule), rule.network});
  if (user == wide_users_.end() || --user->second > 0) return;
  (void)wide_.Erase(WideKey(user->first));
  wide_users_.erase(user);
  StoreWord(control.wide_marks, static_cast<uint32_t>(wide_users_.size()));
}

absl::Status MarkList::Add(const MarkRule& rule, Locals& locals,
                           xlvs_control& control) {
  if (std::find(rules_.begin(), rules_.end(), rule) != rules_.end())
    return absl::AlreadyExistsError("mark rule exists");
  if (rules_.size() >= marks_.size())
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for more than ", marks_.size(), " mark rules"));
  XLVS_RETURN_IF_ERROR(AddAddresses(rule, locals, control));
  // Nobody reads behind the last rule: the others need not pause.
  StoreMark(marks_[rules_.size()], RawMark(rule));
  rules_.push_back(rule);
  StoreWord(control.marks, static_cast<uint32_t>(rules_.size()));
  return absl::OkStatus();
}

absl::Status MarkList::Delete(const MarkRule& rule, Locals& locals,
                              xlvs_control& control) {
  const auto found = std::find(rules_.begin(), rules_.end(), rule);
  if (found == rules_.end()) return absl::NotFoundError("no such mark rule");
  const size_t at = found - rules_.begin();
  rules_.erase(found);
  WriteFrom(at, control);
  RemoveAddresses(rule, locals, control);
  return absl::OkStatus();
}

void MarkList::Clear(std::optional<uint32_t> fwmark, Locals& locals,
                     xlvs_control& control) {
  const auto gone = std::stable_partition(
      rules_.begin(), rules_.end(), [&](const MarkRule& rule) {
        return fwmark.has_value() && rule.fwmark != *fwmark;
      });
  const std::vector<MarkRule> removed(gone, rules_.end());
  if (removed.empty()) return;
  rules_.erase(gone, rules_.end());
  WriteFrom(0, control);
  for (const MarkRule& rule : removed) RemoveAddresses(rule, locals, control);
}

void MarkList::WriteFrom(size_t first, xlvs_control& control) {
  StoreWord(control.marks, 0u);
  for (size_t i = first; i < rules_.size(); ++i)
    StoreMark(marks_[i], RawMark(rules_[i]));
  for (size_t i = rules_.size(); i < marks_.size(); ++i)
    StoreWord(marks_[i].fwmark, 0u);
  StoreWord(control.marks, static_cast<uint32_t>(rules_.size()));
}

absl::Status MarkList::Rebuild(xlvs_control& control) {
  WriteFrom(0, control);
  XLVS_ASSIGN_OR_RETURN(const auto entries, wide_.Entries());
  for (const auto& [key, value] : entries)
    if (!wide_users_.contains({key.prefix_bits, IpAddr(xlvs_addr(key.addr))}))
      XLVS_RETURN_IF_ERROR(wide_.Erase(key));
  for (const auto& [network, users] : wide_users_)
    XLVS_RETURN_IF_ERROR(wide_.Put(WideKey(network), 0));
  StoreWord(control.wide_marks, static_cast<uint32_t>(wide_users_.size()));
  return absl::OkStatus();
}

}  // namespace xlvs
