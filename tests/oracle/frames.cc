// SPDX-License-Identifier: Apache-2.0
//
// Prints packets that tests/packet/ builds, as JSON: for each a name, its
// frames in hex (several if it is cut), and in `spec` what it is meant to be:
// the fields that somebody chose, none that follows from others (lengths, next
// protocols, checksums, padding). oracle_test.py builds them from that again.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tests/packet/compose.h"
#include "tests/packet/packet.h"

namespace xlvs {
namespace {

using Json = nlohmann::json;

std::string Hex(std::span<const uint8_t> bytes) {
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// A packet and what it is meant to be.
struct Meant {
  Frame frame;
  Json spec;
};

// ---- headers by their fields

struct MeantExtension {
  Extension extension;
  Json spec;
};

MeantExtension RouterAlert() {
  return {HopByHopOptions({5, 2, 0, 0}), {{"type", "hop_by_hop_router_alert"}}};
}

// An option that nobody knows, so that any length of padding occurs.
MeantExtension UnknownDestOption(uint8_t bytes) {
  Bytes option = {0x3e, bytes};
  PutAll(option, Pattern(bytes));
  return {DestOptions(option),
          {{"type", "dest_options"},
           {"option", 0x3e},
           {"data", Hex(Pattern(bytes))}}};
}

MeantExtension RoutingThrough(const Addr& router) {
  Bytes data(4, 0);
  PutAll(data, router.wire());
  return {Routing(0, 0, data),
          {{"type", "routing"}, {"address", router.ToString()}}};
}

MeantExtension Authenticated() {
  return {Authentication(0x01020304, 5, Pattern(12)),
          {{"type", "authentication"},
           {"spi", 0x01020304},
           {"seq", 5},
           {"icv", Hex(Pattern(12))}}};
}

MeantExtension AtomicFragment() {
  return {FragmentHeader(0, false, 77),
          {{"type", "fragment"}, {"offset", 0}, {"more", 0}, {"id", 77}}};
}

struct MeantChunk {
  SctpChunk chunk;
  Json spec;
};

MeantChunk Init() {
  SctpChunk chunk = {.type = kSctpInit};
  Put32(chunk.value, 0x11223344);
  Put32(chunk.value, 65536);
  Put16(chunk.value, 10);
  Put16(chunk.value, 20);
  Put32(chunk.value, 0x55667788);
  return {chunk,
          {{"type", "init"},
           {"init_tag", 0x11223344},
           {"a_rwnd", 65536},
           {"n_out_streams", 10},
           {"n_in_streams", 20},
           {"init_tsn", 0x55667788}}};
}

MeantChunk Data(size_t bytes) {
  SctpChunk chunk = {.type = kSctpData, .flags = 3};
  Put32(chunk.value, 0x01020304);
  Put16(chunk.value, 5);
  Put16(chunk.value, 6);
  Put32(chunk.value, 7);
  PutAll(chunk.value, Pattern(bytes));
  return {chunk,
          {{"type", "data"},
           {"beginning", 1},
           {"ending", 1},
           {"tsn", 0x01020304},
           {"stream_id", 5},
           {"stream_seq", 6},
           {"proto_id", 7},
           {"data", Hex(Pattern(bytes))}}};
}

MeantChunk Shutdown() {
  SctpChunk chunk = {.type = kSctpShutdown};
  Put32(chunk.value, 0x99aabbcc);
  return {chunk, {{"type", "shutdown"}, {"cumul_tsn_ack", 0x99aabbcc}}};
}

MeantChunk CookieAck() {
  return {{.type = kSctpCookieAck}, {{"type", "cookie_ack"}}};
}

// With the T bit: the tag is the peer's.
MeantChunk Abort() {
  return {{.type = kSctpAbort, .flags = 1}, {{"type", "abort"}, {"TCB", 1}}};
}

// ---- packets

std::string MacText(const Mac& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

Json EthernetSpec(const Frame& frame) {
  Json tags = Json::array();
  for (const VlanTag& tag : frame.vlans)
    tags.push_back({{"tpid", tag.tpid}, {"tci", tag.tci}});
  return {{"dmac", MacText(frame.dmac)},
          {"smac", MacText(frame.smac)},
          {"vlans", tags},
          {"padding", Hex(frame.padding)}};
}

// Options and extension headers are added by who knows what they mean.
Json IpSpec(const Ip& ip) {
  Json spec = {{"version", FamilyOf(ip) == Family::kV4 ? 4 : 6},
               {"saddr", ip.saddr.ToString()},
               {"daddr", ip.daddr.ToString()},
               {"tos", ip.tos},
               {"ttl", ip.ttl}};
  if (FamilyOf(ip) == Family::kV4) {
    spec["id"] = ip.id;
    spec["dont_fragment"] = ip.dont_fragment;
  } else {
    spec["flow_label"] = ip.flow_label;
  }
  return spec;
}

// Of a packet whose L4 is `l4`.
Json PacketSpec(const Frame& frame, const Json& l4) {
  return {{"ethernet", EthernetSpec(frame)},
          {"ip", IpSpec(frame.ip)},
          {"l4", l4},
          {"payload", Hex(frame.payload)}};
}

Json PortsSpec(const Frame& frame, const char* type) {
  return {{"type", type}, {"sport", frame.sport}, {"dport", frame.dport}};
}

Meant MeantTcp(Frame frame) {
  Json l4 = PortsSpec(frame, "tcp");
  l4["seq"] = frame.tcp.seq;
  l4["ack"] = frame.tcp.ack;
  l4["flags"] = frame.tcp.flags;
  l4["window"] = frame.tcp.window;
  l4["urgent"] = frame.tcp.urgent;
  return {frame, PacketSpec(frame, l4)};
}

Meant MeantTcpWithOptions(Frame frame) {
  frame.tcp.options = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0,
                       0, 1, 0,    0,    0, 2, 1, 3,  3, 7};
  Meant meant = MeantTcp(frame);
  const auto option = [](const char* name, Json value) {
    return Json::array({name, std::move(value)});
  };
  meant.spec["l4"]["options"] =
      Json::array({option("MSS", 1460), option("SAckOK", ""),
                   option("Timestamp", Json::array({1, 2})),
                   option("NOP", nullptr), option("WScale", 7)});
  return meant;
}

Meant MeantUdp(Frame frame, bool with_check = true) {
  frame.udp_without_check = !with_check;
  Json l4 = PortsSpec(frame, "udp");
  l4["with_check"] = with_check;
  return {frame, PacketSpec(frame, l4)};
}

Meant MeantSctp(Endpoint from, Endpoint to,
                const std::vector<MeantChunk>& chunks) {
  Frame frame = SctpFrame(from, to, {});
  Json l4 = PortsSpec(frame, "sctp");
  l4["tag"] = frame.sctp.tag;
  l4["chunks"] = Json::array();
  for (const MeantChunk& chunk : chunks) {
    frame.sctp.chunks.push_back(chunk.chunk);
    l4["chunks"].push_back(chunk.spec);
  }
  return {frame, PacketSpec(frame, l4)};
}

Meant MeantEcho(const Addr& from, const Addr& to, size_t payload) {
  const Frame frame = EchoFrame(from, to, 0x4321, 9, payload);
  return {frame,
          PacketSpec(frame,
                     {{"type", "echo_request"}, {"id", 0x4321}, {"seq", 9}})};
}

// What an ICMP error says, in both families.
enum class Trouble { kPort, kHost, kTtl, kTooBig };

Json TroubleSpec(Trouble trouble, uint32_t mtu) {
  switch (trouble) {
    case Trouble::kPort:
      return {{"type", "port_unreachable"}};
    case Trouble::kHost:
      return {{"type", "host_unreachable"}};
    case Trouble::kTtl:
      return {{"type", "ttl_exceeded"}};
    case Trouble::kTooBig:
      return {{"type", "too_big"}, {"mtu", mtu}};
  }
  return {};
}

IcmpError ErrorOf(Trouble trouble, Family family, uint32_t mtu) {
  switch (trouble) {
    case Trouble::kPort:
      return PortUnreachable(family);
    case Trouble::kHost:
      return HostUnreachable(family);
    case Trouble::kTtl:
      return TimeExceeded(family);
    case Trouble::kTooBig:
      return TooBig(family, mtu);
  }
  return {};
}

constexpr size_t kAll = 0xffff;

Meant MeantError(const Addr& from, const Addr& to, Trouble trouble,
                 const Meant& about, size_t quote_bytes) {
  constexpr uint32_t kMtu = 1400;
  IcmpError error = ErrorOf(trouble, from.family, kMtu);
  error.tos = from.family == Family::kV4 ? 0xc0 : 0;
  const Frame frame =
      IcmpErrorFrame(from, to, error, BuildL3(about.frame), quote_bytes);
  Json spec = PacketSpec(frame, TroubleSpec(trouble, kMtu));
  spec.erase("payload");
  spec["inner"] = about.spec;
  spec["inner_bytes"] = quote_bytes;
  return {frame, spec};
}

Meant MeantTunnel(const Meant& inner, const TunnelHeader& tunnel) {
  const Frame frame = InTunnel(inner.frame, tunnel);
  Json l4;
  switch (tunnel.type) {
    case TunnelHeader::kIpip:
      l4 = {{"type", "ipip"}};
      break;
    case TunnelHeader::kGue:
      l4 = PortsSpec(frame, "gue");
      break;
    case TunnelHeader::kGre:
      l4 = {{"type", "gre"}};
      break;
  }
  l4["with_check"] = tunnel.with_check;
  Json spec = PacketSpec(frame, l4);
  spec.erase("payload");
  spec["inner"] = inner.spec;
  spec["inner_bytes"] = kAll;
  return {frame, spec};
}

Meant Extended(Meant meant, const std::vector<MeantExtension>& extensions) {
  for (const MeantExtension& extension : extensions) {
    meant.frame.ip.extensions.push_back(extension.extension);
    meant.spec["ip"]["extensions"].push_back(extension.spec);
  }
  return meant;
}

Meant Tagged(Meant meant, std::vector<VlanTag> vlans) {
  meant.frame.vlans = std::move(vlans);
  meant.spec["ethernet"] = EthernetSpec(meant.frame);
  return meant;
}

// ---- the table

struct Row {
  std::string name;
  std::vector<Bytes> frames;
  Json spec;
};

Row WholeRow(const std::string& name, const Meant& meant) {
  return {name, {Build(meant.frame)}, meant.spec};
}

Row FragmentsRow(const std::string& name, const Meant& meant,
                 const std::vector<size_t>& sizes) {
  Json spec = meant.spec;
  spec["fragments"] = {{"sizes", sizes}, {"id", kFragmentId}};
  return {name, Fragments(meant.frame, sizes), spec};
}

struct Named {
  std::string name;
  Meant meant;
};

// A packet of every protocol, between a client and a service.
std::vector<Named> Protocols(Family family) {
  const AddressBook& book = BookOf(family);
  const auto [client, service] = std::pair(book.client1, book.service1);
  const Meant udp = MeantUdp(UdpFrame(service, client, 33));
  const Meant tcp = MeantTcp(TcpFrame(service, client, kAck, 33));
  const Meant sctp = MeantSctp(service, client, {Data(33)});
  // As IPv4 hosts must at least: the header and 8 bytes.
  const size_t least = (family == Family::kV4 ? 20 : 40) + 8;
  const auto error = [&](Trouble trouble, const Meant& about, size_t bytes) {
    return MeantError(book.client_router, service.addr, trouble, about, bytes);
  };
  return {
      {"TCP", MeantTcp(TcpFrame(client, service, kSyn | kPsh, 33))},
      {"TCP with options",
       MeantTcpWithOptions(TcpFrame(client, service, kSyn))},
      {"UDP", MeantUdp(UdpFrame(client, service, 33))},
      {"UDP without checksum", MeantUdp(UdpFrame(client, service, 33), false)},
      {"SCTP INIT", MeantSctp(client, service, {Init()})},
      {"SCTP DATA", MeantSctp(client, service, {Data(33)})},
      {"SCTP chunks",
       MeantSctp(client, service, {CookieAck(), Data(4), Data(1), Shutdown()})},
      {"SCTP ABORT", MeantSctp(client, service, {Abort()})},
      {"echo", MeantEcho(client.addr, service.addr, 33)},
      {"port unreachable", error(Trouble::kPort, udp, kAll)},
      {"port unreachable, short quote", error(Trouble::kPort, udp, least)},
      {"host unreachable", error(Trouble::kHost, tcp, kAll)},
      {"host unreachable, short quote", error(Trouble::kHost, tcp, least)},
      {"TTL exceeded", error(Trouble::kTtl, sctp, kAll)},
      {"TTL exceeded, odd quote", error(Trouble::kTtl, sctp, least + 1)},
      {"too big", error(Trouble::kTooBig, tcp, kAll)},
      {"too big, short quote", error(Trouble::kTooBig, tcp, least)},
  };
}

constexpr VlanTag kVlan = {kEtherTypeVlan, 0xa064},
                  kQinq = {kEtherTypeQinq, 0x7fff};

void AddShapes(std::vector<Row>& rows, const std::string& name,
               const Meant& meant) {
  rows.push_back(WholeRow(name, meant));
  rows.push_back(WholeRow(name + ", VLAN", Tagged(meant, {kVlan})));
  rows.push_back(WholeRow(name + ", QinQ", Tagged(meant, {kQinq, kVlan})));

  Meant other = meant;
  other.frame.ip.tos = 0xfd;
  other.frame.ip.ttl = 255;
  other.frame.ip.id = 0xffff;
  other.frame.ip.dont_fragment = false;
  other.frame.ip.flow_label = 0xfffff;
  other.frame.padding = Pattern(13);
  other.spec["ip"] = IpSpec(other.frame.ip);
  other.spec["ethernet"] = EthernetSpec(other.frame);
  rows.push_back(WholeRow(name + ", other IP fields and padding", other));
}

void AddFragments(std::vector<Row>& rows, const std::string& name,
                  const Meant& meant) {
  rows.push_back(FragmentsRow(name + ", 2 fragments", meant, {8}));
  if (BuildL4(meant.frame).size() > 24)
    rows.push_back(FragmentsRow(name + ", 3 fragments, QinQ",
                                Tagged(meant, {kQinq, kVlan}), {16, 8}));
}

void AddOptions(std::vector<Row>& rows, const std::string& name,
                const Meant& meant) {
  struct Options {
    const char* name;
    Bytes bytes;
    std::vector<std::string> spec;
  };
  const Options all[] = {{"NOP", {1, 1, 1, 0}, {"nop", "nop", "nop", "end"}},
                         {"router alert", {0x94, 4, 0, 0}, {"router_alert"}},
                         {"record route",
                          {7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                          {"record_route", "end"}},
                         {"both",
                          {1, 0x94, 4, 0, 0, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0},
                          {"nop", "router_alert", "record_route"}}};
  for (const Options& options : all) {
    Meant changed = meant;
    changed.frame.ip.options = options.bytes;
    changed.spec["ip"]["options"] = options.spec;
    const std::string full = absl::StrCat(name, ", option ", options.name);
    rows.push_back(WholeRow(full, changed));
    rows.push_back(FragmentsRow(full + ", 2 fragments", changed, {8}));
  }
}

void AddExtensions(std::vector<Row>& rows, const std::string& name,
                   const Meant& meant) {
  const Addr router = kBookV6.client_router;
  struct Extensions {
    const char* name;
    std::vector<MeantExtension> list;
  };
  std::vector<Extensions> all = {
      {"hop by hop", {RouterAlert()}},
      {"destination options", {UnknownDestOption(5)}},
      {"routing", {RoutingThrough(router)}},
      {"authentication", {Authenticated()}},
      {"atomic fragment", {AtomicFragment()}},
      {"hop by hop and routing", {RouterAlert(), RoutingThrough(router)}},
      {"all extensions",
       {RouterAlert(), UnknownDestOption(4), RoutingThrough(router),
        AtomicFragment(), Authenticated(), UnknownDestOption(9)}}};
  for (const Extensions& extensions : all) {
    const Meant changed = Extended(meant, extensions.list);
    const std::string full = absl::StrCat(name, ", ", extensions.name);
    rows.push_back(WholeRow(full, changed));
    rows.push_back(WholeRow(full + ", VLAN", Tagged(changed, {kVlan})));
  }
  rows.push_back(FragmentsRow(name + ", hop by hop and routing, 2 fragments",
                              Extended(meant, all[5].list), {8}));
  rows.push_back(FragmentsRow(name + ", destination options, 2 fragments",
                              Extended(meant, all[1].list), {8}));
}

struct NamedTunnel {
  const char* name;
  TunnelHeader::Type type;
  bool with_check;
};
constexpr NamedTunnel kTunnels[] = {
    {"IPIP", TunnelHeader::kIpip, false},
    {"GUE", TunnelHeader::kGue, false},
    {"GUE with checksum", TunnelHeader::kGue, true},
    {"GRE", TunnelHeader::kGre, false},
    {"GRE with checksum", TunnelHeader::kGre, true},
};

void AddTunnels(std::vector<Row>& rows, const std::string& name,
                const Meant& inner) {
  for (const Family family : kFamilies)
    for (const NamedTunnel& tunnel : kTunnels) {
      const AddressBook& book = BookOf(family);
      const Meant meant =
          MeantTunnel(inner, {.type = tunnel.type,
                              .saddr = book.director,
                              .daddr = book.dest1.addr,
                              .tos = 0xb8,
                              .ttl = 63,
                              .dont_fragment = !tunnel.with_check,
                              .id = 0x7788,
                              .sport = 0xc0de,
                              .dport = 6080,
                              .with_check = tunnel.with_check});
      const std::string full =
          absl::StrCat(name, " in ", tunnel.name, " over ",
                       family == Family::kV4 ? "IPv4" : "IPv6");
      rows.push_back(WholeRow(full, meant));
      rows.push_back(WholeRow(full + ", VLAN", Tagged(meant, {kVlan})));
      rows.push_back(FragmentsRow(full + ", 2 fragments", meant, {24}));
      const Meant error = MeantError(book.dest_router, book.director,
                                     Trouble::kTooBig, meant, kAll);
      rows.push_back(WholeRow("too big about " + full, error));
      const Meant short_error = MeantError(book.dest_router, book.director,
                                           Trouble::kHost, meant, 61);
      rows.push_back(WholeRow("host unreachable about " + full, short_error));
    }
}

// The director's own answers, whose quotes have a limit.
void AddAnswers(std::vector<Row>& rows, Family family) {
  const AddressBook& book = BookOf(family);
  for (const size_t bytes : {0, 1, 33, 499, 500, 501, 520, 521, 1184, 1185,
                             1191, 1192, 1193, 1400}) {
    Frame frame = UdpFrame(book.client1, book.service1, bytes);
    frame.padding = Pattern(3);
    const Meant about = Tagged(MeantUdp(frame), {kVlan});
    Meant answer =
        Tagged(MeantError(book.service1.addr, book.client1.addr, Trouble::kPort,
                          about, family == Family::kV4 ? 576 - 28 : 1280 - 48),
               {kVlan});
    std::swap(answer.frame.dmac, answer.frame.smac);
    answer.spec["ethernet"] = EthernetSpec(answer.frame);
    IcmpError error = PortUnreachable(family);
    rows.push_back(
        {absl::StrCat("answer to ", bytes, " bytes of UDP over ",
                      family == Family::kV4 ? "IPv4" : "IPv6"),
         {BuildIcmpError(Build(about.frame), error, answer.frame.ip.id)},
         answer.spec});
  }
}

// Every length, so that every padding and every odd byte occurs.
void AddLengths(std::vector<Row>& rows, Family family) {
  const AddressBook& book = BookOf(family);
  const std::string over = family == Family::kV4 ? "IPv4" : "IPv6";
  for (size_t bytes = 0; bytes < 10; ++bytes) {
    const std::string name = absl::StrCat(over, ", ", bytes, " bytes of ");
    const auto [from, to] = std::pair(book.client2, book.service2);
    rows.push_back(
        WholeRow(name + "TCP", MeantTcp(TcpFrame(from, to, kAck, bytes))));
    rows.push_back(WholeRow(name + "UDP", MeantUdp(UdpFrame(from, to, bytes))));
    rows.push_back(WholeRow(name + "SCTP", MeantSctp(from, to, {Data(bytes)})));
    rows.push_back(
        WholeRow(name + "echo", MeantEcho(from.addr, to.addr, bytes)));
    if (family == Family::kV6)
      rows.push_back(WholeRow(name + "destination options",
                              Extended(MeantUdp(UdpFrame(from, to, 1)),
                                       {UnknownDestOption(bytes)})));
  }
}

std::vector<Row> Rows() {
  std::vector<Row> rows;
  for (const Family family : kFamilies) {
    for (const Named& protocol : Protocols(family)) {
      const std::string name = absl::StrCat(
          family == Family::kV4 ? "IPv4 " : "IPv6 ", protocol.name);
      AddShapes(rows, name, protocol.meant);
      AddFragments(rows, name, protocol.meant);
      if (family == Family::kV4)
        AddOptions(rows, name, protocol.meant);
      else
        AddExtensions(rows, name, protocol.meant);
      AddTunnels(rows, name, protocol.meant);
    }
    AddAnswers(rows, family);
    AddLengths(rows, family);
  }
  return rows;
}

void Print() {
  Json all = Json::array();
  for (const Row& row : Rows()) {
    Json frames = Json::array();
    for (const Bytes& frame : row.frames) frames.push_back(Hex(frame));
    all.push_back({{"name", row.name}, {"frames", frames}, {"spec", row.spec}});
  }
  std::cout << all.dump(1) << "\n";
}

}  // namespace
}  // namespace xlvs

int main() {
  xlvs::Print();
}
