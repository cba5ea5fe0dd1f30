// SPDX-License-Identifier: Apache-2.0
//
// What the operator configures, as plain values: virtual services and real
// servers ("dests"). Names are LVS's.
#ifndef XLVS_LOADER_MODEL_SERVICE_H_
#define XLVS_LOADER_MODEL_SERVICE_H_

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "loader/net/ip_addr.h"

namespace xlvs {

// Values are the IPPROTO_* numbers; services sort by them.
enum class Protocol : uint8_t { kIp = 0, kTcp = 6, kUdp = 17, kSctp = 132 };
// kIp: of a service by mark, whatever it is. "tcp", "udp", "sctp": also the
// name that /etc/services knows.
absl::string_view Name(Protocol protocol);

// Values are those of enum xlvs_scheduler in maps/service.h.
enum class Scheduler : uint32_t {
  kNone = 0,  // never finds a real server
  kRr = 1,
  kWrr = 2,
  kLc = 3,
  kWlc = 4,
  kSed = 5,
  kNq = 6,
  kFo = 7,
  kOvf = 8,
  kTwos = 9,
  kSh = 10,
  kDh = 11,
  kMh = 12,
  kLblc = 13,
  kLblcr = 14,
};

// "rr" <-> kRr. nullopt: not one that this program has.
std::optional<Scheduler> ParseScheduler(absl::string_view name);
absl::string_view Name(Scheduler scheduler);

// The flags of a scheduler (-b). Values are those of XLVS_SERVICE_sched_*.
inline constexpr uint32_t kSchedFlag1 = 0x08;  // sh, mh: fallback
inline constexpr uint32_t kSchedFlag2 = 0x10;  // sh, mh: port
inline constexpr uint32_t kSchedFlag3 = 0x20;
struct SchedFlag {
  absl::string_view name;
  uint32_t value = 0;
  std::optional<Scheduler> scheduler;  // nullopt: any
};
// nullopt: no such flag.
std::optional<SchedFlag> FindSchedFlag(absl::string_view name);

// Values are those of enum xlvs_method in maps/dest.h.
enum class Method : uint8_t { kMasq = 0, kTunnel = 2, kRoute = 3 };

// Values are those of enum xlvs_tunnel_type in maps/dest.h.
enum class TunnelType : uint8_t { kIpip = 0, kGue = 1, kGre = 2 };
// "ipip" <-> kIpip. nullopt: no such type.
std::optional<TunnelType> ParseTunnelType(absl::string_view name);
absl::string_view Name(TunnelType type);

// Of GUE the UDP's, of GRE its own. Values are those of XLVS_TUNNEL_csum and
// XLVS_TUNNEL_remcsum.
enum class TunnelChecksum : uint8_t { kNone = 0, kFull = 1, kRemote = 2 };

// How Method::kTunnel wraps packets.
struct Tunnel {
  TunnelType type = TunnelType::kIpip;
  uint16_t port = 0;  // of GUE, host order
  TunnelChecksum checksum = TunnelChecksum::kNone;

  friend bool operator==(const Tunnel&, const Tunnel&) = default;
};

// By address, port and protocol, or by mark: then vaddr is 0.0.0.0 or ::, which
// tells the family, vport is 0 and protocol is kIp.
struct ServiceKey {
  IpAddr vaddr;
  uint16_t vport = 0;  // host order; 0 = any port
  Protocol protocol = Protocol::kTcp;
  uint32_t fwmark = 0;  // 0 = not by mark

  friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ServiceKey& k) {
    return H::combine(std::move(h), k.vaddr, k.vport, k.protocol, k.fwmark);
  }
};

struct Service {
  ServiceKey key;
  Scheduler scheduler = Scheduler::kWlc;
  uint32_t sched_flags = 0;   // kSchedFlag*
  bool one_packet = false;    // -o: each datagram for itself
  uint32_t persistent_s = 0;  // -p: 0 = not persistent
  // -M, clients alike under it are one. IPv4: bits, host order, 255.255.255.0
  // is 0xffffff00; IPv6: length of the prefix. FullMask() is a client alone.
  uint32_t persist_mask = 0xffffffff;

  friend bool operator==(const Service&, const Service&) = default;
};

inline uint32_t FullMask(bool is_v4) {
  return is_v4 ? 0xffffffff : 128;
}

// The names of its flags, in the words of its scheduler ("sh-port").
std::vector<absl::string_view> SchedFlagNames(const Service& service);

struct DestKey {
  IpAddr daddr;
  uint16_t dport = 0;  // host order

  friend bool operator==(const DestKey&, const DestKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const DestKey& k) {
    return H::combine(std::move(h), k.daddr, k.dport);
  }
};

struct Dest {
  DestKey key;
  Method method = Method::kRoute;
  uint32_t weight = 1;
  Tunnel tunnel;  // of kTunnel
  // -x and -y: at u_threshold connections it gets no more until they are fewer
  // than l_threshold, or, if that is 0, three quarters of u_threshold. 0 =
  // none.
  uint32_t u_threshold = 0;
  uint32_t l_threshold = 0;

  friend bool operator==(const Dest&, const Dest&) = default;
};

// Idle times after which a connection ends, in seconds. 0 = leave as it is.
struct Timeouts {
  uint32_t tcp_s = 0;
  uint32_t tcp_fin_s = 0;
  uint32_t udp_s = 0;

  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_MODEL_SERVICE_H_
