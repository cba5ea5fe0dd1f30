// SPDX-License-Identifier: Apache-2.0
//
// The way to a real server by the kernel's routes, of both families, and what
// is handed to the kernel to send: ready but for the neighbour's MAC address,
// with a note before it for the TC program (bpf/emit/handover.h). That the
// program then sends it is for the lab.
//
//   lo   <- packets come in here
//   out0 192.0.2.254/24, 2001:db8:d::fe/64 --- out1
//     dest1       neighbour kDest1Mac
//     dest2       no neighbour known
//     192.0.2.253, 2001:db8:d::fd   neighbour kGatewayMac
//   vlan5 192.0.2.126/26, of 192.0.2.64 to .127: stands for a VLAN device on
//     out0 (which is an entry in xlvs_links; not every kernel can make one)
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

constexpr Mac kOutMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x21};
constexpr Mac kGatewayMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x22};
const Hop kNoHop = {.ifindex = 0, .dmac = {}, .smac = {}, .mtu = 0};

// The note, as bpf/emit/handover.h has it.
struct Note {
  uint64_t secret;
  xlvs_addr gateway;
  uint32_t ifindex;
  uint16_t mtu;  // 0: not to be cut
  uint16_t inner_off;
};
static_assert(sizeof(Note) == 32);

class Handover : public PacketTest {
 protected:
  Handover() {
    SetForwarding("1");
    MustRun(
        "ip -batch - <<'END'\n"
        "link add out0 address 00:00:5e:00:53:21 type veth peer name out1\n"
        "link set out0 up\n"
        "link set out1 up\n"
        "link add vlan5 address 00:00:5e:00:53:21 type veth peer name "
        "vlan5peer\n"
        "link set vlan5 up\n"
        "link set vlan5peer up\n"
        "addr add 192.0.2.254/24 dev out0\n"
        "addr add 192.0.2.126/26 dev vlan5\n"
        "addr add 2001:db8:d::fe/64 dev out0 nodad\n"
        "neigh add 192.0.2.1 lladdr 00:00:5e:00:53:11 dev out0\n"
        "neigh add 2001:db8:d::1 lladdr 00:00:5e:00:53:11 dev out0\n"
        "neigh add 192.0.2.253 lladdr 00:00:5e:00:53:22 dev out0\n"
        "neigh add 2001:db8:d::fd lladdr 00:00:5e:00:53:22 dev out0\n"
        "neigh add 192.0.2.65 lladdr 00:00:5e:00:53:12 dev vlan5\n"
        "END");
    out_ = if_nametoindex("out0");
    vlan_ = if_nametoindex("vlan5");
  }
  ~Handover() override {
    MustRun("ip link del out0; ip link del vlan5");
    SetForwarding("0");
  }
  static void SetForwarding(const char* value) {
    std::ofstream("/proc/sys/net/ipv4/ip_forward") << value;
    std::ofstream("/proc/sys/net/ipv6/conf/all/forwarding") << value;
  }

  // A director that has not asked the kernel for anything yet. `dest`: another
  // real server than the book's first.
  void Begin(const Delivery& delivery,
             xlvs_handover_level handover = XLVS_HANDOVER_cut) {
    bench.Reset();
    bench.SetNow(kStart);
    bench.AllowDevice(out_);
    bench.control[0].handover = handover;
    dest_ = Configure(bench, delivery, kNoHop);
    bench.dests[dest_].tunnel_saddr = {};
  }
  void MoveDest(const Addr& addr) {
    bench.dests[dest_].daddr = addr.family == Family::kV4
                                   ? IpAddr::FromV4(addr.v4()).raw()
                                   : std::bit_cast<xlvs_addr>(addr.byte);
  }
  void LinkVlanDevice() {
    const UniqueFd links = Must(bench.instance().OpenPin("links"));
    const xlvs_link link = {.ifindex = out_,
                            .tag = {{.tpid = kEtherTypeVlan, .tci = 5}, {}}};
    ASSERT_EQ(bpf_map_update_elem(links.get(), &vlan_, &link, 0), 0);
  }
  Hop OutHop(const Mac& dmac = kDest1Mac) const {
    return {.ifindex = out_, .dmac = dmac, .smac = kOutMac};
  }

