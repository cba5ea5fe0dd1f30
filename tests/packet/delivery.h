// SPDX-License-Identifier: Apache-2.0
//
// Every way from a client to a real server: methods, tunnels, families,
// protocols; and what a packet looks like when it is on that way. What is right
// is built anew from the packet's fields, as IPVS (ip_vs_xmit.c) would.
#ifndef XLVS_TESTS_PACKET_DELIVERY_H_
#define XLVS_TESTS_PACKET_DELIVERY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/packet/compose.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {

constexpr uint16_t kGuePort = 6080;

struct Delivery {
  Forwarding forwarding = {};
  Family client = Family::kV4;  // and of the service
  Family dest = Family::kV4;    // another one only in a tunnel
  Protocol protocol = Protocol::kTcp;

  bool is_tunnel() const { return forwarding.method == Method::kTunnel; }
  bool is_masq() const { return forwarding.method == Method::kMasq; }
  Endpoint client1() const { return BookOf(client).client1; }
  Endpoint client2() const { return BookOf(client).client2; }
  Endpoint service1() const { return BookOf(client).service1; }
  // Only Masq can have another port than the service.
  Endpoint dest1() const;
  // What the tunnel adds.
  size_t OverheadBytes() const;
};

// "gue csum v6 in v4 udp".
std::string NameOf(const Delivery& delivery);

// Of one protocol, or all.
const std::vector<Delivery>& AllDeliveries();
std::vector<Delivery> DeliveriesOf(Protocol protocol);
// With Masq, or one kind of Route and Tunnel each, where more would be the
// same.
std::vector<Delivery> FewDeliveries(Family client,
                                    Protocol protocol = Protocol::kTcp);

// A director with service1 and dest1 by this way. Returns the dest's id.
uint32_t Configure(Bench& bench, const Delivery& delivery,
                   const Hop& hop = kHop1);

// A director with one connection of client1, by one way after the other.
class DeliveryTest : public PacketTest {
 protected:
  void Begin(const Delivery& delivery) {
    bench.Reset();
    bench.SetNow(kStart);
    delivery_ = delivery;
    dest_ = Configure(bench, delivery);
  }
  void BeginConnected(const Delivery& delivery);
  xlvs_conn* Conn() {
    return bench.Find(delivery_.client1(), delivery_.service1(),
                      delivery_.protocol);
  }

  Delivery delivery_;
  uint32_t dest_ = 0;
};

// ---- packets of a connection from client1, or another client, to service1

Frame FirstPacket(const Delivery& delivery, Endpoint client);
Frame FirstPacket(const Delivery& delivery);
// Of an established one.
Frame NextPacket(const Delivery& delivery, size_t payload = 100);
// From dest1 as it is sent (Masq).
Frame ReplyPacket(const Delivery& delivery, size_t payload = 100);

// ---- what comes out

// `in` as `delivery` sends it on. What the director chooses freely (IP ids,
// GUE's source port) is taken from `out`, what came out, and checked.
Bytes Delivered(const Delivery& delivery, const Frame& in, const Hop& hop,
                std::span<const uint8_t> out);
// The same of a packet that is no Frame; not by Masq.
Bytes DeliveredBytes(const Delivery& delivery, std::span<const uint8_t> in,
                     const Hop& hop, std::span<const uint8_t> out);

// Runs it and compares all of it.
void ExpectDelivered(Bench& bench, const Delivery& delivery, const Frame& in,
                     const Hop& hop = kHop1,
                     xlvs_step step = XLVS_STEP_tx_client_to_dest);
void ExpectDeliveredBytes(Bench& bench, const Delivery& delivery,
                          const Bytes& in, const Hop& hop = kHop1,
                          xlvs_step step = XLVS_STEP_tx_client_to_dest);

// The tags of `hop`, each with the priority bits of the packet's in its place.
std::vector<VlanTag> TagsOf(const Hop& hop, const std::vector<VlanTag>& in);

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_DELIVERY_H_
