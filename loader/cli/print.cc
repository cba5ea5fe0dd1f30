// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/print.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace xlvs {
namespace {

constexpr size_t kNameWidth = 28;

std::string ProtocolName(Protocol protocol) {
  return absl::AsciiStrToUpper(Name(protocol));
}

absl::string_view ServiceOption(Protocol protocol) {
  switch (protocol) {
    case Protocol::kIp:  // by mark
      return "-f";
    case Protocol::kTcp:
      return "-t";
    case Protocol::kUdp:
      return "-u";
    case Protocol::kSctp:
      return "--sctp-service";
  }
  return "?";
}

absl::string_view MethodName(Method method) {
  switch (method) {
    case Method::kMasq:
      return "Masq";
    case Method::kTunnel:
      return "Tunnel";
    case Method::kRoute:
      return "Route";
  }
  return "?";
}

absl::string_view MethodOption(Method method) {
  switch (method) {
    case Method::kMasq:
      return "-m";
    case Method::kTunnel:
      return "-i";
    case Method::kRoute:
      return "-g";
  }
  return "?";
}

// --tun-info's column.
std::string TunnelInfo(const Dest& dest) {
  if (dest.method != Method::kTunnel) return "n/a";
  const Tunnel& tunnel = dest.tunnel;
  std::string info(Name(tunnel.type));
  if (tunnel.type == TunnelType::kIpip) return info;
  if (tunnel.type == TunnelType::kGue) absl::StrAppend(&info, ":", tunnel.port);
  switch (tunnel.checksum) {
    case TunnelChecksum::kNone:
      return info + ":-c";
    case TunnelChecksum::kFull:
      return info + ":+c";
    case TunnelChecksum::kRemote:
      return info + ":r+c";
  }
  return info;
}

// What -S adds to a line for a tunnel, with a blank before it.
std::string TunnelOptions(const Dest& dest) {
  if (dest.method != Method::kTunnel) return "";
  const Tunnel& tunnel = dest.tunnel;
  std::string options = absl::StrCat(" --tun-type ", Name(tunnel.type));
  if (tunnel.type == TunnelType::kIpip) return options;
  if (tunnel.type == TunnelType::kGue)
    absl::StrAppend(&options, " --tun-port ", tunnel.port);
  switch (tunnel.checksum) {
    case TunnelChecksum::kNone:
      return options + " --tun-nocsum";
    case TunnelChecksum::kFull:
      return options + " --tun-csum";
    case TunnelChecksum::kRemote:
      return options + " --tun-remcsum";
  }
  return options;
}

std::string Thresholds(const Dest& dest) {
  std::string options;
  if (dest.u_threshold != 0)
    absl::StrAppend(&options, " -x ", dest.u_threshold);
  if (dest.l_threshold != 0)
    absl::StrAppend(&options, " -y ", dest.l_threshold);
  return options;
}

// An address as ipvsadm compares it: 32-bit numbers, one or four.
std::array<uint32_t, 4> AddressWords(const IpAddr& addr) {
  if (addr.is_v4()) return {addr.v4_host_order(), 0, 0, 0};
  std::array<uint32_t, 4> words = {};
  for (size_t i = 0; i < sizeof(xlvs_addr); ++i)
    words[i / 4] = words[i / 4] << 8 | addr.raw().byte[i];
  return words;
}

// Below 0: `a` comes first. ipvsadm subtracts 32-bit numbers and looks at the
// sign, so 192.168.0.1 < 10.0.0.1 < 100.0.0.1 < 192.168.0.1. Of an IPv4 and an
// IPv6 address, as the real servers of one service may be, it takes as many
// numbers as the first has.
int Compare(const IpAddr& a, const IpAddr& b) {
  const auto left = AddressWords(a);
  const auto right = AddressWords(b);
  for (size_t i = 0; i < (a.is_v4() ? 1 : left.size()); ++i)
    if (left[i] != right[i]) return static_cast<int32_t>(left[i] - right[i]);
  return 0;
}

int Compare(const ServiceView& a, const ServiceView& b) {
  const ServiceKey& left = a.service.key;
  const ServiceKey& right = b.service.key;
  if (left.fwmark != right.fwmark)
    return static_cast<int32_t>(left.fwmark - right.fwmark);
  if (left.vaddr.is_v4() != right.vaddr.is_v4())
    return left.vaddr.is_v4() ? -1 : 1;
  if (left.protocol != right.protocol)
    return left.protocol < right.protocol ? -1 : 1;
  const int order = Compare(left.vaddr, right.vaddr);
  return order != 0 ? order : left.vport - right.vport;
}

int Compare(const DestView& a, const DestView& b) {
  const int order = Compare(a.dest.key.daddr, b.dest.key.daddr);
  return order != 0 ? order : a.dest.key.dport - b.dest.key.dport;
}

// An order that goes round in circles is poison for std::sort, so this is a
// merge sort of our own. It halves as the C library's qsort() does, and so
// gives what ipvsadm gives even for addresses from all over the place.
template <typename View>
void MergeSort(std::vector<View>& views) {
  if (views.size() < 2) return;
  const auto middle =
      views.begin() + static_cast<std::ptrdiff_t>(views.size() / 2);
  std::vector<View> left(std::make_move_iterator(views.begin()),
                         std::make_move_iterator(middle));
  std::vector<View> right(std::make_move_iterator(middle),
                          std::make_move_iterator(views.end()));
  MergeSort(left);
  MergeSort(right);
  auto l = left.begin();
  auto r = right.begin();
  for (View& view : views) {
    const bool from_left =
        r == right.end() || (l != left.end() && Compare(*l, *r) <= 0);
    view = std::move(from_left ? *l++ : *r++);
  }
}

// ipvsadm prints counts as unsigned; a sum caught between two CPUs may be below
// zero for a moment.
uint32_t Count(int64_t count) {
  return static_cast<uint32_t>(std::clamp<int64_t>(count, 0, UINT32_MAX));
}

// IPv4 and host names are cut to their column; IPv6 addresses never.
std::string Cut(const IpAddr& addr, std::string name) {
  if (addr.is_v4() && name.size() > kNameWidth) name.resize(kNameWidth);
  return name;
}

void PrintTitles(ListColumns columns, std::ostream& out) {
  constexpr absl::string_view kAddress = "Prot LocalAddress:Port";
  constexpr absl::string_view kFlags =
      "Prot LocalAddress:Port Scheduler Flags\n"
      "  -> RemoteAddress:Port           Forward ";
  constexpr absl::string_view kServer = "  -> RemoteAddress:Port\n";
  switch (columns) {
    case ListColumns::kPlain:
      out << kFlags << "Weight ActiveConn InActConn\n";
      return;
    case ListColumns::kTunInfo:
      out << kFlags << "TunnelInfo    Weight ActiveConn InActConn\n";
      return;
    case ListColumns::kStats:
      out << absl::StreamFormat("%-33s %8s %8s %8s %8s %8s\n", kAddress,
                                "Conns", "InPkts", "OutPkts", "InBytes",
                                "OutBytes")
          << kServer;
      return;
    case ListColumns::kRate:
      out << absl::StreamFormat("%-33s %8s %8s %8s %8s %8s\n", kAddress, "CPS",
                                "InPPS", "OutPPS", "InBPS", "OutBPS")
          << kServer;
      return;
    case ListColumns::kThresholds:
      out << absl::StreamFormat("%-33s %-10s %-10s %-10s %-10s\n", kAddress,
                                "Uthreshold", "Lthreshold", "ActiveConn",
                                "InActConn")
          << kServer;
      return;
    case ListColumns::kPersistentConn:
      out << absl::StreamFormat("%-33s %-9s %-11s %-10s %-10s\n", kAddress,
                                "Weight", "PersistConn", "ActiveConn",
                                "InActConn")
          << kServer;
      return;
  }
}

// `long_packets`: where ipvsadm forgets to shorten conns and packets.
void PrintCounters(const Counters& counters, bool exact, bool long_packets,
                   std::ostream& out) {
  const bool exact_packets = exact || long_packets;
  out << CounterText(counters.conns, exact_packets)
      << CounterText(counters.in_packets, exact_packets)
      << CounterText(counters.out_packets, exact_packets)
      << CounterText(counters.in_bytes, exact)
      << CounterText(counters.out_bytes, exact) << '\n';
}

// Nothing if there are no flags.
std::string FlagList(const Service& service, absl::string_view before,
                     absl::string_view after) {
  const auto names = SchedFlagNames(service);
  if (names.empty()) return "";
  return absl::StrCat(before, absl::StrJoin(names, ","), after);
}

// What stands for a service in the first columns.
std::string ServiceText(const ServiceKey& key, const Names& names) {
  if (key.fwmark != 0)
    return absl::StrCat("FWM  ", key.fwmark, key.vaddr.is_v4() ? "" : " IPv6");
  return absl::StrFormat(
      "%-4s %s", ProtocolName(key.protocol),
      Cut(key.vaddr, names.Endpoint(key.vaddr, key.vport, key.protocol)));
}

// "-t 1.2.3.4:80", "-f 8 -6".
std::string ServiceWords(const ServiceKey& key, const Names& names) {
  const absl::string_view option = ServiceOption(key.protocol);
  if (key.fwmark != 0)
    return absl::StrCat(option, " ", key.fwmark,
                        key.vaddr.is_v4() ? "" : " -6");
  return absl::StrCat(option, " ",
                      names.Endpoint(key.vaddr, key.vport, key.protocol));
}

// `mask_option` before the mask, which is not named if a client is alone.
std::string Persistence(const Service& service, absl::string_view option,
                        absl::string_view mask_option) {
  if (service.persistent_s == 0) return "";
  std::string text = absl::StrCat(option, service.persistent_s);
  if (service.persist_mask != FullMask(service.key.vaddr.is_v4()))
    absl::StrAppend(&text, mask_option, PersistMaskText(service));
  return text;
}

void PrintService(const ServiceView& view, const ListOptions& options,
                  const Names& names, std::ostream& out) {
  const std::string text = ServiceText(view.service.key, names);
  switch (options.columns) {
    case ListColumns::kStats:
      out << absl::StreamFormat("%-33s", text);
      PrintCounters(view.counters, options.exact, false, out);
      return;
    case ListColumns::kRate:
      out << absl::StreamFormat("%-33s", text);
      PrintCounters(view.rates, options.exact, false, out);
      return;
    default:
      out << text << ' ' << Name(view.service.scheduler)
          << FlagList(view.service, " (", ")")
          << Persistence(view.service, " persistent ", " mask ")
          << (view.service.one_packet ? " ops\n" : "\n");
  }
}

void PrintDest(const DestView& view, Protocol protocol,
               const ListOptions& options, const Names& names,
               std::ostream& out) {
  const Dest& dest = view.dest;
  const uint32_t active = Count(view.active_conns);
  const uint32_t inactive = Count(view.inactive_conns);
  out << absl::StreamFormat(
      "  -> %-28s",
      Cut(dest.key.daddr,
          names.Endpoint(dest.key.daddr, dest.key.dport, protocol)));
  switch (options.columns) {
    case ListColumns::kStats:
      PrintCounters(view.counters, options.exact, false, out);
      return;
    case ListColumns::kRate:
      PrintCounters(view.rates, options.exact, true, out);
      return;
    case ListColumns::kThresholds:
      out << absl::StreamFormat(" %-10u %-10u %-10u %-10u\n", dest.u_threshold,
                                dest.l_threshold, active, inactive);
      return;
    case ListColumns::kPersistentConn:
      out << absl::StreamFormat(" %-9u %-11u %-10u %-10u\n", dest.weight,
                                Count(view.persistent_conns), active, inactive);
      return;
    case ListColumns::kTunInfo:
      out << absl::StreamFormat(" %-7s %-13s %-6u %-10u %-10u\n",
                                MethodName(dest.method), TunnelInfo(dest),
                                dest.weight, active, inactive);
      return;
    case ListColumns::kPlain:
      out << absl::StreamFormat(" %-7s %-6u %-10u %-10u\n",
                                MethodName(dest.method), dest.weight, active,
                                inactive);
      return;
  }
}

}  // namespace