  void ExpectNote(const Outcome& outcome, const Addr& gateway, uint32_t ifindex,
                  uint16_t mtu = 0, uint16_t inner_off = 0) {
    ASSERT_EQ(outcome.metadata.size(), sizeof(Note));
    Note note;
    std::memcpy(&note, outcome.metadata.data(), sizeof(note));
    EXPECT_EQ(note.secret, bench.meta().config.hash_key[0]);
    EXPECT_EQ(IpAddr(note.gateway).ToString(), gateway.ToString());
    EXPECT_EQ(note.ifindex, ifindex);
    EXPECT_EQ(note.mtu, mtu);
    EXPECT_EQ(note.inner_off, inner_off);
  }
  // Ready for the kernel, by `hop`'s MAC addresses (of what was known before).
  void ExpectHandedOver(const Delivery& delivery, const Frame& in,
                        xlvs_step step, const Hop& hop, const Addr& gateway,
                        uint32_t ifindex) {
    const Outcome outcome = bench.Run(in);
    EXPECT_EQ(StepName(outcome.step), StepName(step));
    ExpectSame(Delivered(delivery, in, hop, outcome.out), outcome.out);
    if (delivery.is_masq())
      EXPECT_TRUE(outcome.metadata.empty());
    else
      ExpectNote(outcome, gateway, ifindex);
  }

  uint32_t out_ = 0, vlan_ = 0, dest_ = 0;
};

// Rewritten, but not a hop on.
Frame RewrittenForKernel(const Delivery& delivery, const Frame& in) {
  return To(in, delivery.dest1());
}

TEST_F(Handover, RedirectsByTheKernelsRouteByEveryWay) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (int i = 0; i < 2; ++i)
      ExpectDelivered(bench, delivery, FirstPacket(delivery), OutHop(),
                      XLVS_STEP_redirect_client_to_dest);
    EXPECT_EQ(bench.dests[dest_].nexthop.mtu, 1500u);
    if (!delivery.is_tunnel()) continue;
    // The kernel told where the tunnel begins.
    EXPECT_EQ(IpAddr(bench.dests[dest_].tunnel_saddr).ToString(),
              BookOf(delivery.dest).director.ToString());
  }
}

TEST_F(Handover, ErrorsTakeTheSameWay) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    bench.Run(FirstPacket(delivery));
    const AddressBook& book = BookOf(delivery.client);
    const Frame in =
        IcmpErrorFrame(book.client_router, book.service1.addr,
                       PortUnreachable(delivery.client),
                       BuildL3(UdpFrame(book.service1, book.client1, 9)), 100);
    ExpectDelivered(bench, delivery, in, OutHop(),
                    XLVS_STEP_redirect_error_to_dest);
    MoveDest(BookOf(delivery.dest).dest2.addr);
    bench.dests[dest_].nexthop = {};
    const Outcome outcome = bench.Run(in);
    EXPECT_EQ(StepName(outcome.step), "pass_neighbour");
    ExpectNote(outcome, BookOf(delivery.dest).dest2.addr, out_);
  }
}

// ---- the neighbour is not known

TEST_F(Handover, HandsOverWhereTheNeighbourIsNotKnown) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const std::string address = delivery.dest1().addr.ToString();
    MustRun(absl::StrCat("ip neigh del ", address, " dev out0"));
    for (const bool tagged : {false, true}) {
      Frame in = FirstPacket(delivery);
      if (tagged) in.vlans = {{kEtherTypeVlan, 0x2007}};
      ExpectHandedOver(delivery, in, XLVS_STEP_pass_neighbour, kNoHop,
                       delivery.dest1().addr, out_);
    }
    EXPECT_EQ(bench.dests[dest_].nexthop.ifindex, 0u);
    MustRun(absl::StrCat("ip neigh add ", address,
                         " lladdr 00:00:5e:00:53:11 dev out0"));
    ExpectDelivered(bench, delivery, NextPacket(delivery), OutHop(),
                    XLVS_STEP_redirect_client_to_dest);
  }
}

TEST_F(Handover, LeavesTheRestToTheKernelWhereMasqsNeighbourIsNotKnown) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (!delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const std::string address = delivery.dest1().addr.ToString();
    MustRun(absl::StrCat("ip neigh del ", address, " dev out0"));
    const Frame in = FirstPacket(delivery);
    const Outcome outcome = bench.Run(in);
    EXPECT_EQ(StepName(outcome.step), "pass_neighbour");
    ExpectSame(Build(RewrittenForKernel(delivery, in)), outcome.out);
    EXPECT_TRUE(outcome.metadata.empty());
    MustRun(absl::StrCat("ip neigh add ", address,
                         " lladdr 00:00:5e:00:53:11 dev out0"));
  }
}

