// SPDX-License-Identifier: Apache-2.0
//
// The decapsulator: whole frames in, whole frames out. Headers are built here
// from the RFCs, checksums over whole packets (checksum.h).
#include "maps/decap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <bitset>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/decap_object.h"
#include "tests/packet/checksum.h"
#include "tests/packet/describe.h"
#include "tests/packet/fixture.h"
#include "tests/packet/packet.h"
#include "tests/packet/wire.h"

namespace xlvs {
namespace {

// ---- the bench

const char* const kNames[] = {
#define XLVS_X(name, action, text) #name,
    XLVS_DECAP_STEPS(XLVS_X)
#undef XLVS_X
        "(none)"};

constexpr uint32_t kActions[] = {
#define XLVS_X(name, action, text) XDP_##action,
    XLVS_DECAP_STEPS(XLVS_X)
#undef XLVS_X
        XDP_ABORTED};

constexpr size_t kFrameBytesMax = 65536;
constexpr uint16_t kPort = 6080;
constexpr Mac kMac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x21};

IpAddr ParseAddr(const char* text) {
  return Must(IpAddr::Parse(text));
}

const IpAddr kDirector4 = ParseAddr("192.0.2.1");
const IpAddr kDirector6 = ParseAddr("2001:db8:2::1");
const IpAddr kHost4 = ParseAddr("192.0.2.2");
const IpAddr kHost6 = ParseAddr("2001:db8:2::2");
const IpAddr kOther4 = ParseAddr("192.0.2.77");
const IpAddr kOther6 = ParseAddr("2001:db8:2::77");
const IpAddr kClient4 = ParseAddr("203.0.113.1");
const IpAddr kClient6 = ParseAddr("2001:db8:1::1");
const IpAddr kVip4 = ParseAddr("198.51.100.1");
const IpAddr kVip6 = ParseAddr("2001:db8:100::1");

struct DecapOutcome {
  xlvs_decap_step step = XLVS_DECAP_max;
  Bytes out;
};

// A loaded decapsulator in a network namespace that forwards nothing.
class DecapBench {
 public:
  explicit DecapBench(std::vector<IpAddr> vips = {}) : object_(Load(vips)) {
    for (const auto& [name, fd] : object_.Pins()) {
      if (name == "program") program_ = fd;
      if (name == "ends") ends_ = fd;
      if (name == "devs") devices_ = fd;
    }
    // Test runs come in by the loopback interface.
    const uint32_t ifindex = if_nametoindex("lo");
    xlvs_decap_device device = {};
    std::copy(kMac.begin(), kMac.end(), device.mac);
    EXPECT_EQ(bpf_map_update_elem(devices_, &ifindex, &device, 0), 0);
  }

  DecapOutcome Run(const Bytes& in) {
    DecapOutcome outcome;
    outcome.out.resize(kFrameBytesMax);
    const auto before = Counters();
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = in.data();
    options.data_size_in = in.size();
    options.data_out = outcome.out.data();
    options.data_size_out = outcome.out.size();
    options.repeat = 1;
    const int error = bpf_prog_test_run_opts(program_, &options);
    EXPECT_EQ(error, 0) << std::strerror(-error) << ", " << in.size()
                        << " bytes";
    if (error != 0) return outcome;
    outcome.out.resize(options.data_size_out);
    const auto after = Counters();
    EXPECT_EQ(after[0] - before[0], 1u) << "counted as received";
    for (size_t i = 0; i < XLVS_DECAP_max; ++i) {
      const uint64_t rose = after[i + 1] - before[i + 1];
      if (rose == 0) continue;
      EXPECT_EQ(rose, 1u) << kNames[i];
      EXPECT_EQ(outcome.step, XLVS_DECAP_max)
          << "counted both as " << kNames[outcome.step] << " and " << kNames[i];
      outcome.step = static_cast<xlvs_decap_step>(i);
    }
    EXPECT_NE(outcome.step, XLVS_DECAP_max) << "counted as no ending";
    EXPECT_EQ(options.retval, kActions[outcome.step]) << kNames[outcome.step];
    if (outcome.step != XLVS_DECAP_max) Seen().set(outcome.step);
    return outcome;
  }

  static std::bitset<XLVS_DECAP_max>& Seen() {
    static std::bitset<XLVS_DECAP_max> seen;
    return seen;
  }

 private:
  static DecapObject Load(const std::vector<IpAddr>& vips) {
    static const bool alone = EnterOwnNamespace();
    EXPECT_TRUE(alone);
    DecapOptions options;
    options.from = {kDirector4, kDirector6};
    options.vips = vips;
    options.tun_port = kPort;
    auto object = DecapObject::Load(options);
    if (!object.ok()) {
      std::fprintf(stderr, "%s\n%s\n", object.status().ToString().c_str(),
                   LibbpfLog().c_str());
      std::exit(1);
    }
    return *std::move(object);
  }

