// SPDX-License-Identifier: Apache-2.0
//
// The matrix: each way from a client to a real server (delivery.h) with each
// shape that a packet can have, and each shape of a reply back.
#include <gtest/gtest.h>

#include <functional>

#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

using Change = std::function<void(Frame&)>;

struct Shape {
  const char* name;
  Change change;
};

// ---- shapes of one family

// RFC 791, 3.1.
Bytes RecordRoute(size_t bytes) {
  Bytes option = {7, static_cast<uint8_t>(bytes), 4};
  option.resize(bytes);
  return option;
}

// RFC 2113.
const Bytes kRouterAlert = {148, 4, 0, 0};
const Bytes kNops = {1, 1, 1, 1};

Change WithOptions(Bytes options) {
  return [options = std::move(options)](Frame& f) { f.ip.options = options; };
}

Change WithExtensions(std::vector<Extension> extensions) {
  return [extensions = std::move(extensions)](Frame& f) {
    f.ip.extensions = extensions;
  };
}

std::vector<Shape> ShapesV4() {
  Bytes full = RecordRoute(39);
  full.push_back(0);
  return {
      {"one word of options", WithOptions(kNops)},
      {"a router alert", WithOptions(kRouterAlert)},
      {"40 bytes of options", WithOptions(full)},
      {"no DF, an id", [](Frame& f) { f.ip.dont_fragment = false; }},
      {"no DF, id 0",
       [](Frame& f) {
         f.ip.dont_fragment = false;
         f.ip.id = 0;
       }},
      {"a wrong IP checksum", [](Frame& f) { f.ip.check_wrong_by = 0x0101; }},
      {"options in a VLAN",
       [](Frame& f) {
         f.ip.options = kNops;
         f.vlans = {{kEtherTypeVlan, 7}};
       }},
  };
}

std::vector<Shape> ShapesV6() {
  const Extension routing = Routing(2, 0, Bytes(20));
  const Extension authentication = Authentication(5, 6, Pattern(12));
  Extension mobility = DestOptions();
  mobility.type = 135;
  std::vector<Extension> eight(8, DestOptions());
  eight[0] = HopByHopOptions();
  return {
      {"hop-by-hop options", WithExtensions({HopByHopOptions()})},
      {"destination options", WithExtensions({DestOptions(Bytes(30))})},
      {"a routing header", WithExtensions({routing})},
      {"authentication", WithExtensions({authentication})},
      {"a mobility header", WithExtensions({mobility})},
      {"an atomic fragment", WithExtensions({FragmentHeader(0, false, 77)})},
      {"all extensions in their order",
       WithExtensions({HopByHopOptions(), DestOptions(), routing,
                       FragmentHeader(0, false, 1), authentication,
                       DestOptions()})},
      {"eight extensions", WithExtensions(eight)},
      {"a flow label", [](Frame& f) { f.ip.flow_label = 0xabcde; }},
      {"extensions in two VLANs",
       [](Frame& f) {
         f.ip.extensions = {HopByHopOptions()};
         f.vlans = {{kEtherTypeQinq, 7}, {kEtherTypeVlan, 8}};
       }},
  };
}

std::vector<Shape> ShapesOfBoth() {
  std::vector<Shape> shapes = {
      {"plain", [](Frame&) {}},
      {"the last hop but one", [](Frame& f) { f.ip.ttl = 2; }},
      {"the first hop", [](Frame& f) { f.ip.ttl = 255; }},
      {"802.1Q",
       [](Frame& f) {
         f.vlans = {{kEtherTypeVlan, 100}};
       }},
      {"802.1Q with priority",
       [](Frame& f) {
         f.vlans = {{kEtherTypeVlan, 0xb064}};
       }},
      {"a priority tag",
       [](Frame& f) {
         f.vlans = {{kEtherTypeVlan, 0x6000}};
       }},
      {"QinQ",
       [](Frame& f) {
         f.vlans = {{kEtherTypeQinq, 0x5064}, {kEtherTypeVlan, 0x80c8}};
       }},
      {"two 802.1Q tags",
       [](Frame& f) {
         f.vlans = {{kEtherTypeVlan, 100}, {kEtherTypeVlan, 4094}};
       }},
      {"padded to 60 bytes",
       [](Frame& f) {
         f.payload.resize(f.payload.size() / 100);
         f.padding = Pattern(6);
       }},
  };
  return shapes;
}

