// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/delivery.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace xlvs {
namespace {

constexpr uint16_t kPriorityBits = 0xf000;

const char* NameOf(Family family) {
  return family == Family::kV4 ? "v4" : "v6";
}

std::vector<Forwarding> AllTunnels() {
  std::vector<Forwarding> tunnels;
  for (const TunnelType type :
       {TunnelType::kIpip, TunnelType::kGue, TunnelType::kGre})
    for (const TunnelChecksum checksum :
         {TunnelChecksum::kNone, TunnelChecksum::kFull,
          TunnelChecksum::kRemote}) {
      if (type == TunnelType::kIpip && checksum != TunnelChecksum::kNone)
        continue;
      const uint16_t port = type == TunnelType::kGue ? kGuePort : 0;
      tunnels.push_back(
          {.method = Method::kTunnel, .tunnel = {type, port, checksum}});
    }
  return tunnels;
}

TunnelHeader::Type HeaderType(TunnelType type) {
  switch (type) {
    case TunnelType::kGue:
      return TunnelHeader::kGue;
    case TunnelType::kGre:
      return TunnelHeader::kGre;
    default:
      return TunnelHeader::kIpip;
  }
}

// RFC 6040's normal mode, but for CE, as the kernel has it.
uint8_t OuterTos(uint8_t inner) {
  return (inner & 3) == 3 ? (inner & ~3) | 2 : inner;
}

// A packet with one hop less.
Bytes OneHopOn(std::span<const uint8_t> packet) {
  Bytes on(packet.begin(), packet.end());
  if (packet[0] >> 4 == 6) {
    on[7]--;
    return on;
  }
  on[8]--;
  // RFC 1624, equation 3; the header's checksum may be wrong, and stays so.
  uint32_t sum = static_cast<uint16_t>(~Get16(on, 10)) + 0xfeffU;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  Set16(on, 10, ~sum);
  return on;
}

// The header around `inner`, which is a hop on already. `out` tells what may be
// anything.
TunnelHeader HeaderAround(const Delivery& delivery,
                          std::span<const uint8_t> inner,
                          std::span<const uint8_t> out) {
  const bool inner_v4 = delivery.client == Family::kV4;
  const bool outer_v4 = delivery.dest == Family::kV4;
  const Tunnel& tunnel = delivery.forwarding.tunnel;
  const uint8_t inner_tos = inner_v4 ? inner[1] : Get16(inner, 0) >> 4 & 0xff;
  TunnelHeader header = {
      .type = HeaderType(tunnel.type),
      .saddr = BookOf(delivery.dest).director,
      .daddr = delivery.dest1().addr,
      .tos = OuterTos(inner_tos),
      .ttl = inner[inner_v4 ? 8 : 7],
      .dont_fragment = inner_v4 && (Get16(inner, 6) & 0x4000) != 0,
      .dport = tunnel.port,
      .with_check = tunnel.checksum != TunnelChecksum::kNone};
  if (outer_v4 && !header.dont_fragment) header.id = IpIdOf(out);
  const std::span<const uint8_t> outer = L3Of(out);
  const size_t l4 = outer_v4 ? 20 : 40;
  if (header.type == TunnelHeader::kGue && outer.size() > l4 + 2) {
    header.sport = Get16(outer, l4);
    EXPECT_GE(header.sport, 32768) << "GUE's source port";
    EXPECT_LE(header.sport, 60999) << "GUE's source port";
  }
  return header;
}

Frame Onto(Frame frame, const Hop& hop, const std::vector<VlanTag>& in) {
  frame.dmac = hop.dmac;
  frame.smac = hop.smac;
  frame.vlans = TagsOf(hop, in);
  return frame;
}

}  // namespace

Endpoint Delivery::dest1() const {
  Endpoint endpoint = BookOf(dest).dest1;
  if (!is_masq()) endpoint.port = service1().port;
  return endpoint;
}

size_t Delivery::OverheadBytes() const {
  if (!is_tunnel()) return 0;
  const size_t outer = dest == Family::kV4 ? 20 : 40;
  const bool with_check = forwarding.tunnel.checksum != TunnelChecksum::kNone;
  switch (forwarding.tunnel.type) {
    case TunnelType::kGue:
      return outer + 8 + 4;
    case TunnelType::kGre:
      return outer + (with_check ? 8 : 4);
    default:
      return outer;
  }
}

std::string NameOf(const Delivery& delivery) {
  const Tunnel& tunnel = delivery.forwarding.tunnel;
  const std::string protocol(Name(delivery.protocol));
  if (delivery.is_masq())
    return absl::StrCat("masq ", NameOf(delivery.client), " ", protocol);
  if (!delivery.is_tunnel())
    return absl::StrCat("route ", NameOf(delivery.client), " ", protocol);
  const char* const kChecksums[] = {"", " csum", " remcsum"};
  return absl::StrCat(std::string(Name(tunnel.type)),
                      kChecksums[static_cast<int>(tunnel.checksum)], " ",
                      NameOf(delivery.client), " in ", NameOf(delivery.dest),
                      " ", protocol);
}