  static bool EnterOwnNamespace() {
    CaptureLibbpfLog();
    if (unshare(CLONE_NEWNET) != 0) return false;
    MustRun("ip link set lo up");
    std::ofstream("/proc/sys/net/ipv4/ip_forward") << "0";
    return true;
  }

  std::vector<uint64_t> Counters() const {
    constexpr size_t kWords = XLVS_DECAP_max + 1;
    const int cpus = libbpf_num_possible_cpus();
    std::vector<uint64_t> by_cpu(kWords * cpus);
    const uint32_t zero = 0;
    EXPECT_EQ(bpf_map_lookup_elem(ends_, &zero, by_cpu.data()), 0);
    std::vector<uint64_t> sums(kWords);
    for (size_t i = 0; i < by_cpu.size(); ++i) sums[i % kWords] += by_cpu[i];
    return sums;
  }

  DecapObject object_;
  int program_ = -1;
  int ends_ = -1;
  int devices_ = -1;
};

// ---- packets

void Put(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
Bytes BytesOf(const IpAddr& addr) {
  const uint8_t* raw = addr.raw().byte;
  return addr.is_v4() ? Bytes(raw + 12, raw + 16) : Bytes(raw, raw + 16);
}

// An IP header and what it holds; IPv4 or IPv6 as the addresses are.
struct IpPacket {
  IpAddr saddr;
  IpAddr daddr;
  uint8_t protocol = 0;
  uint8_t traffic_class = 0;  // TOS
  uint8_t ttl = 64;
  uint16_t fragment = 0x4000;  // only IPv4: flags and offset
  Bytes options = {};          // only IPv4
};

Bytes BuildIp(const IpPacket& ip, const Bytes& data) {
  Bytes out;
  if (ip.saddr.is_v4()) {
    const size_t header = 20 + ip.options.size();
    out = {static_cast<uint8_t>(0x40 | header / 4), ip.traffic_class};
    Put16(out, header + data.size());
    Put16(out, 0x1234);
    Put16(out, ip.fragment);
    Put(out, {ip.ttl, ip.protocol, 0, 0});
    Put(out, BytesOf(ip.saddr));
    Put(out, BytesOf(ip.daddr));
    Put(out, ip.options);
    Set16(out, 10, InternetChecksum(out));
  } else {
    out = {static_cast<uint8_t>(0x60 | ip.traffic_class >> 4),
           static_cast<uint8_t>(ip.traffic_class << 4 | 0x5), 0x67, 0x89};
    Put16(out, data.size());
    Put(out, {ip.protocol, ip.ttl});
    Put(out, BytesOf(ip.saddr));
    Put(out, BytesOf(ip.daddr));
  }
  Put(out, data);
  return out;
}

enum class Kind { kIpip, kGue, kGueCsum, kGre, kGreCsum };
constexpr Kind kKinds[] = {Kind::kIpip, Kind::kGue, Kind::kGueCsum, Kind::kGre,
                           Kind::kGreCsum};

bool IsGue(Kind kind) {
  return kind == Kind::kGue || kind == Kind::kGueCsum;
}
bool IsGre(Kind kind) {
  return kind == Kind::kGre || kind == Kind::kGreCsum;
}
xlvs_decap_step DecapStep(Kind kind) {
  if (IsGue(kind)) return XLVS_DECAP_pass_decap_gue;
  return IsGre(kind) ? XLVS_DECAP_pass_decap_gre : XLVS_DECAP_pass_decap_ipip;
}

uint16_t UdpChecksum(const IpPacket& ip, const Bytes& datagram) {
  Bytes pseudo = BytesOf(ip.saddr);
  Put(pseudo, BytesOf(ip.daddr));
  Put16(pseudo, 17);
  Put16(pseudo, datagram.size());
  Put(pseudo, datagram);
  const uint16_t sum = InternetChecksum(pseudo);
  return sum == 0 ? 0xffff : sum;
}

// A frame with a packet in a packet.
struct Tunnelled {
  Mac dmac = kMac;
  Mac smac = kDirectorMac;
  std::vector<uint16_t> tags = {};  // TPIDs, outermost first
  Kind kind = Kind::kIpip;
  IpPacket outer = {};            // its protocol is set by `kind`
  std::optional<Bytes> gue = {};  // GUE's header
  std::optional<Bytes> gre = {};  // GRE's first four bytes
  uint16_t port = kPort;
  Bytes inner = {};
  Bytes padding = {};
};

bool IsV4(const Bytes& packet) {
  return packet[0] >> 4 == 4;
}

Bytes Shim(const Tunnelled& tunnel) {
  const bool v4 = IsV4(tunnel.inner);
  Bytes data;
  if (IsGue(tunnel.kind)) {
    Put16(data, 50000);
    Put16(data, tunnel.port);
    Put(data, {0, 0, 0, 0});
    Put(data,
        tunnel.gue.value_or(Bytes{0, static_cast<uint8_t>(v4 ? 4 : 41), 0, 0}));
  } else if (IsGre(tunnel.kind)) {
    Put(data,
        tunnel.gre.value_or(Bytes{
            static_cast<uint8_t>(tunnel.kind == Kind::kGreCsum ? 0x80 : 0), 0,
            static_cast<uint8_t>(v4 ? 0x08 : 0x86),
            static_cast<uint8_t>(v4 ? 0x00 : 0xdd)}));
    if (tunnel.kind == Kind::kGreCsum) Put(data, {0, 0, 0, 0});
  }
  return data;
}

IpPacket OuterOf(const Tunnelled& tunnel) {
  IpPacket outer = tunnel.outer;
  outer.protocol = IsGue(tunnel.kind)   ? 17
                   : IsGre(tunnel.kind) ? 47
                   : IsV4(tunnel.inner) ? 4
                                        : 41;
  return outer;
}

Bytes EthernetFrame(const Tunnelled& tunnel, uint16_t type,
                    const Bytes& packet) {
  Bytes frame(tunnel.dmac.begin(), tunnel.dmac.end());
  frame.insert(frame.end(), tunnel.smac.begin(), tunnel.smac.end());
  uint16_t tci = 0x2064;
  for (const uint16_t tpid : tunnel.tags) {
    Put16(frame, tpid);
    Put16(frame, tci++);
  }
  Put16(frame, type);
  Put(frame, packet);
  Put(frame, tunnel.padding);
  return frame;
}

// The tunnel's header and all behind it, checksummed.
Bytes BuildData(const Tunnelled& tunnel) {
  Bytes data = Shim(tunnel);
  Put(data, tunnel.inner);
  if (IsGue(tunnel.kind)) Set16(data, 4, data.size());
  if (tunnel.kind == Kind::kGueCsum)
    Set16(data, 6, UdpChecksum(OuterOf(tunnel), data));
  if (tunnel.kind == Kind::kGreCsum) Set16(data, 4, InternetChecksum(data));
  return data;
}

Bytes Build(const Tunnelled& tunnel) {
  return EthernetFrame(tunnel, tunnel.outer.saddr.is_v4() ? 0x0800 : 0x86dd,
                       BuildIp(OuterOf(tunnel), BuildData(tunnel)));
}

Bytes Decapsulated(const Tunnelled& tunnel) {
  return EthernetFrame(tunnel, IsV4(tunnel.inner) ? 0x0800 : 0x86dd,
                       tunnel.inner);
}

size_t OuterOffset(const Tunnelled& tunnel) {
  return 14 + 4 * tunnel.tags.size();
}
size_t DataOffset(const Tunnelled& tunnel) {
  return OuterOffset(tunnel) +
         (tunnel.outer.saddr.is_v4() ? 20 + tunnel.outer.options.size() : 40);
}

Bytes Inner(int family, size_t payload = 40, uint8_t traffic_class = 0) {
  const bool v4 = family == 4;
  return BuildIp({.saddr = v4 ? kClient4 : kClient6,
                  .daddr = v4 ? kVip4 : kVip6,
                  .protocol = 6,
                  .traffic_class = traffic_class,
                  .ttl = 33},
                 Pattern(payload));
}

Tunnelled Make(Kind kind, int outer, int inner, size_t payload = 40) {
  Tunnelled tunnel;
  tunnel.kind = kind;
  tunnel.outer.saddr = outer == 4 ? kDirector4 : kDirector6;
  tunnel.outer.daddr = outer == 4 ? kHost4 : kHost6;
  tunnel.inner = Inner(inner, payload);
  return tunnel;
}

class Decap : public testing::Test {
 protected:
  void Expect(const Bytes& in, xlvs_decap_step step, const Bytes& out) {
    const DecapOutcome outcome = bench().Run(in);
    EXPECT_STREQ(kNames[outcome.step], kNames[step]);
    EXPECT_EQ(outcome.out, out) << "in:\n"
                                << Describe(in) << "out:\n"
                                << Describe(outcome.out) << "wanted:\n"
                                << Describe(out);
  }
  void ExpectUntouched(const Bytes& in, xlvs_decap_step step) {
    Expect(in, step, in);
  }
  void ExpectDecapsulated(const Tunnelled& tunnel) {
    Expect(Build(tunnel), DecapStep(tunnel.kind), Decapsulated(tunnel));
  }

  static void ForEach(const std::function<void(Tunnelled)>& look) {
    for (const Kind kind : kKinds)
      for (const int outer : {4, 6})
        for (const int inner : {4, 6}) {
          SCOPED_TRACE(absl::StrCat("kind ", static_cast<int>(kind), ", IPv",
                                    inner, " in IPv", outer));
          look(Make(kind, outer, inner));
        }
  }

  static DecapBench& bench() {
    static DecapBench bench;
    return bench;
  }
};

// ---- what comes out

TEST_F(Decap, TakesTheOuterHeadersOffAndNothingElse) {
  ForEach([&](Tunnelled tunnel) { ExpectDecapsulated(tunnel); });
}

TEST_F(Decap, KeepsVlanTags) {
  ForEach([&](Tunnelled tunnel) {
    tunnel.tags = {0x8100};
    ExpectDecapsulated(tunnel);
    tunnel.tags = {0x88a8, 0x8100};
    ExpectDecapsulated(tunnel);
    tunnel.tags = {0x88a8, 0x8100, 0x8100};
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_vlan);
  });
}

TEST_F(Decap, WalksOverOuterOptions) {
  ForEach([&](Tunnelled tunnel) {
    if (!tunnel.outer.saddr.is_v4()) return;
    for (size_t bytes = 4; bytes <= 40; bytes += 4) {
      tunnel.outer.options = Bytes(bytes, 1);  // no-operation
      ExpectDecapsulated(tunnel);
      tunnel.tags = {0x88a8, 0x8100};
      ExpectDecapsulated(tunnel);
    }
  });
}

TEST_F(Decap, TakesEverySize) {
  for (const Kind kind : kKinds)
    for (const int outer : {4, 6})
      for (size_t payload = 0; payload <= 1460; ++payload)
        ExpectDecapsulated(Make(kind, outer, 4, payload));
}

// 8,900 and more do not fit into one buffer. 512 is where the sum begins anew.
TEST_F(Decap, TakesJumboFrames) {
  for (const Kind kind : kKinds)
    for (const int outer : {4, 6})
      for (const size_t payload :
           {3000, 4000, 4096, 5000, 8900, 8937, 15 * 512, 15 * 512 + 1, 40000})
        ExpectDecapsulated(Make(kind, outer, 6, payload));
}

TEST_F(Decap, LeavesPaddingToTheKernel) {
  ForEach([&](Tunnelled tunnel) {
    for (const size_t bytes : {1, 2, 3, 18, 46}) {
      tunnel.padding = Bytes(bytes, 0xee);
      ExpectDecapsulated(tunnel);
    }
  });
}

TEST_F(Decap, LeavesAShorterPacketInsideToTheKernel) {
  ForEach([&](Tunnelled tunnel) {
    Put(tunnel.inner, Pattern(7));
    ExpectDecapsulated(tunnel);
  });
}

TEST_F(Decap, DoesNotLookBeyondTheUdpLength) {
  for (const Kind kind : {Kind::kGue, Kind::kGueCsum})
    for (const int outer : {4, 6}) {
      const Tunnelled tunnel = Make(kind, outer, 4);
      Bytes data = BuildData(tunnel);
      Put(data, Pattern(9));  // after the datagram, inside the IP packet
      const Bytes in = EthernetFrame(tunnel, outer == 4 ? 0x0800 : 0x86dd,
                                     BuildIp(OuterOf(tunnel), data));
      Bytes out = Decapsulated(tunnel);
      Put(out, Pattern(9));
      Expect(in, XLVS_DECAP_pass_decap_gue, out);
    }
}

// RFC 6040, figure 4; rows by the inner field. -1: drop.
TEST_F(Decap, CarriesCongestionOver) {
  constexpr int kNot = 0, kEct1 = 1, kEct0 = 2, kCe = 3;
  constexpr int kTable[4][4] = {
      // outer: Not-ECT, ECT(1), ECT(0), CE
      {kNot, kNot, kNot, -1},
      {kEct1, kEct1, kEct1, kCe},
      {kEct0, kEct1, kEct0, kCe},
      {kCe, kCe, kCe, kCe},
  };
  for (const Kind kind : kKinds)
    for (const int outer : {4, 6})
      for (const int inner : {4, 6})
        for (int dscp = 0; dscp < 64; dscp += 21)
          for (int inside = 0; inside < 4; ++inside)
            for (int outside = 0; outside < 4; ++outside) {
              SCOPED_TRACE(absl::StrCat(inside, " in ", outside));
              Tunnelled tunnel = Make(kind, outer, inner);
              tunnel.inner = Inner(inner, 40, dscp << 2 | inside);
              tunnel.outer.traffic_class = 0x28 | outside;
              const int wanted = kTable[inside][outside];
              const Bytes in = Build(tunnel);
              if (wanted < 0) {
                ExpectUntouched(in, XLVS_DECAP_drop_ecn);
                continue;
              }
              tunnel.inner = Inner(inner, 40, dscp << 2 | wanted);
              Expect(in, DecapStep(kind), Decapsulated(tunnel));
            }
}

// ---- what is not taken

TEST_F(Decap, TakesNothingFromStrangers) {
  ForEach([&](Tunnelled tunnel) {
    tunnel.outer.saddr = tunnel.outer.saddr.is_v4() ? kOther4 : kOther6;
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_not_director);
  });
}

