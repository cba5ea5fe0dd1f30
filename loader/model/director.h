// SPDX-License-Identifier: Apache-2.0
//
// What a command line needs of a director. The CLI speaks to this interface;
// loader/datapath implements it on the pinned maps, tests implement it in
// memory.
//
// Every call is one whole change or none. Errors, by status code:
//   NOT_FOUND            no such service; for the dest calls, see below
//   ALREADY_EXISTS       the service (AddService) or the dest (AddDest) exists
//   RESOURCE_EXHAUSTED   a map is full: the message says which and what to do
//   anything else        the system refused: the message says what
// The dest calls must tell "no such service" from "no such dest" (ipvsadm
// prints different texts): a missing service is FAILED_PRECONDITION with the
// message "no such service", a missing dest is NOT_FOUND.
#ifndef XLVS_LOADER_MODEL_DIRECTOR_H_
#define XLVS_LOADER_MODEL_DIRECTOR_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "loader/model/service.h"

namespace xlvs {

struct Counters {
  uint64_t conns = 0;
  uint64_t in_packets = 0;
  uint64_t out_packets = 0;
  uint64_t in_bytes = 0;
  uint64_t out_bytes = 0;

  Counters& operator+=(const Counters& other) {
    conns += other.conns;
    in_packets += other.in_packets;
    out_packets += other.out_packets;
    in_bytes += other.in_bytes;
    out_bytes += other.out_bytes;
    return *this;
  }
  friend bool operator==(const Counters&, const Counters&) = default;
};

struct DestView {
  Dest dest;
  int64_t active_conns = 0;
  int64_t inactive_conns = 0;
  int64_t persistent_conns = 0;  // templates
  Counters counters;             // since the last --zero
  Counters rates;                // per second; bytes, not bits
};

struct ServiceView {
  Service service;
  std::vector<DestView> dests;  // IPVS's list order: newest first
  Counters counters;
  Counters rates;
};

struct ConnView {
  Protocol protocol = Protocol::kTcp;
  uint32_t expires_in_s = 0;
  absl::string_view state;  // "ESTABLISHED", "UDP", ...: IPVS's names
  IpAddr caddr;
  uint16_t cport = 0;
  IpAddr vaddr;
  uint16_t vport = 0;
  IpAddr daddr;
  uint16_t dport = 0;
};

struct TableInfo {
  uint32_t conns = 0;  // how many connections the table was made for
};

// A rule of `xlvs mark`: packets to `network` at these ports have `fwmark`.
struct MarkRule {
  uint32_t fwmark = 0;
  Protocol protocol = Protocol::kIp;  // kIp: TCP, UDP and SCTP
  IpAddr network;                     // bits behind the prefix are 0
  uint32_t prefix_bits = 32;          // of 32 or 128
  uint16_t port_first = 0;            // host order; 0 to 65535: any
  uint16_t port_last = 65535;

  friend bool operator==(const MarkRule&, const MarkRule&) = default;
};

// What `xlvs set` shows and changes, see maps/setting.h.
struct SettingView {
  absl::string_view name;
  uint32_t value = 0;
  uint32_t standard = 0;
  uint32_t min = 0;
  uint32_t max = 0;
  absl::string_view text;
  bool by_table = false;  // the default goes by --conns; 0 stands for it
};

class Director {
 public:
  virtual ~Director() = default;

  virtual absl::Status AddService(const Service& service) = 0;
  // Replaces everything but the key.
  virtual absl::Status EditService(const Service& service) = 0;
  virtual absl::Status DeleteService(const ServiceKey& key) = 0;
  virtual absl::Status Clear() = 0;

  // Many commands follow: dests that are added to one service in turn may reach
  // packets together, when something else is changed or the batch ends. An
  // error at the end says that the last of them could not, and are not there.
  virtual void BeginBatch() {}
  virtual absl::Status EndBatch() { return absl::OkStatus(); }

  virtual absl::Status AddDest(const ServiceKey& key, const Dest& dest) = 0;
  virtual absl::Status EditDest(const ServiceKey& key, const Dest& dest) = 0;
  virtual absl::Status DeleteDest(const ServiceKey& key,
                                  const DestKey& dest) = 0;

  // Counters of one service and its dests, or of all, start at 0 again.
  virtual absl::Status Zero(const std::optional<ServiceKey>& key) = 0;
  virtual absl::Status SetTimeouts(const Timeouts& timeouts) = 0;

  // Rules are tried in the order of their adding. ALREADY_EXISTS: the same rule
  // with the same mark; NOT_FOUND: no such rule.
  virtual absl::Status AddMark(const MarkRule& rule) = 0;
  virtual absl::Status DeleteMark(const MarkRule& rule) = 0;
  // Of one mark, or all.
  virtual absl::Status ClearMarks(std::optional<uint32_t> fwmark) = 0;
  virtual absl::StatusOr<std::vector<MarkRule>> Marks() = 0;

  // NOT_FOUND: no such key; OUT_OF_RANGE: not a value for it.
  virtual absl::Status Set(absl::string_view name, uint32_t value) = 0;
  virtual absl::StatusOr<std::vector<SettingView>> Settings() = 0;

  virtual absl::StatusOr<TableInfo> Table() = 0;
  virtual absl::StatusOr<Timeouts> GetTimeouts() = 0;
  // In no particular order; the CLI sorts.
  virtual absl::StatusOr<std::vector<ServiceView>> Services() = 0;
  virtual absl::StatusOr<ServiceView> FindService(const ServiceKey& key) = 0;
  virtual absl::StatusOr<std::vector<ConnView>> Conns() = 0;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_MODEL_DIRECTOR_H_