TEST_F(Handover, DropsWhereNobodyWouldTakeIt) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kTcp)) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery, XLVS_HANDOVER_none);
    const std::string address = delivery.dest1().addr.ToString();
    MustRun(absl::StrCat("ip neigh del ", address, " dev out0"));
    const Outcome outcome = bench.Run(FirstPacket(delivery));
    EXPECT_EQ(StepName(outcome.step), "drop_neighbour");
    EXPECT_TRUE(outcome.metadata.empty());
    MustRun(absl::StrCat("ip neigh add ", address,
                         " lladdr 00:00:5e:00:53:11 dev out0"));
  }
}

TEST_F(Handover, NamesTheRouterWhereThereIsOne) {
  MustRun(
      "ip -batch - <<'END'\n"
      "route add 192.0.2.1/32 via 192.0.2.253\n"
      "route add 2001:db8:d::1/128 via 2001:db8:d::fd\n"
      "END");
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    ExpectDelivered(bench, delivery, FirstPacket(delivery), OutHop(kGatewayMac),
                    XLVS_STEP_redirect_client_to_dest);
    if (delivery.is_masq()) continue;
    Begin(delivery);
    const Addr& router = BookOf(delivery.dest).dest_router;
    MustRun(absl::StrCat("ip neigh del ", router.ToString(), " dev out0"));
    ExpectHandedOver(delivery, FirstPacket(delivery), XLVS_STEP_pass_neighbour,
                     kNoHop, router, out_);
    MustRun(absl::StrCat("ip neigh add ", router.ToString(),
                         " lladdr 00:00:5e:00:53:22 dev out0"));
  }
}

// ---- it is too large, and may be cut

TEST_F(Handover, HandsOverWhatIsToGoInPieces) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    if (delivery.is_masq() || delivery.client == Family::kV6) continue;
    SCOPED_TRACE(NameOf(delivery));
    // A checksum over the whole can't be had for a piece.
    const Tunnel& tunnel = delivery.forwarding.tunnel;
    const bool can_be_cut = tunnel.type == TunnelType::kIpip ||
                            tunnel.checksum == TunnelChecksum::kNone;
    for (const bool known : {true, false}) {
      Begin(delivery);
      if (known) bench.Run(FirstPacket(delivery));
      Frame in = NextPacket(delivery, 1600);
      in.ip.dont_fragment = false;
      const Outcome outcome = bench.Run(in);
      EXPECT_EQ(StepName(outcome.step),
                can_be_cut ? "pass_too_big" : "drop_too_big");
      if (!can_be_cut) continue;
      ExpectNote(outcome, delivery.dest1().addr, out_, 1500,
                 delivery.OverheadBytes());
      in.ip.options = {1, 1, 1, 1};
      EXPECT_EQ(StepName(bench.Run(in).step), "drop_too_big");
      bench.control[0].handover = XLVS_HANDOVER_send;
      in.ip.options = {};
      EXPECT_EQ(StepName(bench.Run(in).step), "drop_too_big");
    }
  }
}

// ---- the kernel is to confirm it, or to send by a device of its own

TEST_F(Handover, HandsOverOnePacketForEachRealServerEvery32Seconds) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    bench.Run(FirstPacket(delivery));
    int checks = 0;
    for (int second = 0; second < 64; ++second) {
      // Not by the bench, which would keep the next hop fresh.
      bench.clock[0].now_ticks += XLVS_TICKS_PER_SECOND;
      const Frame in = NextPacket(delivery);
      const Outcome outcome = bench.Run(in);
      if (outcome.step != XLVS_STEP_pass_neighbour_check) {
        ExpectSame(Delivered(delivery, in, OutHop(), outcome.out), outcome.out);
        continue;
      }
      ++checks;
      if (delivery.is_masq()) {
        ExpectSame(Build(RewrittenForKernel(delivery, in)), outcome.out);
        continue;
      }
      ExpectSame(Delivered(delivery, in, OutHop(), outcome.out), outcome.out);
      ExpectNote(outcome, delivery.dest1().addr, out_);
    }
    EXPECT_EQ(checks, 2);
  }
}

