// SPDX-License-Identifier: Apache-2.0
//
// Makes connections in an attached instance, as fast as its own director makes
// them: one first packet each, by BPF_PROG_TEST_RUN on the pinned program. They
// are UDP connections, which live for the UDP timeout without any more packets.
//
//   xlvs_bench_fill INSTANCE DEVICE FIRST COUNT SERVICES
//
// Connection i is from 100.64.0.0 + i / 4, port 1024 + i % 4, to service
// i % SERVICES, which is UDP port 80 of 10.1.0.0 + i % SERVICES. To be run in
// the network namespace of DEVICE. How many there are, `xlvs status` tells.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/base/status.h"
#include "loader/datapath/instance.h"

namespace xlvs::bench {
namespace {

constexpr uint32_t kClients = 0x64400000;  // 100.64.0.0
constexpr uint32_t kFlowsPerClient = 4;
constexpr uint16_t kFirstClientPort = 1024;
constexpr uint32_t kServices = 0x0a010000;  // 10.1.0.0
constexpr uint16_t kServicePort = 80;

struct Options {
  std::string instance;
  std::string device;
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t services = 0;
};

struct __attribute__((packed)) Frame {
  ethhdr eth;
  iphdr ip;
  udphdr udp;
  uint8_t padding[18];  // to the least that Ethernet has
};

uint16_t IpChecksum(const iphdr& ip) {
  uint16_t words[sizeof(ip) / 2];
  std::memcpy(words, &ip, sizeof(ip));
  uint32_t sum = 0;
  for (const uint16_t word : words) sum += word;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

Frame FrameOf(uint32_t flow, uint32_t services) {
  Frame frame = {};
  frame.eth.h_dest[0] = 2;
  frame.eth.h_dest[5] = 1;
  frame.eth.h_source[0] = 2;
  frame.eth.h_source[5] = 2;
  frame.eth.h_proto = htons(ETH_P_IP);
  frame.ip.version = 4;
  frame.ip.ihl = 5;
  frame.ip.tot_len = htons(sizeof(frame) - sizeof(frame.eth));
  frame.ip.ttl = 64;
  frame.ip.protocol = IPPROTO_UDP;
  frame.ip.saddr = htonl(kClients + flow / kFlowsPerClient);
  frame.ip.daddr = htonl(kServices + flow % services);
  frame.ip.check = IpChecksum(frame.ip);
  frame.udp.source = htons(kFirstClientPort + flow % kFlowsPerClient);
  frame.udp.dest = htons(kServicePort);
  frame.udp.len = htons(sizeof(frame.udp) + sizeof(frame.padding));
  return frame;  // UDP checksum 0: none was computed
}

absl::Status Fill(const Options& options) {
  const Instance instance(options.instance);
  XLVS_ASSIGN_OR_RETURN(const UniqueFd program,
                        instance.OpenPin(Instance::ProgramPin("director")));
  const uint32_t ifindex = if_nametoindex(options.device.c_str());
  if (ifindex == 0)
    return absl::NotFoundError(
        absl::StrCat("no device ", options.device, " here"));

  xdp_md context = {};
  context.data_end = sizeof(Frame);
  context.ingress_ifindex = ifindex;
  uint8_t out[256];
  for (uint32_t i = 0; i < options.count; ++i) {
    const Frame frame = FrameOf(options.first + i, options.services);
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.data_in = &frame;
    run.data_size_in = sizeof(frame);
    run.data_out = out;
    run.data_size_out = sizeof(out);
    run.ctx_in = &context;
    run.ctx_size_in = sizeof(context);
    run.repeat = 1;
    const int error = bpf_prog_test_run_opts(program.get(), &run);
    if (error != 0) return ErrnoStatus(error, "run the director");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace xlvs::bench

int main(int argc, char** argv) {
  xlvs::bench::Options options;
  if (argc != 6 || !absl::SimpleAtoi(argv[3], &options.first) ||
      !absl::SimpleAtoi(argv[4], &options.count) ||
      !absl::SimpleAtoi(argv[5], &options.services) || options.services == 0) {
    std::fputs("usage: xlvs_bench_fill INSTANCE DEVICE FIRST COUNT SERVICES\n",
               stderr);
    return 2;
  }
  options.instance = argv[1];
  options.device = argv[2];
  const absl::Status status = xlvs::bench::Fill(options);
  if (!status.ok()) {
    absl::FPrintF(stderr, "fill: %s\n", status.message());
    return 1;
  }
  return 0;
}