const std::vector<Delivery>& AllDeliveries() {
  static const std::vector<Delivery> deliveries = [] {
    std::vector<Delivery> all;
    for (const Protocol protocol :
         {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
      for (const Family client : kFamilies) {
        for (const Method method : {Method::kMasq, Method::kRoute})
          all.push_back({{method, {}}, client, client, protocol});
        for (const Family dest : kFamilies)
          for (const Forwarding& tunnel : AllTunnels())
            all.push_back({tunnel, client, dest, protocol});
      }
    return all;
  }();
  return deliveries;
}

std::vector<Delivery> DeliveriesOf(Protocol protocol) {
  std::vector<Delivery> deliveries = AllDeliveries();
  std::erase_if(deliveries,
                [=](const Delivery& d) { return d.protocol != protocol; });
  return deliveries;
}

std::vector<Delivery> FewDeliveries(Family client, Protocol protocol) {
  std::vector<Delivery> deliveries = DeliveriesOf(protocol);
  std::erase_if(deliveries, [=](const Delivery& d) {
    return d.client != client ||
           d.forwarding.tunnel.checksum == TunnelChecksum::kRemote;
  });
  return deliveries;
}

uint32_t Configure(Bench& bench, const Delivery& delivery, const Hop& hop) {
  const ServiceKey service =
      bench.AddService(delivery.service1(), delivery.protocol);
  const uint32_t dest = bench.AddDest(service, delivery.dest1(), hop,
                                      /*weight=*/1, delivery.forwarding);
  if (delivery.is_tunnel())
    bench.SetTunnelSource(dest, BookOf(delivery.dest).director);
  return dest;
}

Frame FirstPacket(const Delivery& delivery, Endpoint client) {
  switch (delivery.protocol) {
    case Protocol::kTcp:
      return TcpFrame(client, delivery.service1(), kSyn);
    case Protocol::kUdp:
      return UdpFrame(client, delivery.service1(), 9);
    default:
      return SctpFrame(client, delivery.service1(),
                       {{.type = kSctpInit, .value = Pattern(16)}});
  }
}

Frame FirstPacket(const Delivery& delivery) {
  return FirstPacket(delivery, delivery.client1());
}

namespace {

Frame DataPacket(Protocol protocol, Endpoint from, Endpoint to,
                 size_t payload) {
  switch (protocol) {
    case Protocol::kTcp:
      return TcpFrame(from, to, kAck, payload);
    case Protocol::kUdp:
      return UdpFrame(from, to, payload);
    default:
      return SctpFrame(from, to,
                       {{.type = kSctpData, .value = Pattern(payload)}});
  }
}

}  // namespace

Frame NextPacket(const Delivery& delivery, size_t payload) {
  return DataPacket(delivery.protocol, delivery.client1(), delivery.service1(),
                    payload);
}

Frame ReplyPacket(const Delivery& delivery, size_t payload) {
  Frame frame = DataPacket(delivery.protocol, delivery.dest1(),
                           delivery.client1(), payload);
  frame.smac = kDest1Mac;
  frame.dmac = kInnerMac;
  return frame;
}

std::vector<VlanTag> TagsOf(const Hop& hop, const std::vector<VlanTag>& in) {
  std::vector<VlanTag> tags = hop.vlans;
  for (size_t i = 0; i < std::min(tags.size(), in.size()); ++i)
    tags[i].tci |= in[i].tci & kPriorityBits;
  return tags;
}

Bytes DeliveredBytes(const Delivery& delivery, std::span<const uint8_t> in,
                     const Hop& hop, std::span<const uint8_t> out) {
  const std::vector<VlanTag> tags = ReadEthernet(in).value().vlans;
  Bytes packet = OneHopOn(L3Of(in));
  const std::span<const uint8_t> padding =
      in.subspan(ReadEthernet(in)->bytes + packet.size());
  Frame frame;
  if (delivery.is_tunnel()) {
    frame = InTunnel(packet, HeaderAround(delivery, packet, out));
    packet = BuildL3(frame);
  } else {
    frame.ip.saddr.family = frame.ip.daddr.family = delivery.client;
  }
  Bytes delivered = BuildEthernet(Onto(frame, hop, tags));
  PutAll(delivered, packet);
  PutAll(delivered, padding);
  return delivered;
}

Bytes Delivered(const Delivery& delivery, const Frame& in, const Hop& hop,
                std::span<const uint8_t> out) {
  if (delivery.is_masq())
    return Build(Via(To(in, delivery.dest1()), hop, TagsOf(hop, in.vlans)));
  return DeliveredBytes(delivery, Build(in), hop, out);
}

void ExpectDelivered(Bench& bench, const Delivery& delivery, const Frame& in,
                     const Hop& hop, xlvs_step step) {
  const Outcome outcome = bench.Run(in);
  EXPECT_EQ(StepName(outcome.step), StepName(step));
  ExpectSame(Delivered(delivery, in, hop, outcome.out), outcome.out);
}

void ExpectDeliveredBytes(Bench& bench, const Delivery& delivery,
                          const Bytes& in, const Hop& hop, xlvs_step step) {
  const Outcome outcome = bench.Run(in);
  EXPECT_EQ(StepName(outcome.step), StepName(step));
  ExpectSame(DeliveredBytes(delivery, in, hop, outcome.out), outcome.out);
}

void DeliveryTest::BeginConnected(const Delivery& delivery) {
  Begin(delivery);
  bench.Run(FirstPacket(delivery));
  ASSERT_NE(Conn(), nullptr);
}

}  // namespace xlvs
