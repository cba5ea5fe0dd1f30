// SPDX-License-Identifier: Apache-2.0
//
// Packets as text, for the eyes of who reads a failed test.
#ifndef XLVS_TESTS_PACKET_DESCRIBE_H_
#define XLVS_TESTS_PACKET_DESCRIBE_H_

#include <cstdint>
#include <span>
#include <string>

namespace xlvs {

// Field by field, what is in tunnels and quoted by ICMP errors indented below
// it, with "(right)" or "(should be ...)" after every checksum, then a hex
// dump.
std::string Describe(std::span<const uint8_t> frame);

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_DESCRIBE_H_
