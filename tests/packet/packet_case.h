// SPDX-License-Identifier: Apache-2.0
//
// Rows of packet tests, and what a packet should become.
#ifndef XLVS_TESTS_PACKET_PACKET_CASE_H_
#define XLVS_TESTS_PACKET_PACKET_CASE_H_

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "maps/step.h"
#include "tests/packet/compose.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet.h"

namespace xlvs {

// A test failure that describes both, unless they are equal byte for byte.
void ExpectSame(std::span<const uint8_t> want, std::span<const uint8_t> got);

// Runs the packet and compares its ending and all of what comes out.
void ExpectRun(Bench& bench, const Bytes& in, xlvs_step step, const Bytes& out);
void ExpectRun(Bench& bench, const Frame& in, xlvs_step step, const Frame& out);
// Comes out as it came in.
void ExpectUntouched(Bench& bench, const Bytes& in, xlvs_step step);
void ExpectUntouched(Bench& bench, const Frame& in, xlvs_step step);
// Is answered by an ICMP error of its family. Its IP id may be anything.
void ExpectAnswered(Bench& bench, const Bytes& in, xlvs_step step,
                    const IcmpError& error);
void ExpectAnswered(Bench& bench, const Frame& in, xlvs_step step,
                    const IcmpError& error);

constexpr IcmpError kPortUnreachable = PortUnreachable(Family::kV4);
constexpr IcmpError kHostUnreachable = HostUnreachable(Family::kV4);
constexpr IcmpError kTimeExceeded = TimeExceeded(Family::kV4);
constexpr IcmpError FragNeeded(uint16_t mtu) {
  return TooBig(Family::kV4, mtu);
}

// A client's packet with the dest as its destination.
Frame To(Frame frame, Endpoint dest);
// A dest's packet with the service as its source.
Frame From(Frame frame, Endpoint service);
// One hop on: TTL or hop limit, MAC addresses, VLAN tags.
Frame Via(Frame frame, Mac dmac, Mac smac, std::vector<VlanTag> vlans = {});
Frame Via(Frame frame, const Hop& hop, std::vector<VlanTag> vlans = {});
// Back the way that the client's frame came.
Frame ViaRouter(Frame frame, std::vector<VlanTag> vlans = {});

// A packet is sent to a director that `setup` has configured.
struct PacketCase {
  std::string name;  // a sentence
  std::function<void(Bench&)> setup;
  Bytes in;
  xlvs_step step = XLVS_STEP_max;
  Bytes out;  // empty: as it came in
};
void RunCase(Bench& bench, const PacketCase& row);

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_PACKET_CASE_H_
