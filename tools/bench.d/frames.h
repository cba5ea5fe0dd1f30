// SPDX-License-Identifier: Apache-2.0
//
// Whole frames with right checksums, as the packet's makers (traffic.h) leave
// them or better: what the shipped program is given and what must come out.
#ifndef XLVS_TOOLS_BENCH_D_FRAMES_H_
#define XLVS_TOOLS_BENCH_D_FRAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "loader/model/service.h"
#include "loader/net/ip_addr.h"
#include "tools/bench.d/traffic.h"

namespace xlvs::bench {

using Frame = std::vector<uint8_t>;

// A kind of packet: one of BENCH_FORMS.
struct Form {
  bool is_v6 = false;
  Protocol protocol = Protocol::kTcp;

  std::string name() const;  // "4tcp"
  size_t frame_bytes() const {
    return is_v6 ? BENCH_FRAME_BYTES_V6 : BENCH_FRAME_BYTES;
  }
};

// TCP flags.
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;

struct FrameSpec {
  Form form = {};
  IpAddr saddr;
  IpAddr daddr;
  uint16_t sport = 0;
  uint16_t dport = 0;
  uint8_t flags = kAck;  // of TCP
  uint8_t ttl = BENCH_TTL;
  bool from_director = false;  // MACs the other way round
};
Frame MakeFrame(const FrameSpec& spec);

constexpr uint8_t kClientMac[] = {2, 0, 0, 0, 0, 1};
constexpr uint8_t kDirectorMac[] = {2, 0, 0, 0, 0, 2};

// The address of `net` (BENCH_*_NET) that ends in `host`; of IPv4, `host`.
IpAddr AddrOf(Form form, uint64_t net, uint32_t host);
IpAddr Vip(Form form);
IpAddr Client(Form form, uint32_t flow);
uint16_t ClientPort(uint32_t flow);
IpAddr Real(Form form, uint32_t flow);

// Flow's packets, to a service at `vport`.
FrameSpec Request(Form form, uint32_t flow, uint16_t vport, uint8_t flags);
FrameSpec Reply(Form form, uint32_t flow);

}  // namespace xlvs::bench

#endif  // XLVS_TOOLS_BENCH_D_FRAMES_H_
