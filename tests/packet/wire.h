// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a packet, and numbers in network order in them.
#ifndef XLVS_TESTS_PACKET_WIRE_H_
#define XLVS_TESTS_PACKET_WIRE_H_

#include <cstdint>
#include <span>
#include <vector>

namespace xlvs {

using Bytes = std::vector<uint8_t>;

inline void Put8(Bytes& to, uint8_t value) {
  to.push_back(value);
}
inline void Put16(Bytes& to, uint16_t value) {
  Put8(to, value >> 8);
  Put8(to, value & 0xff);
}
inline void Put32(Bytes& to, uint32_t value) {
  Put16(to, value >> 16);
  Put16(to, value & 0xffff);
}
template <typename T>
void PutAll(Bytes& to, const T& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
inline void Set16(std::span<uint8_t> in, size_t at, uint16_t value) {
  in[at] = value >> 8;
  in[at + 1] = value & 0xff;
}
inline uint16_t Get16(std::span<const uint8_t> in, size_t at) {
  return in[at] << 8 | in[at + 1];
}
inline uint32_t Get32(std::span<const uint8_t> in, size_t at) {
  return static_cast<uint32_t>(Get16(in, at)) << 16 | Get16(in, at + 2);
}

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_WIRE_H_