TEST_F(Decap, IsNotDeceivedByADirectorsIpv4AddressInIpv6) {
  for (const Kind kind : kKinds) {
    const Tunnelled tunnel = Make(kind, 6, 4);
    for (const size_t address : {8, 24}) {  // source, destination
      Bytes in = Build(tunnel);
      std::copy_n(kDirector4.raw().byte, 16,
                  in.begin() + OuterOffset(tunnel) + address);
      ExpectUntouched(in, XLVS_DECAP_pass_malformed);
    }
  }
}

TEST_F(Decap, PassesFragments) {
  ForEach([&](Tunnelled tunnel) {
    if (!tunnel.outer.saddr.is_v4()) return;
    for (const uint16_t fragment : {0x2000, 0x2001, 0x0001, 0x1fff, 0x6000}) {
      tunnel.outer.fragment = fragment;
      ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_fragment);
    }
    tunnel.outer.saddr = kOther4;
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_not_director);
    tunnel.outer.saddr = kDirector4;
    tunnel.outer.fragment = 0x8000;  // reserved: no fragment
    ExpectDecapsulated(tunnel);
  });
}

// `header` before what the tunnel has, in IPv6.
Bytes WithExtension(const Tunnelled& tunnel, uint8_t number, Bytes header) {
  IpPacket outer = OuterOf(tunnel);
  header[0] = outer.protocol;
  outer.protocol = number;
  Put(header, BuildData(tunnel));
  return EthernetFrame(tunnel, 0x86dd, BuildIp(outer, header));
}

