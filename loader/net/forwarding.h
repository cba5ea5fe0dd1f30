// SPDX-License-Identifier: Apache-2.0
//
// Whether the kernel forwards what comes in by a device: it sends what the fast
// path leaves to it, and resolves the neighbours.
#ifndef XLVS_LOADER_NET_FORWARDING_H_
#define XLVS_LOADER_NET_FORWARDING_H_

#include <cstdint>
#include <string>

namespace xlvs {

enum class Family { kV4, kV6 };

// What to do about it, a sentence; empty: it forwards, or knows no such device.
std::string ForwardingWarning(const std::string& device, Family family);

// Whether the device has an IPv6 address beside its link-local one.
bool HasV6Address(uint32_t ifindex);

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_FORWARDING_H_