void Sort(std::vector<ServiceView>& services) {
  MergeSort(services);
  for (ServiceView& service : services) MergeSort(service.dests);
}

void PrintTableLine(const TableInfo& table, std::ostream& out) {
  out << absl::StreamFormat("IP Virtual Server version 1.2.1 (size=%u)\n",
                            table.conns);
}

void PrintServices(const std::vector<ServiceView>& services,
                   const ListOptions& options, const Names& names,
                   std::ostream& out) {
  PrintTitles(options.columns, out);
  for (const ServiceView& view : services) {
    PrintService(view, options, names, out);
    for (const DestView& dest : view.dests)
      PrintDest(dest, view.service.key.protocol, options, names, out);
  }
}

void PrintConns(const std::vector<ConnView>& conns, const ListOptions& options,
                const Names& names, std::ostream& out) {
  out << "IPVS connection entries\n"
         "pro expire state       source             virtual            "
         "destination";
  if (options.columns == ListColumns::kPersistentConn)
    out << "        pe name          pe_data";
  out << '\n';
  for (const ConnView& conn : conns)
    out << absl::StreamFormat(
        "%-3s %-6s %-11s %-18s %-18s %s\n", ProtocolName(conn.protocol),
        absl::StrFormat("%02u:%02u", conn.expires_in_s / 60,
                        conn.expires_in_s % 60),
        conn.state, names.Endpoint(conn.caddr, conn.cport, conn.protocol),
        names.Endpoint(conn.vaddr, conn.vport, conn.protocol),
        names.Endpoint(conn.daddr, conn.dport, conn.protocol));
}

