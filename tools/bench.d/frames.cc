// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/frames.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace xlvs::bench {
namespace {

uint32_t Sum16(const uint8_t* data, size_t bytes, uint32_t sum = 0) {
  for (size_t i = 0; i < bytes; ++i) sum += i % 2 == 0 ? data[i] << 8 : data[i];
  return sum;
}

uint16_t Fold(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void Put16(uint8_t* at, uint16_t value) {
  at[0] = value >> 8;
  at[1] = value & 0xff;
}

// Returns where the addresses are, and their bytes.
std::pair<uint8_t*, size_t> WriteIp(const FrameSpec& spec, uint8_t* ip) {
  const uint8_t* saddr = spec.saddr.raw().byte;
  const uint8_t* daddr = spec.daddr.raw().byte;
  const auto protocol = static_cast<uint8_t>(spec.form.protocol);
  if (spec.form.is_v6) {
    ip[0] = 0x60;
    Put16(ip + 4, BENCH_IP_BYTES_V6 - 40);
    ip[6] = protocol;
    ip[7] = spec.ttl;
    std::memcpy(ip + 8, saddr, 16);
    std::memcpy(ip + 24, daddr, 16);
    return {ip + 8, 32};
  }
  ip[0] = 0x45;
  Put16(ip + 2, BENCH_IP_BYTES);
  Put16(ip + 6, 0x4000);
  ip[8] = spec.ttl;
  ip[9] = protocol;
  std::memcpy(ip + 12, saddr + 12, 4);
  std::memcpy(ip + 16, daddr + 12, 4);
  Put16(ip + 10, Fold(Sum16(ip, 20)));
  return {ip + 12, 8};
}

}  // namespace

std::string Form::name() const {
  return absl::StrCat(is_v6 ? 6 : 4, Name(protocol) == "tcp" ? "tcp" : "udp");
}

Frame MakeFrame(const FrameSpec& spec) {
  Frame frame(spec.form.frame_bytes());
  uint8_t* eth = frame.data();
  std::memcpy(eth, spec.from_director ? kClientMac : kDirectorMac, ETH_ALEN);
  std::memcpy(eth + ETH_ALEN, spec.from_director ? kDirectorMac : kClientMac,
              ETH_ALEN);
  Put16(eth + 12, spec.form.is_v6 ? ETH_P_IPV6 : ETH_P_IP);
  const auto [addrs, addrs_bytes] = WriteIp(spec, eth + ETH_HLEN);
  uint8_t* l4 = addrs + addrs_bytes;
  const uint32_t l4_bytes = BENCH_IP_BYTES - 20;
  const bool tcp = spec.form.protocol == Protocol::kTcp;
  Put16(l4, spec.sport);
  Put16(l4 + 2, spec.dport);
  const uint32_t header_bytes = tcp ? 20 : 8;
  if (tcp) {
    l4[12] = 0x50;
    l4[13] = spec.flags;
  } else {
    Put16(l4 + 4, l4_bytes);
  }
  for (uint32_t i = header_bytes; i < l4_bytes; ++i) l4[i] = i;
  const uint32_t pseudo = Sum16(
      addrs, addrs_bytes, static_cast<uint8_t>(spec.form.protocol) + l4_bytes);
  Put16(l4 + (tcp ? 16 : 6), Fold(Sum16(l4, l4_bytes, pseudo)));
  return frame;
}

IpAddr AddrOf(Form form, uint64_t net, uint32_t host) {
  if (!form.is_v6) return IpAddr::FromV4(host);
  uint8_t bytes[16] = {};
  for (int i = 0; i < 8; ++i) bytes[i] = net >> (56 - 8 * i);
  for (int i = 0; i < 4; ++i) bytes[12 + i] = host >> (24 - 8 * i);
  return IpAddr::FromV6Bytes(bytes);
}

IpAddr Vip(Form form) {
  return AddrOf(form, BENCH_VIP_NET, BENCH_VIP);
}

IpAddr Client(Form form, uint32_t flow) {
  return AddrOf(form, BENCH_CLIENT_NET,
                BENCH_CLIENTS + flow / BENCH_FLOWS_PER_CLIENT);
}

uint16_t ClientPort(uint32_t flow) {
  return BENCH_CLIENT_PORTS + flow % BENCH_FLOWS_PER_CLIENT;
}

IpAddr Real(Form form, uint32_t flow) {
  return AddrOf(form, BENCH_REAL_NET, BENCH_REALS + flow % BENCH_REAL_COUNT);
}

FrameSpec Request(Form form, uint32_t flow, uint16_t vport, uint8_t flags) {
  return {.form = form,
          .saddr = Client(form, flow),
          .daddr = Vip(form),
          .sport = ClientPort(flow),
          .dport = vport,
          .flags = flags};
}

FrameSpec Reply(Form form, uint32_t flow) {
  return {.form = form,
          .saddr = Real(form, flow),
          .daddr = Client(form, flow),
          .sport = BENCH_PORT,
          .dport = ClientPort(flow)};
}

}  // namespace xlvs::bench
