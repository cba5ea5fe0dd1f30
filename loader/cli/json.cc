// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/json.h"

#include <nlohmann/json.hpp>

#include "loader/cli/admin.h"
#include "loader/cli/mark.h"
#include "loader/cli/print.h"

namespace xlvs {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(absl::string_view text) {
  return std::string(text);
}

const char* MethodText(Method method) {
  switch (method) {
    case Method::kMasq:
      return "masq";
    case Method::kTunnel:
      return "tunnel";
    case Method::kRoute:
      return "route";
  }
  return "?";
}

const char* ChecksumText(TunnelChecksum checksum) {
  switch (checksum) {
    case TunnelChecksum::kNone:
      return "none";
    case TunnelChecksum::kFull:
      return "full";
    case TunnelChecksum::kRemote:
      return "remote";
  }
  return "?";
}

std::string Document(Json json) {
  // Device names are bytes of the user's choice: they must not throw.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json ToJson(const Counters& counters) {
  return {{"conns", counters.conns},
          {"in_packets", counters.in_packets},
          {"out_packets", counters.out_packets},
          {"in_bytes", counters.in_bytes},
          {"out_bytes", counters.out_bytes}};
}

Json ToJson(const Tunnel& tunnel) {
  return {{"type", Text(Name(tunnel.type))},
          {"port", tunnel.port},
          {"checksum", ChecksumText(tunnel.checksum)}};
}

Json ToJson(const DestView& view) {
  Json json = {{"address", view.dest.key.daddr.ToString()},
               {"port", view.dest.key.dport},
               {"method", MethodText(view.dest.method)}};
  if (view.dest.method == Method::kTunnel)
    json["tunnel"] = ToJson(view.dest.tunnel);
  json["weight"] = view.dest.weight;
  json["u_threshold"] = view.dest.u_threshold;
  json["l_threshold"] = view.dest.l_threshold;
  json["active_conns"] = view.active_conns;
  json["inactive_conns"] = view.inactive_conns;
  json["persistent_conns"] = view.persistent_conns;
  json["counters"] = ToJson(view.counters);
  json["rates"] = ToJson(view.rates);
  return json;
}

Json ToJson(const ServiceView& view) {
  Json dests = Json::array();
  for (const DestView& dest : view.dests) dests.push_back(ToJson(dest));
  Json flags = Json::array();
  for (const absl::string_view name : SchedFlagNames(view.service))
    flags.push_back(Text(name));
  const ServiceKey& key = view.service.key;
  return {{"protocol", Text(Name(key.protocol))},
          {"address", key.vaddr.ToString()},
          {"port", key.vport},
          {"fwmark", key.fwmark},
          {"scheduler", Text(Name(view.service.scheduler))},
          {"scheduler_flags", std::move(flags)},
          {"persistent_s", view.service.persistent_s},
          {"persistent_mask", PersistMaskText(view.service)},
          {"one_packet", view.service.one_packet},
          {"counters", ToJson(view.counters)},
          {"rates", ToJson(view.rates)},
          {"dests", std::move(dests)}};
}

Json EndpointJson(const IpAddr& addr, uint16_t port) {
  return {{"address", addr.ToString()}, {"port", port}};
}

// Only templates of services by mark are of no protocol; as a virtual address
// they have the mark, 0.0.0.5 or 0:5::.
uint32_t MarkOf(const ConnView& conn) {
  if (conn.protocol != Protocol::kIp) return 0;
  if (conn.vaddr.is_v4()) return conn.vaddr.v4_host_order();
  const uint8_t* bytes = conn.vaddr.raw().byte;
  return IpAddr::FromV4Bytes(bytes).v4_host_order();
}

Json ToJson(const ConnView& conn) {
  return {{"protocol", Text(Name(conn.protocol))},
          {"template", conn.cport == 0},
          {"fwmark", MarkOf(conn)},
          {"state", Text(conn.state)},
          {"expires_in_s", conn.expires_in_s},
          {"client", EndpointJson(conn.caddr, conn.cport)},
          {"virtual", EndpointJson(conn.vaddr, conn.vport)},
          {"dest", EndpointJson(conn.daddr, conn.dport)}};
}

Json ToJson(const VlanView& vlan) {
  return {{"name", vlan.name}, {"ifindex", vlan.ifindex}, {"tags", vlan.tags}};
}

Json ToJson(const EndingView& ending) {
  return {{"name", ending.name},
          {"action", ending.action},
          {"text", ending.text},
          {"packets", ending.packets}};
}

Json ToJson(const IpAddr& addr) {
  return addr.ToString();
}

Json ToJson(const SettingView& setting) {
  return {{"name", Text(setting.name)},  {"value", setting.value},
          {"default", setting.standard}, {"min", setting.min},
          {"max", setting.max},          {"text", Text(setting.text)}};
}

Json ToJson(const MarkRule& rule) {
  return {{"fwmark", rule.fwmark},
          {"protocol", Text(MarkProtocolName(rule.protocol))},
          {"address", rule.network.ToString()},
          {"prefix_bits", rule.prefix_bits},
          {"port_first", rule.port_first},
          {"port_last", rule.port_last}};
}

Json ToJson(const DeviceView& device);

template <typename T>
Json ToJson(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(ToJson(value));
  return list;
}

Json ToJson(const DeviceView& device) {
  return {{"name", device.name},
          {"ifindex", device.ifindex},
          {"mode", Text(Name(device.mode))},
          {"warning", device.warning},
          {"vlans", ToJson(device.vlans)}};
}

}  // namespace

