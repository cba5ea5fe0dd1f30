// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace xlvs {
namespace {

std::string NumberOfHost(const IpAddr& addr) {
  return addr.is_v4() ? addr.ToString()
                      : absl::StrCat("[", addr.ToString(), "]");
}

std::string NumberOfPort(uint16_t port, Protocol) {
  return absl::StrCat(port);
}

std::string NameOfHost(const IpAddr& addr) {
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, addr.raw().byte, sizeof(v6.sin6_addr));
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  std::memcpy(&v4.sin_addr, addr.raw().byte + 12, sizeof(v4.sin_addr));
  const auto* address = addr.is_v4() ? reinterpret_cast<const sockaddr*>(&v4)
                                     : reinterpret_cast<const sockaddr*>(&v6);
  std::array<char, NI_MAXHOST> name;
  if (getnameinfo(address, addr.is_v4() ? sizeof(v4) : sizeof(v6), name.data(),
                  name.size(), nullptr, 0, NI_NAMEREQD) != 0)
    return NumberOfHost(addr);
  return addr.is_v4() ? name.data() : absl::StrCat("[", name.data(), "]");
}

std::string NameOfPort(uint16_t port, Protocol protocol) {
  servent entry;
  servent* found = nullptr;
  std::array<char, 1024> buffer;
  const std::string name(Name(protocol));
  if (getservbyport_r(htons(port), name.c_str(), &entry, buffer.data(),
                      buffer.size(), &found) != 0 ||
      found == nullptr)
    return NumberOfPort(port, protocol);
  return found->s_name;
}

}  // namespace

std::string Names::Endpoint(const IpAddr& addr, uint16_t number,
                            Protocol protocol) const {
  return absl::StrCat(host(addr), ":", port(number, protocol));
}

Names Numeric() {
  return {NumberOfHost, NumberOfPort};
}

Names FromSystem() {
  return {NameOfHost, NameOfPort};
}

}  // namespace xlvs
