// SPDX-License-Identifier: Apache-2.0
//
// Names for addresses and ports in listings: what -n leaves out. A value with
// two functions, so that tests need no resolver.
#ifndef XLVS_LOADER_CLI_NAMES_H_
#define XLVS_LOADER_CLI_NAMES_H_

#include <cstdint>
#include <functional>
#include <string>

#include "loader/model/service.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

struct Names {
  // Each returns the number as text when there is no name.
  std::function<std::string(const IpAddr&)> host;
  std::function<std::string(uint16_t port, Protocol)> port;

  // "10.0.0.1:80" or "www.example.com:http".
  std::string Endpoint(const IpAddr& addr, uint16_t number,
                       Protocol protocol) const;
};

// 10.0.0.1, 80.
Names Numeric();
// The resolver's and /etc/services' names; may wait for a name server.
Names FromSystem();

}  // namespace xlvs

#endif  // XLVS_LOADER_CLI_NAMES_H_