TEST_F(Decap, PassesIpv6Fragments) {
  for (const Kind kind : kKinds) {
    Tunnelled tunnel = Make(kind, 6, 4);
    for (const uint8_t last : {0x00, 0x01, 0x08, 0xf9})
      ExpectUntouched(WithExtension(tunnel, 44, {0, 0, last, last, 0, 0, 0, 9}),
                      XLVS_DECAP_pass_fragment);
    tunnel.outer.saddr = kOther6;
    ExpectUntouched(WithExtension(tunnel, 44, {0, 0, 0, 1, 0, 0, 0, 9}),
                    XLVS_DECAP_pass_not_director);
  }
}

TEST_F(Decap, PassesExtensionHeaders) {
  for (const Kind kind : kKinds)
    for (const uint8_t number : {0, 43, 60, 51, 135})
      ExpectUntouched(
          WithExtension(Make(kind, 6, 4), number, {0, 0, 1, 4, 0, 0, 0, 0}),
          XLVS_DECAP_pass_extension_headers);
}

TEST_F(Decap, PassesWhatIsNoTunnel) {
  for (const int family : {4, 6})
    for (int protocol = 0; protocol < 256; ++protocol) {
      Tunnelled tunnel = Make(Kind::kIpip, family, 4);
      IpPacket outer = tunnel.outer;
      outer.protocol = protocol;
      const Bytes in = EthernetFrame(tunnel, family == 4 ? 0x0800 : 0x86dd,
                                     BuildIp(outer, Pattern(60)));
      const xlvs_decap_step step = bench().Run(in).step;
      SCOPED_TRACE(absl::StrCat(protocol, " ", kNames[step]));
      const bool tunnels = protocol == 4 || protocol == 41 || protocol == 47;
      const bool extends =
          family == 6 && (protocol == 0 || protocol == 43 || protocol == 44 ||
                          protocol == 51 || protocol == 60 || protocol == 135);
      if (!tunnels && !extends) {
        EXPECT_EQ(step, XLVS_DECAP_pass_protocol);
      }
    }
  for (const uint16_t port : {6081, 6079, 53, 0}) {
    Tunnelled tunnel = Make(Kind::kGueCsum, 4, 4);
    tunnel.port = port;
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_protocol);
  }
}