std::string ServicesJson(const TableInfo& table,
                         const std::vector<ServiceView>& services) {
  Json list = Json::array();
  for (const ServiceView& service : services) list.push_back(ToJson(service));
  return Document(
      {{"v", 1}, {"size", table.conns}, {"services", std::move(list)}});
}

std::string ConnsJson(const std::vector<ConnView>& conns) {
  // There may be millions: not all of them as objects at once, and a line each.
  std::string text = "{\n  \"v\": 1,\n  \"conns\": [";
  const char* separator = "\n    ";
  for (const ConnView& conn : conns) {
    text += separator;
    text += ToJson(conn).dump();
    separator = ",\n    ";
  }
  text += conns.empty() ? "]\n}\n" : "\n  ]\n}\n";
  return text;
}

std::string TimeoutsJson(const Timeouts& timeouts) {
  return Document({{"v", 1},
                   {"timeouts",
                    {{"tcp_s", timeouts.tcp_s},
                     {"tcp_fin_s", timeouts.tcp_fin_s},
                     {"udp_s", timeouts.udp_s}}}});
}

std::string DaemonsJson() {
  return Document({{"v", 1}, {"daemons", Json::array()}});
}

std::string SettingsJson(const std::vector<SettingView>& settings) {
  return Document({{"v", 1}, {"settings", ToJson(settings)}});
}

std::string MarksJson(const std::vector<MarkRule>& rules) {
  return Document({{"v", 1}, {"marks", ToJson(rules)}});
}

std::string StatusJson(const StatusView& status) {
  return Document({{"v", 1},
                   {"instance", status.instance},
                   {"pin_path", status.pin_path},
                   {"devices", ToJson(status.devices)},
                   {"services", status.services},
                   {"services_max", status.services_max},
                   {"dests", status.dests},
                   {"dests_max", status.dests_max},
                   {"conns", status.conns},
                   {"conns_planned", status.conns_planned},
                   {"conn_slots", status.conn_slots},
                   {"templates", status.templates},
                   {"embryonic", status.embryonic},
                   {"embryonic_max", status.embryonic_max},
                   {"hash_tables", status.hash_tables},
                   {"hash_tables_max", status.hash_tables_max},
                   {"maglev_tables", status.maglev_tables},
                   {"maglev_tables_max", status.maglev_tables_max},
                   {"marks", status.marks},
                   {"marks_max", status.marks_max},
                   {"conn_bytes", status.conn_bytes},
                   {"memory_bytes", status.memory_bytes},
                   {"count_batch", status.count_batch},
                   {"cpus", status.cpus},
                   {"timer_running", status.timer_running},
                   {"rx_packets", status.rx_packets},
                   {"endings", ToJson(status.endings)}});
}

std::string DecapJson(const DecapView& view) {
  return Document({{"v", 1},
                   {"instance", view.instance},
                   {"pin_path", view.pin_path},
                   {"devices", ToJson(view.devices)},
                   {"from", ToJson(view.from)},
                   {"vips", ToJson(view.vips)},
                   {"tun_port", view.tun_port},
                   {"rx_packets", view.rx_packets},
                   {"endings", ToJson(view.endings)}});
}

}  // namespace xlvs