std::vector<Shape> ShapesOf(Family family) {
  std::vector<Shape> shapes = ShapesOfBoth();
  for (const Shape& shape : family == Family::kV4 ? ShapesV4() : ShapesV6())
    shapes.push_back(shape);
  return shapes;
}

Frame Changed(Frame frame, const Change& change) {
  change(frame);
  return frame;
}

// ---- ways of a frame: what tags it leaves with

const std::vector<Hop>& Hops() {
  static const std::vector<Hop> hops = {
      {.mtu = 9000},
      {.mtu = 9000, .vlans = {{kEtherTypeVlan, 100}}},
      {.mtu = 9000, .vlans = {{kEtherTypeVlan, 4000}}},
      {.mtu = 9000, .vlans = {{kEtherTypeQinq, 100}, {kEtherTypeVlan, 200}}},
  };
  return hops;
}

class Forward : public PacketTest {
 protected:
  // A new director, with a connection of client1.
  void Begin(const Delivery& delivery, const Hop& hop = Hops()[0]) {
    bench.Reset();
    bench.SetNow(kStart);
    dest_ = Configure(bench, delivery, hop);
    ExpectDelivered(bench, delivery, FirstPacket(delivery), hop);
  }
  uint32_t dest_ = 0;
};

// Every packet of these tests, in every shape, by every way.
TEST_F(Forward, EveryShapeByEveryWay) {
  for (const Delivery& delivery : AllDeliveries())
    for (const Hop& hop : Hops()) {
      SCOPED_TRACE(NameOf(delivery));
      Begin(delivery, hop);
      for (const Shape& shape : ShapesOf(delivery.client)) {
        SCOPED_TRACE(shape.name);
        ExpectDelivered(bench, delivery,
                        Changed(NextPacket(delivery), shape.change), hop);
      }
    }
}

// A connection begins with any shape, too (but for a wrong IP checksum).
TEST_F(Forward, AConnectionBeginsInEveryShape) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    uint16_t port = 20000;
    for (const Shape& shape : ShapesOf(delivery.client)) {
      SCOPED_TRACE(shape.name);
      const Endpoint client = {delivery.client2().addr, port++};
      const Frame in = Changed(FirstPacket(delivery, client), shape.change);
      if (in.ip.check_wrong_by != 0) {
        ExpectUntouched(bench, in, XLVS_STEP_drop_ip_checksum);
        continue;
      }
      ExpectDelivered(bench, delivery, in, Hops()[0]);
      EXPECT_NE(bench.Find(client, delivery.service1(), delivery.protocol),
                nullptr);
    }
  }
}

TEST_F(Forward, EverySizeByEveryWay) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    // Around what is summed at once, odd and even, and more than a page.
    for (const size_t payload :
         {0,    1,    2,    3,    4,    7,    11,   12,   31,
          32,   43,   44,   47,   48,   63,   64,   65,   128,
          1000, 1001, 1300, 2500, 2501, 4000, 4001, 8000, 8001}) {
      SCOPED_TRACE(payload);
      ExpectDelivered(bench, delivery, NextPacket(delivery, payload),
                      Hops()[0]);
    }
  }
}

TEST_F(Forward, EveryTosByEveryWay) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (int tos = 0; tos < 256; tos += tos < 8 ? 1 : 31) {
      Frame in = NextPacket(delivery);
      in.ip.tos = tos;
      ExpectDelivered(bench, delivery, in, Hops()[0]);
    }
  }
}

TEST_F(Forward, LeavesAWrongTransportChecksumWrongByAsMuch) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    // The sum of CRCs is none.
    if (delivery.is_masq() && delivery.protocol == Protocol::kSctp) continue;
    Begin(delivery);
    for (const uint16_t wrong_by : {1, 0x1234, 0x8000}) {
      Frame in = NextPacket(delivery, 33);
      in.l4_check_wrong_by = wrong_by;
      ExpectDelivered(bench, delivery, in, Hops()[0]);
    }
  }
}

TEST_F(Forward, LeavesAUdpPacketWithoutChecksumWithoutOne) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    if (delivery.client != Family::kV4) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (const size_t payload : {0, 1, 100}) {
      Frame in = NextPacket(delivery, payload);
      in.udp_without_check = true;
      ExpectDelivered(bench, delivery, in, Hops()[0]);
    }
  }
}