TEST_F(Decap, PassesFramesThatAreForOthers) {
  ForEach([&](Tunnelled tunnel) {
    tunnel.dmac = {0x00, 0x00, 0x5e, 0x00, 0x53, 0x22};
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_other_mac);
    tunnel.dmac = {0x01, 0x00, 0x5e, 0x00, 0x53, 0x21};
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_not_unicast);
    tunnel.dmac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_not_unicast);
  });
}

TEST_F(Decap, PassesOtherEtherTypes) {
  for (const uint16_t type : {0x0806, 0x88cc, 0x8847, 0x0000})
    ExpectUntouched(EthernetFrame(Make(Kind::kIpip, 4, 4), type, Pattern(60)),
                    XLVS_DECAP_pass_not_ip);
}

TEST_F(Decap, PassesMalformedOuterHeaders) {
  ForEach([&](Tunnelled tunnel) {
    const size_t at = OuterOffset(tunnel);
    const Bytes good = Build(tunnel);
    for (int version = 0; version < 16; ++version) {
      if (version == good[at] >> 4) continue;
      Bytes in = good;
      in[at] = version << 4 | (in[at] & 15);
      ExpectUntouched(in, XLVS_DECAP_pass_malformed);
    }
    if (!tunnel.outer.saddr.is_v4()) return;
    for (int words = 0; words < 5; ++words) {
      Bytes in = good;
      in[at] = 0x40 | words;
      ExpectUntouched(in, XLVS_DECAP_pass_malformed);
    }
    Bytes in = good;
    Set16(in, at + 2, 19);
    ExpectUntouched(in, XLVS_DECAP_pass_malformed);
    for (int bit = 0; bit < 16; ++bit) {
      in = good;
      in[at + 10 + bit / 8] ^= 1 << bit % 8;
      ExpectUntouched(in, XLVS_DECAP_pass_ip_checksum);
    }
  });
}

