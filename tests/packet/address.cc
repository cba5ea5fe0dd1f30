// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/address.h"

#include <arpa/inet.h>

namespace xlvs {

std::string Addr::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family == Family::kV4 ? AF_INET : AF_INET6, byte.data(), text,
            sizeof(text));
  return text;
}

}  // namespace xlvs
