// SPDX-License-Identifier: Apache-2.0
//
// Listings to the byte: what scripts cut at columns. The texts are those of
// ipvsadm 1.31 for the same services.
#include "loader/cli/print.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/str_cat.h"

namespace xlvs {
namespace {

IpAddr Addr(absl::string_view text) {
  return *IpAddr::Parse(text);
}

ServiceView MakeService(Protocol protocol, absl::string_view addr,
                        uint16_t port, Scheduler scheduler = Scheduler::kWlc) {
  ServiceView view;
  view.service = {{Addr(addr), port, protocol}, scheduler, 0};
  return view;
}

DestView MakeDest(absl::string_view addr, uint16_t port, uint32_t weight = 1,
                  int64_t active = 0, int64_t inactive = 0) {
  DestView view;
  view.dest = {{Addr(addr), port}, Method::kMasq, weight, {}};
  view.active_conns = active;
  view.inactive_conns = inactive;
  return view;
}

// One service with three dests, newest first, and one without.
std::vector<ServiceView> Example() {
  ServiceView web = MakeService(Protocol::kTcp, "10.9.9.9", 443);
  web.counters = {5, 10, 20, 3000, 4000};
  web.rates = {1, 2, 3, 4, 5};
  web.dests = {MakeDest("10.0.0.3", 8080, 5, 7, 8),
               MakeDest("10.0.0.2", 8080, 0),
               MakeDest("192.168.0.1", 80, 2147483647, 4000000000, 12)};
  web.dests[0].counters = {99999999, 100000000, 999999999, 1000000000,
                           99999999999};
  web.dests[0].rates = {99999999, 100000000, 999999999, 1000000000, 4294967295};
  ServiceView dns = MakeService(Protocol::kUdp, "1.2.3.4", 53, Scheduler::kRr);
  dns.counters = {123456789, 61728394, 41152263, 1234567890, 2469135780};
  return {web, dns};
}

std::string Services(ListColumns columns, bool exact = false) {
  std::vector<ServiceView> services = Example();
  Sort(services);
  ListOptions options;
  options.columns = columns;
  options.exact = exact;
  std::ostringstream out;
  PrintServices(services, options, Numeric(), out);
  return out.str();
}

TEST(PrintServices, PrintsThePlainTable) {
  EXPECT_EQ(
      Services(ListColumns::kPlain),
      "Prot LocalAddress:Port Scheduler Flags\n"
      "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
      "TCP  10.9.9.9:443 wlc\n"
      "  -> 192.168.0.1:80               Masq    2147483647 4000000000 12"
      "        \n"
      "  -> 10.0.0.2:8080                Masq    0      0          0         \n"
      "  -> 10.0.0.3:8080                Masq    5      7          8         \n"
      "UDP  1.2.3.4:53 rr\n");
}

TEST(PrintServices, PrintsStats) {
  EXPECT_EQ(
      Services(ListColumns::kStats),
      "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes "
      "OutBytes\n"
      "  -> RemoteAddress:Port\n"
      "TCP  10.9.9.9:443                        5       10       20     3000 "
      "    4000\n"
      "  -> 192.168.0.1:80                      0        0        0        0 "
      "       0\n"
      "  -> 10.0.0.2:8080                       0        0        0        0 "
      "       0\n"
      "  -> 10.0.0.3:8080                99999999  100000K  999999K    1000M "
      "  99999M\n"
      "UDP  1.2.3.4:53                    123456K 61728394 41152263    1234M "
      "   2469M\n");
}

TEST(PrintServices, PrintsExactStats) {
  EXPECT_EQ(
      Services(ListColumns::kStats, /*exact=*/true),
      "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes "
      "OutBytes\n"
      "  -> RemoteAddress:Port\n"
      "TCP  10.9.9.9:443                        5       10       20     3000 "
      "    4000\n"
      "  -> 192.168.0.1:80                      0        0        0        0 "
      "       0\n"
      "  -> 10.0.0.2:8080                       0        0        0        0 "
      "       0\n"
      "  -> 10.0.0.3:8080                99999999 100000000 999999999 "
      "1000000000 99999999999\n"
      "UDP  1.2.3.4:53                   123456789 61728394 41152263 "
      "1234567890 2469135780\n");
}

TEST(PrintServices, PrintsRatesWithWholePacketCountsOfDests) {
  EXPECT_EQ(
      Services(ListColumns::kRate),
      "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS "
      "  OutBPS\n"
      "  -> RemoteAddress:Port\n"
      "TCP  10.9.9.9:443                        1        2        3        4 "
      "       5\n"
      "  -> 192.168.0.1:80                      0        0        0        0 "
      "       0\n"
      "  -> 10.0.0.2:8080                       0        0        0        0 "
      "       0\n"
      "  -> 10.0.0.3:8080                99999999 100000000 999999999    "
      "1000M    4294M\n"
      "UDP  1.2.3.4:53                          0        0        0        0 "
      "       0\n");
}

TEST(PrintServices, PrintsThresholds) {
  EXPECT_EQ(
      Services(ListColumns::kThresholds),
      "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn "
      "InActConn \n"
      "  -> RemoteAddress:Port\n"
      "TCP  10.9.9.9:443 wlc\n"
      "  -> 192.168.0.1:80               0          0          4000000000 12"
      "        \n"
      "  -> 10.0.0.2:8080                0          0          0          0 "
      "        \n"
      "  -> 10.0.0.3:8080                0          0          7          8 "
      "        \n"
      "UDP  1.2.3.4:53 rr\n");
}

TEST(PrintServices, PrintsPersistentConns) {
  EXPECT_EQ(
      Services(ListColumns::kPersistentConn),
      "Prot LocalAddress:Port            Weight    PersistConn ActiveConn "
      "InActConn \n"
      "  -> RemoteAddress:Port\n"
      "TCP  10.9.9.9:443 wlc\n"
      "  -> 192.168.0.1:80               2147483647 0           4000000000 12"
      "        \n"
      "  -> 10.0.0.2:8080                0         0           0          0 "
      "        \n"
      "  -> 10.0.0.3:8080                5         0           7          8 "
      "        \n"
      "UDP  1.2.3.4:53 rr\n");
}

TEST(PrintServices, PrintsTunnelInfo) {
  std::vector<ServiceView> services = {
      MakeService(Protocol::kTcp, "10.9.9.9", 80)};
  services[0].dests = {MakeDest("10.0.0.1", 80), MakeDest("10.0.0.2", 80),
                       MakeDest("10.0.0.3", 80)};
  services[0].dests[1].dest.method = Method::kTunnel;
  services[0].dests[2].dest.method = Method::kRoute;
  ListOptions options;
  options.columns = ListColumns::kTunInfo;
  std::ostringstream out;
  PrintServices(services, options, Numeric(), out);
  EXPECT_EQ(
      out.str(),
      "Prot LocalAddress:Port Scheduler Flags\n"
      "  -> RemoteAddress:Port           Forward TunnelInfo    Weight "
      "ActiveConn InActConn\n"
      "TCP  10.9.9.9:80 wlc\n"
      "  -> 10.0.0.1:80                  Masq    n/a           1      0      "
      "    0         \n"
      "  -> 10.0.0.2:80                  Tunnel  ipip          1      0      "
      "    0         \n"
      "  -> 10.0.0.3:80                  Route   n/a           1      0      "
      "    0         \n");
}

TEST(PrintServices, CutsLongNamesToTheirColumn) {
  std::vector<ServiceView> services = {
      MakeService(Protocol::kTcp, "10.9.9.9", 80)};
  services[0].dests = {MakeDest("10.0.0.1", 80)};
  const Names names = {
      [](const IpAddr&) { return "a-rather-long-host-name.example.com"; },
      [](uint16_t, Protocol) { return "http"; }};
  std::ostringstream out;
  PrintServices(services, {}, names, out);
  EXPECT_THAT(out.str(),
              testing::HasSubstr("TCP  a-rather-long-host-name.exam wlc\n"
                                 "  -> a-rather-long-host-name.exam Masq "));
}

TEST(PrintServices, NeverPrintsANegativeCount) {
  std::vector<ServiceView> services = {
      MakeService(Protocol::kTcp, "10.9.9.9", 80)};
  services[0].dests = {MakeDest("10.0.0.1", 80, 1, -1, -5)};
  std::ostringstream out;
  PrintServices(services, {}, Numeric(), out);
  EXPECT_THAT(out.str(),
              testing::HasSubstr("Masq    1      0          0         \n"));
}

TEST(PrintServices, NamesASchedulersFlags) {
  ServiceView sh = MakeService(Protocol::kUdp, "1.2.3.4", 53, Scheduler::kSh);
  sh.service.sched_flags = kSchedFlag1 | kSchedFlag2;
  ServiceView mh = MakeService(Protocol::kTcp, "1.2.3.4", 80, Scheduler::kMh);
  mh.service.sched_flags = kSchedFlag2;
  ServiceView wlc = MakeService(Protocol::kTcp, "1.2.3.4", 81);
  wlc.service.sched_flags = kSchedFlag1 | kSchedFlag3;
  std::ostringstream list;
  PrintServices({mh, wlc, sh}, {}, Numeric(), list);
  EXPECT_THAT(list.str(),
              testing::EndsWith("TCP  1.2.3.4:80 mh (mh-port)\n"
                                "TCP  1.2.3.4:81 wlc (flag-1,flag-3)\n"
                                "UDP  1.2.3.4:53 sh (sh-fallback,sh-port)\n"));
  std::ostringstream rules;
  PrintRules({mh, wlc, sh}, false, Numeric(), rules);
  EXPECT_EQ(rules.str(),
            "-A -t 1.2.3.4:80 -s mh -b mh-port\n"
            "-A -t 1.2.3.4:81 -s wlc -b flag-1,flag-3\n"
            "-A -u 1.2.3.4:53 -s sh -b sh-fallback,sh-port\n");
}

TEST(PrintServices, CountsTemplatesOfTheirDests) {
  std::vector<ServiceView> services = {
      MakeService(Protocol::kTcp, "10.9.9.9", 80)};
  services[0].dests = {MakeDest("10.0.0.1", 80, 3, 1, 2)};
  services[0].dests[0].persistent_conns = 17;
  ListOptions options;
  options.columns = ListColumns::kPersistentConn;
  std::ostringstream out;
  PrintServices(services, options, Numeric(), out);
  EXPECT_THAT(out.str(),
              testing::EndsWith("  -> 10.0.0.1:80                  3         "
                                "17          1          2         \n"));
}

// ipvsadm prints it as a signed number, which it does not take back.
TEST(PrintRules, SavesLargeMarksAsTheyAreGiven) {
  ServiceView view;
  view.service.key = {Addr("0.0.0.0"), 0, Protocol::kIp, 4294967295};
  std::ostringstream out;
  PrintRules({view}, false, Numeric(), out);
  EXPECT_EQ(out.str(), "-A -f 4294967295 -s wlc\n");
}

TEST(PrintTableLine, SaysHowManyConnsThereIsRoomFor) {
  std::ostringstream out;
  PrintTableLine({4096}, out);
  EXPECT_EQ(out.str(), "IP Virtual Server version 1.2.1 (size=4096)\n");
}

TEST(CounterText, ScalesWhereIpvsadmDoes) {
  const struct {
    uint64_t number;
    const char* text;
  } kCases[] = {
      {0, "        0"},
      {99'999'999, " 99999999"},
      {100'000'000, "  100000K"},
      {999'999'999, "  999999K"},
      {1'000'000'000, "    1000M"},
      {99'999'999'999, "   99999M"},
      {100'000'000'000, "     100G"},
      {99'999'999'999'999, "   99999G"},
      {100'000'000'000'000, "     100T"},
      {UINT64_MAX, "18446744T"},
  };
  for (const auto& test : kCases)
    EXPECT_EQ(CounterText(test.number, /*exact=*/false), test.text);
}

TEST(CounterText, IsNineColumnsOrMoreWhenExact) {
  EXPECT_EQ(CounterText(0, true), "        0");
  EXPECT_EQ(CounterText(123456789, true), " 123456789");
  EXPECT_EQ(CounterText(UINT64_MAX, true), " 18446744073709551615");
}

std::vector<std::string> Order(std::vector<ServiceView> services) {
  Sort(services);
  std::vector<std::string> order;
  for (const ServiceView& view : services) {
    const ServiceKey& key = view.service.key;
    order.push_back(absl::StrCat(key.protocol == Protocol::kTcp ? "t " : "u ",
                                 key.vaddr.ToString(), ":", key.vport));
  }
  return order;
}

TEST(Sort, OrdersByProtocolThenAddressThenPort) {
  EXPECT_THAT(
      Order({MakeService(Protocol::kUdp, "1.2.3.4", 53),
             MakeService(Protocol::kTcp, "10.9.9.9", 443),
             MakeService(Protocol::kTcp, "192.168.0.1", 80),
             MakeService(Protocol::kTcp, "10.9.9.9", 80),
             MakeService(Protocol::kTcp, "10.8.8.8", 81)}),
      testing::ElementsAre("t 192.168.0.1:80", "t 10.8.8.8:81", "t 10.9.9.9:80",
                           "t 10.9.9.9:443", "u 1.2.3.4:53"));
}

// Those of 2^31 and above are below 0 to ipvsadm.
TEST(Sort, PutsMarksBehindAddresses) {
  std::vector<ServiceView> services;
  for (const uint32_t fwmark : {8u, 0u, 4294967295u, 7u}) {
    services.push_back(MakeService(Protocol::kTcp, "10.9.9.9", 80));
    services.back().service.key.fwmark = fwmark;
  }
  Sort(services);
  std::vector<uint32_t> order;
  for (const ServiceView& view : services)
    order.push_back(view.service.key.fwmark);
  EXPECT_THAT(order, testing::ElementsAre(4294967295u, 0u, 7u, 8u));
}

TEST(Sort, ComparesAddressesBySignedDifference) {
  EXPECT_THAT(Order({MakeService(Protocol::kTcp, "200.0.0.1", 80),
                     MakeService(Protocol::kTcp, "100.0.0.1", 80)}),
              testing::ElementsAre("t 100.0.0.1:80", "t 200.0.0.1:80"));
  EXPECT_THAT(Order({MakeService(Protocol::kTcp, "10.0.0.1", 80),
                     MakeService(Protocol::kTcp, "200.0.0.1", 80)}),
              testing::ElementsAre("t 200.0.0.1:80", "t 10.0.0.1:80"));
}

TEST(Sort, SurvivesAnOrderThatGoesRoundInCircles) {
  std::vector<ServiceView> services;
  for (int i = 0; i < 300; ++i)
    services.push_back(
        MakeService(Protocol::kTcp,
                    absl::StrCat((i * 37) % 224 + 1, ".0.0.", i % 250), 80));
  EXPECT_EQ(Order(services).size(), 300u);
}

TEST(Sort, OrdersDestsToo) {
  ServiceView service = MakeService(Protocol::kTcp, "10.9.9.9", 80);
  service.dests = {MakeDest("10.0.0.3", 8080), MakeDest("10.0.0.3", 80),
                   MakeDest("192.168.0.1", 1), MakeDest("10.0.0.2", 8080)};
  std::vector<ServiceView> services = {service};
  Sort(services);
  std::vector<std::string> order;
  for (const DestView& view : services[0].dests)
    order.push_back(
        absl::StrCat(view.dest.key.daddr.ToString(), ":", view.dest.key.dport));
  EXPECT_THAT(order, testing::ElementsAre("192.168.0.1:1", "10.0.0.2:8080",
                                          "10.0.0.3:80", "10.0.0.3:8080"));
}

std::vector<ConnView> ExampleConns() {
  return {{Protocol::kTcp, 898, "ESTABLISHED", Addr("10.1.0.101"), 9100,
           Addr("10.9.9.9"), 80, Addr("10.2.0.11"), 8080},
          {Protocol::kUdp, 30, "UDP", Addr("10.1.0.102"), 1234, Addr("1.2.3.4"),
           53, Addr("10.2.0.12"), 53},
          {Protocol::kTcp, 120000, "SYN_RECV", Addr("10.1.0.103"), 9101,
           Addr("10.9.9.9"), 443, Addr("10.0.0.99"), 443}};
}

TEST(PrintConns, PrintsARowAConnection) {
  std::ostringstream out;
  PrintConns(ExampleConns(), {}, Numeric(), out);
  EXPECT_EQ(out.str(),
            "IPVS connection entries\n"
            "pro expire state       source             virtual            "
            "destination\n"
            "TCP 14:58  ESTABLISHED 10.1.0.101:9100    10.9.9.9:80        "
            "10.2.0.11:8080\n"
            "UDP 00:30  UDP         10.1.0.102:1234    1.2.3.4:53         "
            "10.2.0.12:53\n"
            "TCP 2000:00 SYN_RECV    10.1.0.103:9101    10.9.9.9:443       "
            "10.0.0.99:443\n");
}

TEST(PrintConns, LetsSctpAndV6ShiftTheirColumns) {
  std::ostringstream out;
  PrintConns({{Protocol::kSctp, 900, "S-ACK-SENT", Addr("10.1.0.1"), 1024,
               Addr("1.2.3.4"), 36412, Addr("10.2.0.1"), 36412},
              {Protocol::kTcp, 59, "SYN_RECV", Addr("2001:db8::c"), 9100,
               Addr("2001:db8::1"), 80, Addr("10.2.0.1"), 80}},
             {}, Numeric(), out);
  EXPECT_EQ(out.str().substr(out.str().find("SCTP")),
            "SCTP 15:00  S-ACK-SENT  10.1.0.1:1024      1.2.3.4:36412      "
            "10.2.0.1:36412\n"
            "TCP 00:59  SYN_RECV    [2001:db8::c]:9100 [2001:db8::1]:80   "
            "10.2.0.1:80\n");
}

TEST(PrintConns, PrintsTemplatesAsIpvsadm) {
  std::ostringstream out;
  PrintConns({{Protocol::kIp, 38, "NONE", Addr("10.1.0.123"), 0,
               Addr("0.0.0.5"), 0, Addr("10.2.0.12"), 0},
              {Protocol::kTcp, 59, "ASSURED", Addr("10.1.0.101"), 0,
               Addr("10.9.9.9"), 80, Addr("10.2.0.11"), 80}},
             {}, Numeric(), out);
  EXPECT_EQ(out.str().substr(out.str().find("IP  ")),
            "IP  00:38  NONE        10.1.0.123:0       0.0.0.5:0          "
            "10.2.0.12:0\n"
            "TCP 00:59  ASSURED     10.1.0.101:0       10.9.9.9:80        "
            "10.2.0.11:80\n");
}

TEST(PrintConns, HasTitlesForPersistenceEngines) {
  ListOptions options;
  options.columns = ListColumns::kPersistentConn;
  std::ostringstream out;
  PrintConns({}, options, Numeric(), out);
  EXPECT_EQ(out.str(),
            "IPVS connection entries\n"
            "pro expire state       source             virtual            "
            "destination        pe name          pe_data\n");
}

TEST(PrintTimeouts, PrintsOneLine) {
  std::ostringstream out;
  PrintTimeouts({900, 120, 300}, out);
  EXPECT_EQ(out.str(), "Timeout (tcp tcpfin udp): 900 120 300\n");
}

TEST(PrintRules, PrintsWhatRestoreReads) {
  std::vector<ServiceView> services = Example();
  Sort(services);
  services[0].dests[1].dest.method = Method::kRoute;
  services[0].dests[2].dest.method = Method::kTunnel;
  std::ostringstream out;
  PrintRules(services, false, Numeric(), out);
  EXPECT_EQ(out.str(),
            "-A -t 10.9.9.9:443 -s wlc\n"
            "-a -t 10.9.9.9:443 -r 192.168.0.1:80 -m -w 2147483647\n"
            "-a -t 10.9.9.9:443 -r 10.0.0.2:8080 -g -w 0\n"
            "-a -t 10.9.9.9:443 -r 10.0.0.3:8080 -i -w 5 --tun-type ipip\n"
            "-A -u 1.2.3.4:53 -s rr\n");
}

}  // namespace
}  // namespace xlvs
