// SPDX-License-Identifier: Apache-2.0
//
// The decapsulator's reading of headers, compiled natively: the sanitizers see
// every read. Which packet ends how is tests/packet/decap_test.cc's business.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tests/unit/native_decap.h"

namespace xlvs {
namespace {

using Bytes = std::vector<uint8_t>;

void Put(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// IPv4 with options, or IPv6, of all addresses 7; the sum is made right.
Bytes Header(int family, uint8_t protocol, size_t data, size_t options = 0) {
  if (family == 6) {
    Bytes header = {0x60, 0, 0, 0, 0, static_cast<uint8_t>(data), protocol, 64};
    header.resize(40, 7);
    return header;
  }
  const size_t bytes = 20 + options;
  Bytes header = {static_cast<uint8_t>(0x40 | bytes / 4),
                  0,
                  0,
                  static_cast<uint8_t>(bytes + data),
                  0,
                  0,
                  0x40,
                  0,
                  64,
                  protocol,
                  0,
                  0};
  header.resize(20, 7);
  header.resize(bytes, 1);
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes; i += 2) sum += header[i] << 8 | header[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  header[10] = sum >> 8;
  header[11] = sum;
  return header;
}

struct Sample {
  Bytes frame;
  size_t inner_offset;
};

Sample Make(std::mt19937& random) {
  const int outer = random() % 2 ? 4 : 6;
  const int inner = random() % 2 ? 4 : 6;
  Bytes packet = Header(inner, 6, 12);
  packet.resize(packet.size() + 12, 0x11);
  Bytes shim;
  uint8_t protocol = inner == 4 ? 4 : 41;
  switch (random() % 3) {
    case 0:
      shim = {0xc3,     0x50, 0x17,
              0xc0,     0,    static_cast<uint8_t>(12 + packet.size()),
              0,        0,    0,
              protocol, 0,    0};
      protocol = 17;
      break;
    case 1:
      shim = {0, 0, static_cast<uint8_t>(inner == 4 ? 0x08 : 0x86),
              static_cast<uint8_t>(inner == 4 ? 0x00 : 0xdd)};
      if (random() % 2) {
        shim[0] = 0x80;
        shim.resize(8);
      }
      protocol = 47;
      break;
  }
  Sample sample = {{0, 0, 0x5e, 0, 0x53, 2, 0, 0, 0x5e, 0, 0x53, 1}, 0};
  for (uint32_t tags = random() % 3; tags > 0; --tags)
    Put(sample.frame, {0x81, 0x00, 0x00, 0x07});
  Put(sample.frame, outer == 4 ? Bytes{0x08, 0x00} : Bytes{0x86, 0xdd});
  Put(sample.frame, Header(outer, protocol, shim.size() + packet.size(),
                           outer == 4 ? random() % 11 * 4 : 0));
  Put(sample.frame, shim);
  sample.inner_offset = sample.frame.size();
  Put(sample.frame, packet);
  return sample;
}

// In a buffer that ends where the packet ends, so that one byte too far is
// seen. Two bytes before it, as drivers do, put the IP header at a multiple of
// four.
xlvs_decap_step Decapsulate(Bytes& frame, size_t bytes, native_tunnel* ret) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[2 + bytes]);
  std::memcpy(exact.get() + 2, frame.data(), bytes);
  const xlvs_decap_step step = native_decap(exact.get() + 2, bytes, 6080, ret);
  std::memcpy(frame.data(), exact.get() + 2, bytes);
  return step;
}

TEST(DecapParser, FindsThePacketInside) {
  std::mt19937 random(1);
  for (int i = 0; i < 1'000; ++i) {
    Sample sample = Make(random);
    native_tunnel found = {};
    ASSERT_LE(Decapsulate(sample.frame, sample.frame.size(), &found),
              XLVS_DECAP_pass_decap_gre);
    EXPECT_EQ(found.inner_offset, sample.inner_offset);
    EXPECT_EQ(found.end, sample.frame.size());
  }
}

TEST(DecapParser, PassesAPacketCutAtAnyLength) {
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    Sample sample = Make(random);
    for (size_t bytes = 0; bytes < sample.frame.size(); ++bytes) {
      native_tunnel found;
      EXPECT_EQ(Decapsulate(sample.frame, bytes, &found),
                XLVS_DECAP_pass_truncated)
          << bytes;
    }
  }
}

TEST(DecapParser, NeverReadsOrWritesBeyondARandomPacket) {
  std::mt19937 random(3);
  for (int i = 0; i < 300'000; ++i) {
    Sample sample = Make(random);
    for (uint32_t flips = random() % 6; flips > 0; --flips)
      sample.frame[random() % sample.frame.size()] = random();
    const size_t bytes =
        random() % 2 ? sample.frame.size() : random() % sample.frame.size();
    const Bytes before = sample.frame;
    native_tunnel found;
    const xlvs_decap_step step = Decapsulate(sample.frame, bytes, &found);
    ASSERT_LT(step, XLVS_DECAP_max);
    if (step > XLVS_DECAP_pass_decap_gre) {
      EXPECT_EQ(sample.frame, before);
      continue;
    }
    // The packet inside is whole, and behind the outer header.
    EXPECT_LE(found.end, bytes);
    EXPECT_LT(found.outer_offset, found.inner_offset);
    EXPECT_LE(found.inner_offset + (found.inner_type == 0x0800 ? 20 : 40),
              found.end);
  }
}

}  // namespace
}  // namespace xlvs
