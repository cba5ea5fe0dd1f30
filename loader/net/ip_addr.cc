// SPDX-License-Identifier: Apache-2.0
#include "loader/net/ip_addr.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace xlvs {
namespace {

constexpr uint8_t kV4Prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddr IpAddr::FromV4(uint32_t host_order) {
  const uint32_t wire = htonl(host_order);
  return FromV4Bytes(reinterpret_cast<const uint8_t*>(&wire));
}

IpAddr IpAddr::FromV4Bytes(const uint8_t* bytes) {
  xlvs_addr raw;
  std::copy(std::begin(kV4Prefix), std::end(kV4Prefix), raw.byte);
  std::memcpy(raw.byte + 12, bytes, 4);
  return IpAddr(raw);
}

IpAddr IpAddr::FromV6Bytes(const uint8_t* bytes) {
  xlvs_addr raw;
  std::memcpy(raw.byte, bytes, sizeof(raw.byte));
  return IpAddr(raw);
}

absl::StatusOr<IpAddr> IpAddr::Parse(absl::string_view text) {
  const std::string copy(text);
  in_addr v4;
  if (inet_pton(AF_INET, copy.c_str(), &v4) == 1)
    return FromV4(ntohl(v4.s_addr));
  xlvs_addr raw;
  if (inet_pton(AF_INET6, copy.c_str(), raw.byte) == 1) return IpAddr(raw);
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not an IP address"));
}

bool IpAddr::is_v4() const {
  return std::memcmp(raw_.byte, kV4Prefix, sizeof(kV4Prefix)) == 0;
}

uint32_t IpAddr::v4_host_order() const {
  uint32_t wire;
  std::memcpy(&wire, raw_.byte + 12, 4);
  return ntohl(wire);
}

bool IpAddr::is_zero() const {
  return *this == IpAddr() || (is_v4() && v4_host_order() == 0);
}

bool IpAddr::is_multicast() const {
  if (is_v4()) return (v4_host_order() >> 28) == 0xe;
  return raw_.byte[0] == 0xff;
}

bool IpAddr::is_unicast() const {
  if (!is_v4()) return !is_zero() && !is_multicast();
  const uint32_t number = v4_host_order();
  return (number >> 24) != 0 && !is_multicast() && number != 0xffffffff;
}

bool IpAddr::is_v6_link_local() const {
  return raw_.byte[0] == 0xfe && (raw_.byte[1] & 0xc0) == 0x80;
}

std::string IpAddr::ToString() const {
  char text[INET6_ADDRSTRLEN];
  if (is_v4())
    inet_ntop(AF_INET, raw_.byte + 12, text, sizeof(text));
  else
    inet_ntop(AF_INET6, raw_.byte, text, sizeof(text));
  return text;
}

}  // namespace xlvs
