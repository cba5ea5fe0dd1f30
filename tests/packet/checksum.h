// SPDX-License-Identifier: Apache-2.0
//
// The checksums of the tests, computed the plain way over whole packets.
// Nothing is shared with the code under test, which computes by differences.
#ifndef XLVS_TESTS_PACKET_CHECKSUM_H_
#define XLVS_TESTS_PACKET_CHECKSUM_H_

#include <cstdint>
#include <span>

#include "tests/packet/address.h"

namespace xlvs {

// RFC 1071, over the bytes as they are; a checksum field in them counts.
uint16_t InternetChecksum(std::span<const uint8_t> bytes);

// The same with the pseudo header before them (RFC 9293, 3.1; RFC 8200, 8.1).
uint16_t ChecksumWithPseudoHeader(const Addr& saddr, const Addr& daddr,
                                  uint8_t protocol,
                                  std::span<const uint8_t> l4);

// CRC32c (Castagnoli), as SCTP computes it (RFC 9260, appendix A), over the
// bytes as they are. On the wire its lowest byte comes first.
uint32_t Crc32c(std::span<const uint8_t> bytes);

}  // namespace xlvs

#endif  // XLVS_TESTS_PACKET_CHECKSUM_H_
