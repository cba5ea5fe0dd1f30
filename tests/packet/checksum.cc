// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/checksum.h"

#include <vector>

#include "tests/packet/wire.h"

namespace xlvs {

uint16_t InternetChecksum(std::span<const uint8_t> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
    if (sum > 0xffff) sum = sum - 0x10000 + 1;
  }
  return ~sum;
}

uint16_t ChecksumWithPseudoHeader(const Addr& saddr, const Addr& daddr,
                                  uint8_t protocol,
                                  std::span<const uint8_t> l4) {
  Bytes bytes;
  PutAll(bytes, saddr.wire());
  PutAll(bytes, daddr.wire());
  Put32(bytes, l4.size());
  Put32(bytes, protocol);
  PutAll(bytes, l4);
  return InternetChecksum(bytes);
}

uint32_t Crc32c(std::span<const uint8_t> bytes) {
  uint32_t crc = 0xffffffff;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

}  // namespace xlvs