TEST_F(Decap, PassesAFrameCutAtAnyLength) {
  ForEach([&](Tunnelled tunnel) {
    for (const size_t tags : {0, 2}) {
      tunnel.tags.assign(tags, 0x8100);
      const Bytes whole = Build(tunnel);
      for (size_t bytes = 14; bytes < whole.size(); ++bytes) {
        SCOPED_TRACE(bytes);
        ExpectUntouched(Bytes(whole.begin(), whole.begin() + bytes),
                        XLVS_DECAP_pass_truncated);
      }
    }
  });
}

// The outer packet is right and whole, and holds less and less.
TEST_F(Decap, DropsAPacketInsideThatIsCutAtAnyLength) {
  ForEach([&](const Tunnelled& tunnel) {
    const size_t inner = tunnel.inner.size();
    for (size_t bytes = 1; bytes < inner; ++bytes) {
      SCOPED_TRACE(bytes);
      Tunnelled cut = tunnel;
      cut.inner.resize(bytes);
      ExpectUntouched(Build(cut), XLVS_DECAP_drop_inner_truncated);
    }
    const Bytes data = BuildData(tunnel);
    for (size_t bytes = 0; bytes <= data.size() - inner; ++bytes) {
      SCOPED_TRACE(bytes);
      Bytes in = EthernetFrame(
          tunnel, tunnel.outer.saddr.is_v4() ? 0x0800 : 0x86dd,
          BuildIp(OuterOf(tunnel), Bytes(data.begin(), data.begin() + bytes)));
      in.resize(in.size() + 60);  // Ethernet padding is no part of it
      const bool no_ports = IsGue(tunnel.kind) && bytes < 8;
      ExpectUntouched(in, no_ports ? XLVS_DECAP_pass_truncated
                          : tunnel.kind == Kind::kGreCsum && bytes >= 8
                              ? XLVS_DECAP_drop_gre_checksum
                              : XLVS_DECAP_drop_inner_truncated);
    }
  });
}

TEST_F(Decap, DropsAnAbsurdUdpLength) {
  for (const Kind kind : {Kind::kGue, Kind::kGueCsum})
    for (const int outer : {4, 6}) {
      const Tunnelled tunnel = Make(kind, outer, 4);
      const size_t at = DataOffset(tunnel) + 4;
      const uint16_t right = Get16(Build(tunnel), at);
      for (const uint16_t length : {0, 7, 8, 11, right + 1, 0xffff}) {
        Bytes in = Build(tunnel);
        Set16(in, at, length);
        ExpectUntouched(in, XLVS_DECAP_drop_inner_truncated);
      }
    }
}

