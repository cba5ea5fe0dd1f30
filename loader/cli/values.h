// SPDX-License-Identifier: Apache-2.0
//
// The values of ipvsadm's options: numbers, addresses with ports, scheduler
// flags. Text in, value out; nullopt is "illegal", and which words to say so
// with is the caller's business.
#ifndef XLVS_LOADER_CLI_VALUES_H_
#define XLVS_LOADER_CLI_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

// Decimal, the whole of `text`, within [min, max]. As strtol: leading blanks
// and a sign are fine.
std::optional<int64_t> ParseInteger(const std::string& text, int64_t min,
                                    int64_t max);

// inet_aton's forms: "10.0.0.1", "10.1", "0x0a000001".
std::optional<IpAddr> ParseV4(const std::string& text);

struct Endpoint {
  IpAddr addr;
  bool v6 = false;  // as it was written: ::ffff:1.2.3.4 is v6 here
  std::optional<uint16_t> port;
};

// "host[:port]" with host an IPv4 address or a name, "[v6]:port" or a bare
// IPv6 address. `protocol` ("tcp") is where port names are looked up; nullptr:
// only numbers will do. Asks the resolver for host names.
std::optional<Endpoint> ParseEndpoint(const std::string& text,
                                      const char* protocol);

// Returns what is wrong with the comma-separated -b `list`, in ipvsadm's words.
std::optional<std::string> CheckSchedulerFlags(absl::string_view list,
                                               absl::string_view scheduler);
// Their values; `list` has been checked.
uint32_t SchedulerFlags(absl::string_view list);

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_VALUES_H_