TEST_F(Handover, HandsOverWhereTheDeviceIsNotOurs) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const UniqueFd devices = Must(bench.instance().OpenPin("devices"));
    bpf_map_delete_elem(devices.get(), &out_);
    // From the route, and from what the dest remembers of it.
    for (int i = 0; i < 2; ++i)
      ExpectHandedOver(delivery, FirstPacket(delivery), XLVS_STEP_pass_route,
                       OutHop(), delivery.dest1().addr, out_);
  }
}

// ---- VLAN devices

TEST_F(Handover, SendsTaggedByTheDeviceBelowAVlanDevice) {
  for (const Delivery& delivery : AllDeliveries()) {
    // In a tunnel the dest's address is in the packet.
    if (delivery.dest == Family::kV6 || delivery.is_tunnel()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    LinkVlanDevice();
    MoveDest(V4(192, 0, 2, 65));
    Hop hop = OutHop(kDest2Mac);
    hop.vlans = {{kEtherTypeVlan, 5}};
    const Frame in = FirstPacket(delivery);
    const Frame want = delivery.is_masq()
                           ? To(in, {V4(192, 0, 2, 65), delivery.dest1().port})
                           : in;
    for (int i = 0; i < 2; ++i)
      ExpectRun(bench, in, XLVS_STEP_redirect_client_to_dest,
                Via(want, hop, hop.vlans));
  }
}

TEST_F(Handover, NamesTheVlanDeviceAndLeavesItsTagToIt) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (delivery.dest == Family::kV6 || delivery.is_tunnel() ||
        delivery.is_masq())
      continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    LinkVlanDevice();
    MoveDest(V4(192, 0, 2, 66));  // no neighbour
    Frame in = FirstPacket(delivery);
    in.vlans = {{kEtherTypeQinq, 3}, {kEtherTypeVlan, 4}};
    ExpectHandedOver(delivery, in, XLVS_STEP_pass_neighbour, kNoHop,
                     V4(192, 0, 2, 66), vlan_);
  }
}

// Where the way is known but the kernel is to send, it is the VLAN device that
// does, which adds the tag itself.
TEST_F(Handover, LeavesTheTagOfAKnownWayToTheVlanDevice) {
  const Delivery delivery = {.forwarding = {Method::kRoute, {}}};
  Begin(delivery);
  LinkVlanDevice();
  MoveDest(V4(192, 0, 2, 65));
  const Hop untagged = OutHop(kDest2Mac);
  Hop tagged = untagged;
  tagged.vlans = {{kEtherTypeVlan, 5}};
  Frame in = FirstPacket(delivery);
  in.vlans = {{kEtherTypeVlan, 0x2003}};
  int checks = 0;
  for (int second = 0; second < 32; ++second) {
    bench.clock[0].now_ticks += XLVS_TICKS_PER_SECOND;
    const Outcome outcome = bench.Run(in);
    const bool check = outcome.step == XLVS_STEP_pass_neighbour_check;
    checks += check;
    ExpectSame(Delivered(delivery, in, check ? untagged : tagged, outcome.out),
               outcome.out);
    if (check) ExpectNote(outcome, V4(192, 0, 2, 65), vlan_);
  }
  EXPECT_EQ(checks, 1);
  const UniqueFd devices = Must(bench.instance().OpenPin("devices"));
  bpf_map_delete_elem(devices.get(), &out_);
  for (int i = 0; i < 2; ++i)
    ExpectHandedOver(delivery, in, XLVS_STEP_pass_route, untagged,
                     V4(192, 0, 2, 65), vlan_);
}

// ---- there is no way

TEST_F(Handover, AnswersHostUnreachableWhereThereIsNoRoute) {
  for (const char* type : {"unreachable", "blackhole", "prohibit"}) {
    SCOPED_TRACE(type);
    MustRun(absl::StrCat("ip route add ", type, " 192.0.2.1/32; ip route add ",
                         type, " 2001:db8:d::1/128"));
    for (const Delivery& delivery : AllDeliveries()) {
      SCOPED_TRACE(NameOf(delivery));
      Begin(delivery);
      for (const Frame& in : {FirstPacket(delivery), NextPacket(delivery)})
        ExpectAnswered(bench, in, XLVS_STEP_tx_icmp_host_unreach,
                       HostUnreachable(delivery.client));
    }
    MustRun("ip route del 192.0.2.1/32; ip route del 2001:db8:d::1/128");
  }
}

}  // namespace
}  // namespace xlvs