// ---- where it ends

TEST_F(Forward, AnswersTimeExceededByEveryWayInEveryShape) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (const Shape& shape : ShapesOf(delivery.client)) {
      SCOPED_TRACE(shape.name);
      bench.Advance(1);  // so many answers a tick
      for (const uint8_t ttl : {1, 0}) {
        Frame in = Changed(NextPacket(delivery), shape.change);
        in.ip.ttl = ttl;
        ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_ttl_exceeded,
                       TimeExceeded(delivery.client));
      }
    }
  }
}

// So long that the IP packet has `ip_bytes`, if that is a multiple of 4.
Frame OfIpBytes(const Delivery& delivery, size_t ip_bytes) {
  return NextPacket(delivery,
                    ip_bytes - BuildL3(NextPacket(delivery, 0)).size());
}

TEST_F(Forward, KnowsHowMuchFitsByEveryWay) {
  constexpr uint16_t kMtu = 1400;
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    const Hop hop = {.mtu = kMtu};
    Begin(delivery, hop);
    const uint16_t fits = kMtu - delivery.OverheadBytes();
    const IcmpError too_big = TooBig(delivery.client, fits);
    Frame in = OfIpBytes(delivery, fits);
    ASSERT_EQ(BuildL3(in).size(), fits);
    ExpectDelivered(bench, delivery, in, hop);
    in.vlans = {{kEtherTypeVlan, 1}};  // costs nothing
    ExpectDelivered(bench, delivery, in, hop);
    for (const size_t more : {4, 100, 2000, 7000}) {
      bench.Advance(1);
      in = OfIpBytes(delivery, fits + more);
      ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_frag_needed, too_big);
      // What else may be cut needs the kernel's help: handover_test.
      if (delivery.client == Family::kV6 || !delivery.is_masq()) continue;
      in.ip.dont_fragment = false;
      ExpectRun(bench, in, XLVS_STEP_pass_too_big, To(in, delivery.dest1()));
    }
  }
}

TEST_F(Forward, TellsNoMtuBelowWhatEveryLinkHas) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    const uint16_t least = delivery.client == Family::kV4 ? 68 : 1280;
    if (!delivery.is_tunnel()) continue;
    Begin(delivery);
    bench.SetHop(dest_, {.mtu = least});
    ExpectAnswered(bench, NextPacket(delivery, 1400),
                   XLVS_STEP_tx_icmp_frag_needed,
                   TooBig(delivery.client, least));
  }
}

// ---- fragments

TEST_F(Forward, FragmentsByEveryWay) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    for (const bool tagged : {false, true}) {
      Begin(delivery);
      const Hop& hop = Hops()[0];
      Frame whole = NextPacket(delivery, 3000);
      if (tagged) whole.vlans = {{kEtherTypeVlan, 9}};
      const std::vector<Bytes> in = Fragments(whole, {1400, 1400});
      // SCTP's checksum covers all fragments: its port cannot be changed.
      const bool possible =
          !delivery.is_masq() || delivery.protocol != Protocol::kSctp;
      std::vector<Bytes> out = in;
      if (delivery.is_masq())
        out = Fragments(
            Via(To(whole, delivery.dest1()), hop, TagsOf(hop, whole.vlans)),
            {1400, 1400});
      for (size_t i = 0; i < in.size(); ++i) {
        SCOPED_TRACE(i);
        if (!possible)
          ExpectUntouched(bench, in[i], XLVS_STEP_drop_sctp_fragment);
        else if (delivery.is_masq())
          ExpectRun(bench, in[i], XLVS_STEP_tx_client_to_dest, out[i]);
        else
          ExpectDeliveredBytes(bench, delivery, in[i], hop);
      }
    }
  }
}

// ---- ICMP errors from the clients' side

