// SPDX-License-Identifier: Apache-2.0
//
// The packet path's parser, checksums and state machine, compiled natively: the
// sanitizers see every read.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "loader/net/ip_addr.h"
#include "maps/conn.h"
#include "tests/unit/native.h"

namespace xlvs {
namespace {

using Bytes = std::vector<uint8_t>;

// Ethernet, IPv4 from 203.0.113.1 to 198.51.100.1, TCP SYN or UDP, 40001 -> 80.
Bytes Frame(uint8_t protocol) {
  Bytes frame = {0x00, 0x00, 0x5e, 0x00,     0x53, 0x02, 0x00, 0x00, 0x5e, 0x00,
                 0x53, 0x01, 0x08, 0x00,     0x45, 0x00, 0x00, 0x00, 0x12, 0x34,
                 0x40, 0x00, 0x40, protocol, 0x00, 0x00, 203,  0,    113,  1,
                 198,  51,   100,  1,        0x9c, 0x41, 0x00, 0x50};
  frame.resize(14 + 20 + (protocol == IPPROTO_TCP ? 20 : 8) + 6, 0x11);
  if (protocol == IPPROTO_TCP) {
    frame[46] = 0x50;
    frame[47] = 0x02;
  }
  frame[17] = frame.size() - 14;
  return frame;
}

// In a buffer that ends where the packet ends, so that one byte too far is
// seen. Two bytes before it, as drivers do, put the IP header at a multiple of
// four.
xlvs_step Parse(const Bytes& frame, size_t bytes, native_packet* ret) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[2 + bytes]);
  std::memcpy(exact.get() + 2, frame.data(), bytes);
  return native_parse(exact.get() + 2, bytes, ret);
}

TEST(Parser, ReadsAddressesPortsAndEvent) {
  native_packet packet = {};
  const Bytes frame = Frame(IPPROTO_TCP);
  ASSERT_EQ(Parse(frame, frame.size(), &packet), XLVS_STEP_next);
  EXPECT_EQ(IpAddr(packet.saddr).ToString(), "203.0.113.1");
  EXPECT_EQ(IpAddr(packet.daddr).ToString(), "198.51.100.1");
  EXPECT_EQ(packet.sport, 40001);
  EXPECT_EQ(packet.dport, 80);
  EXPECT_EQ(packet.ip_bytes, 46);
  EXPECT_EQ(packet.l4_proto, IPPROTO_TCP);
  EXPECT_EQ(packet.event, 1);  // SYN
}

TEST(Parser, PassesAPacketCutAtAnyLength) {
  for (const uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
    const Bytes frame = Frame(protocol);
    for (size_t bytes = 1; bytes < frame.size(); ++bytes) {
      native_packet packet;
      EXPECT_EQ(Parse(frame, bytes, &packet), XLVS_STEP_pass_truncated)
          << bytes;
    }
  }
}

TEST(Parser, NeverReadsBeyondARandomPacket) {
  std::mt19937 random(1);
  for (int i = 0; i < 200'000; ++i) {
    Bytes frame = Frame(random() % 2 ? IPPROTO_TCP : IPPROTO_UDP);
    for (uint32_t flips = random() % 6; flips > 0; --flips)
      frame[random() % frame.size()] = random();
    native_packet packet;
    const size_t bytes = 1 + random() % frame.size();
    const xlvs_step step = Parse(frame, bytes, &packet);
    EXPECT_LE(step, XLVS_STEP_next);
    // Whatever it was, nothing is balanced that was not read whole.
    if (step == XLVS_STEP_next) {
      EXPECT_LE(packet.ip_bytes, bytes - 14);
    }
  }
}

// The plain way: RFC 1071.
uint16_t Sum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += bytes[i] << 8 | bytes[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

TEST(Checksum, UpdatedIsWhatItWouldBeComputedAnew) {
  std::mt19937 random(2);
  for (int i = 0; i < 200'000; ++i) {
    Bytes bytes(20);
    for (uint8_t& byte : bytes) byte = random();
    if (i % 7 == 0) std::fill(bytes.begin(), bytes.begin() + 8, 0xff);
    if (i % 11 == 0) std::fill(bytes.begin() + 8, bytes.end(), 0);
    const uint16_t before = Sum(bytes);
    uint32_t old32, new32 = i % 5 == 0 ? 0 : random();
    uint16_t old16, new16 = i % 3 == 0 ? 0xffff : random();
    std::memcpy(&old32, &bytes[4], 4);
    std::memcpy(&old16, &bytes[12], 2);
    std::memcpy(&bytes[4], &new32, 4);
    std::memcpy(&bytes[12], &new16, 2);
    const uint16_t updated =
        ntohs(native_csum_update(htons(before), old32, new32, old16, new16));
    const uint16_t anew = Sum(bytes);
    // 0 and ffff are the same number in one's complement.
    if (anew == 0 || anew == 0xffff) {
      EXPECT_TRUE(updated == 0 || updated == 0xffff);
    } else {
      EXPECT_EQ(updated, anew);
    }
  }
}

TEST(StateMachine, HasAStateForEveryCell) {
  for (int direction = 0; direction < 2; ++direction)
    for (int event = 0; event < 5; ++event)
      for (uint8_t state = XLVS_CONN_tcp_none; state <= XLVS_CONN_tcp_synack;
           ++state) {
        const uint8_t next = native_tcp_next(direction, event, state);
        EXPECT_GE(next, XLVS_CONN_tcp_established);
        EXPECT_LE(next, XLVS_CONN_tcp_synack);
      }
}

TEST(StateMachine, WalksAConnectionAsIpvsDoes) {
  enum { kRst, kSyn, kFin, kAck };
  uint8_t state = XLVS_CONN_tcp_none;
  const auto step = [&state](int direction, int event) {
    return state = native_tcp_next(direction, event, state);
  };
  EXPECT_EQ(step(0, kSyn), XLVS_CONN_tcp_syn_recv);
  EXPECT_EQ(step(0, kRst), XLVS_CONN_tcp_syn_recv);  // a spoofed RST
  EXPECT_EQ(step(0, kAck), XLVS_CONN_tcp_established);
  EXPECT_TRUE(native_is_active(state));
  EXPECT_EQ(step(0, kFin), XLVS_CONN_tcp_close_wait);
  EXPECT_FALSE(native_is_active(state));
  EXPECT_EQ(step(1, kFin), XLVS_CONN_tcp_time_wait);
}

}  // namespace
}  // namespace xlvs
