// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/values.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "loader/model/service.h"

namespace xlvs {
namespace {

std::optional<IpAddr> ResolveV4(const std::string& host) {
  if (host.empty()) return std::nullopt;
  addrinfo hints = {};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;  // else every address comes three times
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0)
    return std::nullopt;
  const auto* address = reinterpret_cast<const sockaddr_in*>(found->ai_addr);
  const IpAddr result = IpAddr::FromV4(ntohl(address->sin_addr.s_addr));
  freeaddrinfo(found);
  return result;
}

std::optional<uint16_t> ParsePort(const std::string& text,
                                  const char* protocol) {
  if (const auto number = ParseInteger(text, 0, 65535))
    return static_cast<uint16_t>(*number);
  if (text.empty() || protocol == nullptr) return std::nullopt;
  servent entry;
  servent* found = nullptr;
  std::array<char, 1024> buffer;
  if (getservbyname_r(text.c_str(), protocol, &entry, buffer.data(),
                      buffer.size(), &found) != 0 ||
      found == nullptr)
    return std::nullopt;
  return ntohs(static_cast<uint16_t>(found->s_port));
}

std::optional<IpAddr> ParseV6(const std::string& text) {
  xlvs_addr raw;
  if (inet_pton(AF_INET6, text.c_str(), raw.byte) != 1) return std::nullopt;
  return IpAddr(raw);
}

std::optional<Endpoint> HostOnly(const std::string& host) {
  auto addr = ParseV4(host);
  if (!addr) addr = ResolveV4(host);
  if (!addr) return std::nullopt;
  return Endpoint{*addr, false, std::nullopt};
}

std::optional<Endpoint> Bracketed(const std::string& text,
                                  const char* protocol) {
  const size_t close = text.find(']');
  if (close == std::string::npos || text.compare(close + 1, 1, ":") != 0)
    return std::nullopt;
  const std::string host = text.substr(1, close - 1);
  const auto v6 = ParseV6(host);
  // ipvsadm takes anything else in brackets, too, and then forgets the port.
  if (!v6) return HostOnly(host);
  const auto port = ParsePort(text.substr(close + 2), protocol);
  if (!port) return std::nullopt;
  return Endpoint{*v6, true, port};
}

}  // namespace

std::optional<int64_t> ParseInteger(const std::string& text, int64_t min,
                                    int64_t max) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (errno != 0 || *end != '\0' || end == text.c_str()) return std::nullopt;
  if (number < min || number > max) return std::nullopt;
  return number;
}

std::optional<IpAddr> ParseV4(const std::string& text) {
  in_addr address;
  if (inet_aton(text.c_str(), &address) == 0) return std::nullopt;
  return IpAddr::FromV4(ntohl(address.s_addr));
}

std::optional<Endpoint> ParseEndpoint(const std::string& text,
                                      const char* protocol) {
  // "80" is a forgotten address, not 0.0.0.80.
  if (std::all_of(text.begin(), text.end(), absl::ascii_isdigit))
    return std::nullopt;
  if (text.front() == '[') return Bracketed(text, protocol);
  if (const auto v6 = ParseV6(text)) return Endpoint{*v6, true, std::nullopt};

  const size_t colon = text.find(':');
  if (colon == std::string::npos) return HostOnly(text);
  // The port first: it never waits for a name server.
  const auto port = ParsePort(text.substr(colon + 1), protocol);
  if (!port) return std::nullopt;
  auto endpoint = HostOnly(text.substr(0, colon));
  if (endpoint) endpoint->port = port;
  return endpoint;
}

std::optional<std::string> CheckSchedulerFlags(absl::string_view list,
                                               absl::string_view scheduler) {
  for (absl::string_view word : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    const std::optional<SchedFlag> flag = FindSchedFlag(word);
    if (!flag) return absl::StrFormat("invalid scheduler flag `%s'", word);
    if (flag->scheduler && Name(*flag->scheduler) != scheduler)
      return absl::StrFormat("incompatible scheduler flag `%s'", word);
  }
  return std::nullopt;
}

uint32_t SchedulerFlags(absl::string_view list) {
  uint32_t flags = 0;
  for (absl::string_view word : absl::StrSplit(list, ',', absl::SkipEmpty()))
    if (const auto flag = FindSchedFlag(word)) flags |= flag->value;
  return flags;
}

}  // namespace xlvs