TEST_F(Decap, DropsAMalformedPacketInside) {
  ForEach([&](const Tunnelled& tunnel) {
    const bool v4 = IsV4(tunnel.inner);
    // What the tunnel says it carries stays as it was.
    Tunnelled bad = tunnel;
    bad.gue = {{0, static_cast<uint8_t>(v4 ? 4 : 41), 0, 0}};
    bad.gre = Shim(tunnel);
    bad.gre->resize(4);
    const auto expect = [&](xlvs_decap_step step) {
      IpPacket outer = OuterOf(bad);
      if (tunnel.kind == Kind::kIpip) outer.protocol = v4 ? 4 : 41;
      ExpectUntouched(
          EthernetFrame(bad, tunnel.outer.saddr.is_v4() ? 0x0800 : 0x86dd,
                        BuildIp(outer, BuildData(bad))),
          step);
    };
    for (int version = 0; version < 16; ++version) {
      if (version == (v4 ? 4 : 6)) continue;
      bad.inner[0] = version << 4 | (tunnel.inner[0] & 15);
      expect(XLVS_DECAP_drop_inner_malformed);
    }
    bad.inner = tunnel.inner;
    const size_t length_at = v4 ? 2 : 4;
    Set16(bad.inner, length_at, Get16(tunnel.inner, length_at) + 1);
    expect(XLVS_DECAP_drop_inner_truncated);
    Set16(bad.inner, length_at, 0xffff);
    expect(XLVS_DECAP_drop_inner_truncated);
    if (!v4) return;
    Set16(bad.inner, 2, 19);
    expect(XLVS_DECAP_drop_inner_malformed);
    bad.inner = tunnel.inner;
    for (int words = 0; words < 5; ++words) {
      bad.inner[0] = 0x40 | words;
      expect(XLVS_DECAP_drop_inner_malformed);
    }
    bad.inner[0] = 0x4f;  // 60 bytes of header in 60
    Set16(bad.inner, 2, 59);
    expect(XLVS_DECAP_drop_inner_malformed);
  });
}

TEST_F(Decap, DropsIpv4AddressesInIpv6Inside) {
  for (const Kind kind : kKinds)
    for (const int outer : {4, 6})
      for (const size_t address : {8, 24}) {
        Tunnelled tunnel = Make(kind, outer, 6);
        std::copy_n(kClient4.raw().byte, 16, tunnel.inner.begin() + address);
        ExpectUntouched(Build(tunnel), XLVS_DECAP_drop_v4_mapped);
      }
}

// ---- the tunnels' own headers

TEST_F(Decap, DropsAWrongChecksum) {
  for (const Kind kind : {Kind::kGueCsum, Kind::kGreCsum})
    for (const int outer : {4, 6}) {
      const Tunnelled tunnel = Make(kind, outer, 4, 1000);
      const xlvs_decap_step step = kind == Kind::kGueCsum
                                       ? XLVS_DECAP_drop_udp_checksum
                                       : XLVS_DECAP_drop_gre_checksum;
      const Bytes good = Build(tunnel);
      const size_t inner = good.size() - tunnel.inner.size();
      for (size_t at = inner; at < good.size(); ++at) {
        Bytes in = good;
        in[at] ^= 1 << at % 8;
        ExpectUntouched(in, step);
      }
      for (int bit = 0; bit < 16; ++bit) {
        Bytes in = good;
        in[DataOffset(tunnel) + (kind == Kind::kGueCsum ? 6 : 4) + bit / 8] ^=
            1 << bit % 8;
        ExpectUntouched(in, step);
      }
    }
}

TEST_F(Decap, LooksAtTheUdpPseudoHeader) {
  for (const int outer : {4, 6}) {
    const Tunnelled tunnel = Make(Kind::kGueCsum, outer, 4);
    Tunnelled moved = tunnel;
    moved.outer.daddr = outer == 4 ? kOther4 : kOther6;
    // The datagram of the one in the header of the other.
    ExpectUntouched(EthernetFrame(moved, outer == 4 ? 0x0800 : 0x86dd,
                                  BuildIp(OuterOf(moved), BuildData(tunnel))),
                    XLVS_DECAP_drop_udp_checksum);
  }
}

// A sum of 0 is sent as ffff (RFC 768).
TEST_F(Decap, TakesAUdpChecksumOfFfff) {
  for (const int outer : {4, 6}) {
    Tunnelled tunnel = Make(Kind::kGueCsum, outer, 4);
    Set16(tunnel.inner, 38, 0);
    const uint16_t sum = Get16(BuildData(tunnel), 6);
    Set16(tunnel.inner, 38, sum);
    ASSERT_EQ(Get16(BuildData(tunnel), 6), 0xffff);
    ExpectDecapsulated(tunnel);
  }
}

