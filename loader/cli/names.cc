// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

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
  if (!addr.is_v4()) return NumberOfHost(addr);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(addr.v4_host_order());
  std::array<char, NI_MAXHOST> name;
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof(address),
                  name.data(), name.size(), nullptr, 0, NI_NAMEREQD) != 0)
    return NumberOfHost(addr);
  return name.data();
}

std::string NameOfPort(uint16_t port, Protocol protocol) {
  servent entry;
  servent* found = nullptr;
  std::array<char, 1024> buffer;
  const char* name = protocol == Protocol::kTcp ? "tcp" : "udp";
  if (getservbyport_r(htons(port), name, &entry, buffer.data(), buffer.size(),
                      &found) != 0 ||
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