void PrintTimeouts(const Timeouts& timeouts, std::ostream& out) {
  out << absl::StreamFormat("Timeout (tcp tcpfin udp): %u %u %u\n",
                            timeouts.tcp_s, timeouts.tcp_fin_s, timeouts.udp_s);
}

void PrintTimeoutRule(const Timeouts& timeouts, std::ostream& out) {
  out << absl::StreamFormat("--set %u %u %u\n", timeouts.tcp_s,
                            timeouts.tcp_fin_s, timeouts.udp_s);
}

void PrintRules(const std::vector<ServiceView>& services, bool thresholds,
                const Names& names, std::ostream& out) {
  for (const ServiceView& view : services) {
    const ServiceKey& key = view.service.key;
    const std::string service = ServiceWords(key, names);
    out << "-A " << service << " -s " << Name(view.service.scheduler)
        << Persistence(view.service, " -p ", " -M ")
        << (view.service.one_packet ? " -o" : "")
        << FlagList(view.service, " -b ", "") << '\n';
    for (const DestView& dest_view : view.dests) {
      const Dest& dest = dest_view.dest;
      out << absl::StreamFormat(
          "-a %s -r %s %s -w %u%s%s\n", service,
          names.Endpoint(dest.key.daddr, dest.key.dport, key.protocol),
          MethodOption(dest.method), dest.weight,
          thresholds ? Thresholds(dest) : "", TunnelOptions(dest));
    }
  }
}

std::string PersistMaskText(const Service& service) {
  if (service.key.vaddr.is_v4())
    return IpAddr::FromV4(service.persist_mask).ToString();
  return absl::StrCat(service.persist_mask);
}

std::string CounterText(uint64_t number, bool exact) {
  if (exact || number < 100'000'000) return absl::StrFormat(" %8u", number);
  if (number < 1'000'000'000) return absl::StrFormat("%8uK", number / 1'000);
  if (number < 100'000'000'000)
    return absl::StrFormat("%8uM", number / 1'000'000);
  if (number < 100'000'000'000'000)
    return absl::StrFormat("%8uG", number / 1'000'000'000);
  return absl::StrFormat("%8uT", number / 1'000'000'000'000);
}

}  // namespace xlvs