TEST_F(Decap, PassesOtherGue) {
  for (const int outer : {4, 6}) {
    Tunnelled tunnel = Make(Kind::kGueCsum, outer, 4);
    // Version, control, length of options.
    for (int first = 1; first < 256; ++first) {
      tunnel.gue = {{static_cast<uint8_t>(first), 4, 0, 0}};
      ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_gue_header);
    }
    for (int bit = 0; bit < 16; ++bit) {
      tunnel.gue = {{0, 4, 0, 0}};
      (*tunnel.gue)[2 + bit / 8] = 1 << bit % 8;
      ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_gue_header);
    }
    for (const int protocol : {0, 6, 17, 47, 59}) {
      tunnel.gue = {{0, static_cast<uint8_t>(protocol), 0, 0}};
      ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_inner_protocol);
    }
  }
}

TEST_F(Decap, PassesOtherGre) {
  for (const int outer : {4, 6}) {
    Tunnelled tunnel = Make(Kind::kGre, outer, 4);
    for (int bit = 0; bit < 15; ++bit)
      for (const int checksum : {0, 0x80}) {
        tunnel.gre = {{static_cast<uint8_t>(checksum | 1 << bit >> 8),
                       static_cast<uint8_t>(1 << bit), 0x08, 0}};
        ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_gre_header);
      }
    for (const int type : {0x0806, 0x6558, 0x8847, 0}) {
      tunnel.gre = {
          {0, 0, static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type)}};
      ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_inner_protocol);
    }
  }
}

// ---- this host

TEST_F(Decap, GivesOnlyTheNamedAddressesToTheStack) {
  DecapBench strict({kVip4, ParseAddr("2001:db8:100::2")});
  ForEach([&](const Tunnelled& tunnel) {
    const DecapOutcome outcome = strict.Run(Build(tunnel));
    EXPECT_STREQ(kNames[outcome.step],
                 kNames[IsV4(tunnel.inner) ? DecapStep(tunnel.kind)
                                           : XLVS_DECAP_drop_not_vip]);
  });
}

TEST_F(Decap, LeavesToAForwardingHostWhatItForwards) {
  MustRun("ip addr add 192.0.2.2/32 dev lo");
  MustRun("ip route add 192.0.2.64/26 dev lo");
  MustRun("ip -6 addr add 2001:db8:2::2/128 dev lo nodad");
  MustRun("ip -6 route add 2001:db8:2::40/122 dev lo");
  const auto forward = [](const char* setting) {
    std::ofstream("/proc/sys/net/ipv4/ip_forward") << setting;
    std::ofstream("/proc/sys/net/ipv6/conf/all/forwarding") << setting;
  };
  forward("1");
  ForEach([&](Tunnelled tunnel) {
    ExpectDecapsulated(tunnel);
    tunnel.outer.daddr = tunnel.outer.saddr.is_v4() ? kOther4 : kOther6;
    ExpectUntouched(Build(tunnel), XLVS_DECAP_pass_not_local);
  });
  forward("0");
  ForEach([&](Tunnelled tunnel) {
    tunnel.outer.daddr = tunnel.outer.saddr.is_v4() ? kOther4 : kOther6;
    ExpectDecapsulated(tunnel);
  });
}

// ---- whatever comes

TEST_F(Decap, CountsEveryRandomPacketOnceAndTouchesNoneThatItPasses) {
  std::mt19937 random(1);
  for (int i = 0; i < 40'000; ++i) {
    Tunnelled tunnel = Make(kKinds[random() % 5], random() % 2 ? 4 : 6,
                            random() % 2 ? 4 : 6, random() % 100);
    if (random() % 4 == 0) tunnel.tags.assign(1 + random() % 3, 0x8100);
    Bytes in = Build(tunnel);
    for (uint32_t flips = random() % 5; flips > 0; --flips)
      in[random() % std::min<size_t>(in.size(), 100)] = random();
    if (random() % 4 == 0) in.resize(14 + random() % in.size());
    const DecapOutcome outcome = bench().Run(in);
    EXPECT_NE(outcome.step, XLVS_DECAP_drop_internal);
    if (outcome.step > XLVS_DECAP_pass_decap_gre) {
      EXPECT_EQ(outcome.out, in) << kNames[outcome.step];
    } else {
      EXPECT_LT(outcome.out.size(), in.size());
    }
  }
}

// Last: what no test has met was not tested.
TEST(DecapEndings, HaveAllBeenSeen) {
  if (testing::UnitTest::GetInstance()->test_to_run_count() !=
      testing::UnitTest::GetInstance()->total_test_count())
    GTEST_SKIP() << "only some tests ran";
  for (size_t step = 0; step < XLVS_DECAP_max; ++step)
    EXPECT_TRUE(DecapBench::Seen().test(step) ||
                step == XLVS_DECAP_drop_internal)
        << kNames[step];
}

}  // namespace
}  // namespace xlvs