TEST_F(Forward, AnErrorAboutWhatAServiceSentGoesToItsRealServer) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const AddressBook& book = BookOf(delivery.client);
    Frame sent = NextPacket(delivery, 600);
    std::swap(sent.ip.saddr, sent.ip.daddr);
    std::swap(sent.sport, sent.dport);
    const Bytes quoted = BuildL3(sent);
    for (const IcmpError& error :
         {PortUnreachable(delivery.client), TooBig(delivery.client, 1280)}) {
      Frame in = IcmpErrorFrame(book.client_router, book.service1.addr, error,
                                quoted, 500);
      if (!delivery.is_masq()) {
        ExpectDelivered(bench, delivery, in, Hops()[0],
                        XLVS_STEP_tx_error_to_dest);
        continue;
      }
      // The quoted transport checksum stays as it is.
      const Endpoint dest = delivery.dest1();
      Bytes rewritten = BuildL3(From(sent, dest));
      const size_t l4 = delivery.client == Family::kV4 ? 20 : 40;
      const size_t check = delivery.protocol == Protocol::kTcp   ? 16
                           : delivery.protocol == Protocol::kUdp ? 6
                                                                 : 8;
      std::copy_n(quoted.begin() + l4 + check, 4,
                  rewritten.begin() + l4 + check);
      Frame out =
          IcmpErrorFrame(book.client_router, dest.addr, error, rewritten, 500);
      ExpectRun(bench, in, XLVS_STEP_tx_error_to_dest, Via(out, Hops()[0]));
    }
  }
}

// ---- the way back

TEST_F(Forward, RepliesOfMasqInEveryShapeByEveryWayOfTheRequest) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (!delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    for (const Hop& way : Hops()) {
      Begin(delivery);
      // Begun anew, in those tags.
      const Endpoint client = {delivery.client2().addr, 1234};
      Frame first = FirstPacket(delivery, client);
      first.vlans = way.vlans;
      if (!first.vlans.empty()) first.vlans[0].tci |= 0x2000;
      ExpectDelivered(bench, delivery, first, Hops()[0]);
      for (const Shape& shape : ShapesOf(delivery.client)) {
        SCOPED_TRACE(shape.name);
        Frame in = ReplyPacket(delivery);
        in.ip.daddr = client.addr;
        in.dport = client.port;
        shape.change(in);
        ExpectRun(
            bench, in, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(in, delivery.service1()), TagsOf(way, in.vlans)));
      }
    }
  }
}

TEST_F(Forward, RepliesOfMasqOfEverySize) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (!delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (size_t payload = 0; payload <= 8000; payload += payload < 80 ? 1 : 997)
      ExpectRun(
          bench, ReplyPacket(delivery, payload), XLVS_STEP_tx_dest_to_client,
          ViaRouter(From(ReplyPacket(delivery, payload), delivery.service1())));
  }
}

TEST_F(Forward, PassesAReplyThatEndsHereOrDoesNotFitUntouched) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (!delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (const Shape& shape : ShapesOf(delivery.client)) {
      Frame in = Changed(ReplyPacket(delivery), shape.change);
      in.ip.ttl = 1;
      ExpectUntouched(bench, in, XLVS_STEP_pass_reply_ttl);
    }
    const uint16_t way =
        bench.Find(delivery.client1(), delivery.service1(), delivery.protocol)
            ->life.nexthop;
    bench.nexthops[way].mtu = 1400;
    ExpectUntouched(bench, ReplyPacket(delivery, 1400), XLVS_STEP_pass_too_big);
  }
}

// With Route and Tunnel real servers answer clients themselves; if that comes
// by here, it is the kernel's to forward.
TEST_F(Forward, LeavesRepliesOfRouteAndTunnelToTheKernel) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const Frame in = From(ReplyPacket({delivery.forwarding, delivery.client,
                                       delivery.client, delivery.protocol}),
                          delivery.service1());
    ExpectUntouched(bench, in, XLVS_STEP_pass_not_ours);
  }
}

TEST_F(Forward, FragmentsOfMasqsReplies) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (!delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const Frame whole = ReplyPacket(delivery, 3000);
    const std::vector<Bytes> in = Fragments(whole, {1400, 1400});
    const std::vector<Bytes> out =
        Fragments(ViaRouter(From(whole, delivery.service1())), {1400, 1400});
    for (size_t i = 0; i < in.size(); ++i) {
      SCOPED_TRACE(i);
      if (delivery.protocol == Protocol::kSctp)
        ExpectUntouched(bench, in[i], XLVS_STEP_drop_sctp_fragment);
      else
        ExpectRun(bench, in[i], XLVS_STEP_tx_dest_to_client, out[i]);
    }
  }
}

}  // namespace
}  // namespace xlvs
