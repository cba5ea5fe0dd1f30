// SPDX-License-Identifier: Apache-2.0
//
// xlvs real-setup: the script to the byte, the mistakes in a line's words, and,
// on a machine in memory, that what was done can be taken back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "loader/real/apply.h"
#include "tests/unit/command_line.h"

namespace xlvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string Script(const std::string& options) {
  FakeHost host;
  const Outcome outcome = Call(host, "xlvs real-setup " + options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(host.opened, "");
  return outcome.out;
}

TEST(Script, OfDirectRoutingHidesTheAddressBeforeItIsThere) {
  EXPECT_EQ(Script("dr 192.0.2.1 2001:db8::1 --device eth0"),
            "#!/bin/sh -e\n"
            "# this host neither answers ARP for the service's address nor "
            "asks with it\n"
            "sysctl -w net.ipv4.conf.all.arp_ignore=1\n"
            "sysctl -w net.ipv4.conf.all.arp_announce=2\n"
            "sysctl -w net.ipv4.conf.eth0.arp_ignore=1\n"
            "sysctl -w net.ipv4.conf.eth0.arp_announce=2\n"
            "# requests are for the service's address\n"
            "ip -4 addr add 192.0.2.1/32 dev lo\n"
            "ip -6 addr add 2001:db8::1/128 dev lo nodad\n");
}

TEST(Script, OfV6OnlyNeedsNoArp) {
  EXPECT_EQ(Script("dr 2001:db8::1 --device eth0"),
            "#!/bin/sh -e\n"
            "# requests are for the service's address\n"
            "ip -6 addr add 2001:db8::1/128 dev lo nodad\n");
}

TEST(Script, OfTunnelsUsesTheDecapsulator) {
  EXPECT_EQ(Script("tun 192.0.2.1 --director 10.0.0.1,10.0.0.2 --device eth0.5 "
                   "--tun-type gue --tun-port 6080"),
            "#!/bin/sh -e\n"
            "# this host neither answers ARP for the service's address nor "
            "asks with it\n"
            "sysctl -w net.ipv4.conf.all.arp_ignore=1\n"
            "sysctl -w net.ipv4.conf.all.arp_announce=2\n"
            "sysctl -w net/ipv4/conf/eth0.5/arp_ignore=1\n"
            "sysctl -w net/ipv4/conf/eth0.5/arp_announce=2\n"
            "# packets from the director are taken out of the tunnel\n"
            "xlvs decap attach eth0.5 --from 10.0.0.1,10.0.0.2 --vip 192.0.2.1 "
            "--tun-port 6080\n"
            "# clients come in by another device than replies leave by\n"
            "sysctl -w net/ipv4/conf/eth0.5/rp_filter=2\n"
            "# clients leave room for the tunnel's headers\n"
            "ip -4 route change $(ip -4 route show default | head -n 1) advmss "
            "1428\n"
            "# requests are for the service's address\n"
            "ip -4 addr add 192.0.2.1/32 dev lo\n");
}

TEST(Script, OfTheKernelsTunnelsHasADeviceForEachFamilyAndDirector) {
  const struct {
    const char* options;
    std::vector<std::string> devices;
  } kCases[] = {
      {"--director 10.0.0.1",
       {"ip link add xlvs-ipip0 up type ipip remote 10.0.0.1",
        "ip link add xlvs-sit0 up type sit remote 10.0.0.1"}},
      {"--director 10.0.0.1,2001:db8::9",
       {"ip link add xlvs-ipip0 up type ipip remote 10.0.0.1",
        "ip link add xlvs-sit0 up type sit remote 10.0.0.1",
        "ip link add xlvs-ip6tnl1 up type ip6tnl remote 2001:db8::9 mode any"}},
      {"--director 10.0.0.1,2001:db8::9 --tun-type gre",
       {"ip link add xlvs-gre0 up type gre remote 10.0.0.1",
        "ip link add xlvs-ip6gre1 up type ip6gre remote 2001:db8::9"}},
      {"--director 10.0.0.1 --tun-type gre --tun-csum",
       {"ip link add xlvs-gre0 up type gre remote 10.0.0.1 icsum"}},
      {"--director 10.0.0.1,2001:db8::9 --tun-type gue --tun-port 6080",
       {"ip fou add port 6080 gue", "ip fou add port 6080 gue -6",
        "ip link add xlvs-ipip0 up type ipip remote 10.0.0.1",
        "ip link add xlvs-sit0 up type sit remote 10.0.0.1",
        "ip link add xlvs-ip6tnl1 up type ip6tnl remote 2001:db8::9 mode any"}},
  };
  for (const auto& test : kCases) {
    std::vector<std::string> devices;
    const std::string script = Script(
        absl::StrCat("tun 192.0.2.1 2001:db8::1 --kernel ", test.options));
    for (absl::string_view line : absl::StrSplit(script, '\n'))
      if (absl::StartsWith(line, "ip link") || absl::StartsWith(line, "ip fou"))
        devices.emplace_back(line);
    EXPECT_EQ(devices, test.devices) << test.options;
  }
}

TEST(Script, LeavesRoomForEachTunnelsHeaders) {
  const struct {
    const char* options;
    const char* v4;
    const char* v6;
  } kCases[] = {
      {"--director 10.0.0.1", "1440", "1420"},
      {"--director 2001:db8::9", "1420", "1400"},
      {"--director 10.0.0.1,2001:db8::9", "1420", "1400"},
      {"--director 10.0.0.1 --mtu 9000", "8940", "8920"},
      {"--director 10.0.0.1 --tun-type gue --tun-port 1", "1428", "1408"},
      {"--director 10.0.0.1 --tun-type gre", "1436", "1416"},
      {"--director 10.0.0.1 --tun-type gre --tun-csum", "1432", "1412"},
  };
  for (const auto& test : kCases) {
    const std::string script = Script(
        absl::StrCat("tun 192.0.2.1 2001:db8::1 --kernel ", test.options));
    for (const auto& [flag, advmss] :
         {std::pair("-4", test.v4), std::pair("-6", test.v6)})
      EXPECT_THAT(script, HasSubstr(absl::StrCat(
                              "ip ", flag, " route change $(ip ", flag,
                              " route show default | head -n 1) advmss ",
                              advmss, "\n")))
          << test.options;
  }
}

TEST(Script, OfMasqueradingRoutesThroughTheDirector) {
  EXPECT_EQ(Script("nat --director 10.0.0.1,2001:db8::2 --device eth0"),
            "#!/bin/sh -e\n"
            "# replies pass the director, which rewrites them\n"
            "ip -4 route replace default via 10.0.0.1 dev eth0\n"
            "ip -6 route replace default via 2001:db8::2 dev eth0\n");
}

TEST(RealSetup, FindsMistakes) {
  const struct {
    const char* options;
    const char* message;
  } kCases[] = {
      {"", "dr, tun or nat? (xlvs real-setup dr 192.0.2.1)"},
      {"route 192.0.2.1",
       "dr, tun or nat? Not 'route'. (xlvs real-setup dr 192.0.2.1)"},
      {"dr", "which service's address? (xlvs real-setup dr 192.0.2.1)"},
      {"dr 192.0.2", "VIP: '192.0.2' is not an IP address"},
      {"dr 0.0.0.0", "VIP: 0.0.0.0 is no host's address"},
      {"dr ff02::1", "VIP: ff02::1 is no host's address"},
      {"dr ::ffff:192.0.2.1", "VIP: ::ffff:192.0.2.1 is no host's address"},
      {"dr 192.0.2.1 192.0.2.1", "VIP: 192.0.2.1 is named twice"},
      {"dr 192.0.2.1 --device eth0/../all",
       "--device: 'eth0/../all' is no device's name"},
      {"dr 192.0.2.1 --device $(x)", "--device: '$(x)' is no device's name"},
      {"dr 192.0.2.1 --device", "--device: missing argument"},
      {"dr 192.0.2.1 --bogus", "--bogus: unknown option"},
      {"dr 192.0.2.1 --apply --apply", "--apply is given twice"},
      {"dr 192.0.2.1 --director 10.0.0.1",
       "--director is for tun and nat: with dr packets are not from it"},
      {"dr 192.0.2.1 --mtu 1500",
       "--tun-type, --tun-port, --tun-csum, --kernel and --mtu are for tun"},
      {"tun 192.0.2.1 --device eth0",
       "--director: which address do tunnelled packets come from?"},
      {"tun 192.0.2.1 --director 10.0.0.1",
       "--device: by which do tunnelled packets come in? (or --kernel)"},
      {"tun 192.0.2.1 --director 10.0.0.1 --kernel --tun-type vxlan",
       "--tun-type is ipip, gue or gre, not 'vxlan'"},
      {"tun 192.0.2.1 --director 10.0.0.1 --kernel --tun-type gue",
       "--tun-port: which UDP port? The one that the director has for gue"},
      {"tun 192.0.2.1 --director 10.0.0.1 --kernel --tun-port 6080",
       "--tun-port is for --tun-type gue"},
      {"tun 192.0.2.1 --director 10.0.0.1 --kernel --tun-csum",
       "--tun-csum is for --tun-type gue and gre"},
      {"tun 192.0.2.1 --director 10.0.0.1 --kernel --mtu 1279",
       "--mtu: '1279' is not a number from 1280 to 65535"},
      {"nat", "--director: which address of it is on this server's network?"},
      {"nat --director 10.0.0.1,10.0.0.2",
       "--director: replies go one way, so one address of each family"},
      {"nat 2001:db8::1 --director 10.0.0.1",
       "--director: an IPv6 service needs the director's IPv6 address"},
      {"--undo dr 192.0.2.1",
       "--undo takes back all that was applied, and stands alone"},
      {"--undo --apply",
       "--undo takes back all that was applied, and stands alone"},
  };
  FakeHost host;
  for (const auto& test : kCases) {
    const Outcome outcome =
        Call(host, absl::StrCat("xlvs real-setup ", test.options));
    EXPECT_EQ(outcome.exit_code, 2) << test.options;
    EXPECT_EQ(outcome.err,
              absl::StrCat("xlvs real-setup: ", test.message, "\n"))
        << test.options;
  }
}

// Settings, addresses of lo and default routes; whatever else is asked for is
// not there.
class FakeMachine : public Machine {
 public:
  absl::StatusOr<std::string> Run(const Argv& words) override {
    const std::string line = absl::StrJoin(words, " ");
    if (!fails.empty() && absl::StrContains(line, fails))
      return absl::InternalError(absl::StrCat(line, ": refused"));
    if (words.size() < 4 || words[0] != "ip")
      return absl::InternalError("no such thing");
    if (words[2] == "route") return Route(words);
    if (words[2] == "addr") changed.push_back(line);
    if (words[2] == "addr" && words[3] == "add") addresses.insert(words[4]);
    if (words[2] == "addr" && words[3] == "del") addresses.erase(words[4]);
    if (words[2] == "-o") return addresses.contains(words[8]) ? "inet" : "";
    return "";
  }
  absl::StatusOr<std::string> ReadSysctl(const std::string& path) override {
    const auto found = sysctls.find(path);
    if (found == sysctls.end()) return absl::NotFoundError("no such setting");
    return found->second;
  }
  absl::Status WriteSysctl(const std::string& path,
                           const std::string& value) override {
    sysctls[path] = value;
    changed.push_back(absl::StrCat(path, "=", value));
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> ReadNote() override { return note; }
  absl::Status WriteNote(const std::string& text) override {
    note = text;
    return absl::OkStatus();
  }

  std::map<std::string, std::string> sysctls = {
      {"net/ipv4/conf/all/arp_ignore", "0"},
      {"net/ipv4/conf/all/arp_announce", "2"},
      {"net/ipv4/conf/eth0/arp_ignore", "0"},
      {"net/ipv4/conf/eth0/arp_announce", "1"},
      {"net/ipv4/conf/xlvs-ipip0/rp_filter", "0"}};
  std::set<std::string> addresses;
  std::string route = "default via 10.9.0.1 dev eth0 proto static ";
  std::string note;
  std::string fails;  // commands that contain it fail
  std::vector<std::string> changed;

 private:
  absl::StatusOr<std::string> Route(const Argv& words) {
    if (words[3] == "show") return route.empty() ? "" : route + "\n";
    changed.push_back(absl::StrJoin(words, " "));
    route = words[3] == "del"
                ? ""
                : absl::StrJoin(words.begin() + 4, words.end(), " ") + " ";
    return "";
  }
};

RealSetup DirectRouting() {
  RealSetup setup;
  setup.method = Method::kRoute;
  setup.vips = {*IpAddr::Parse("192.0.2.1"), *IpAddr::Parse("2001:db8::1")};
  setup.device = "eth0";
  return setup;
}

RealSetup Gateway() {
  RealSetup setup;
  setup.method = Method::kMasq;
  setup.directors = {*IpAddr::Parse("10.0.0.1")};
  return setup;
}

TEST(ApplySetup, SaysWhatItDidAndLeavesWhatWasSo) {
  FakeMachine machine;
  machine.addresses = {"2001:db8::1/128"};
  const auto lines = ApplySetup(DirectRouting(), machine);
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_THAT(*lines,
              ElementsAre("done: net/ipv4/conf/all/arp_ignore = 1 (was 0)",
                          "done: net/ipv4/conf/eth0/arp_ignore = 1 (was 0)",
                          "done: net/ipv4/conf/eth0/arp_announce = 2 (was 1)",
                          "done: ip -4 addr add 192.0.2.1/32 dev lo"));
}

TEST(ApplySetup, TwiceChangesNothing) {
  FakeMachine machine;
  ASSERT_TRUE(ApplySetup(DirectRouting(), machine).ok());
  const std::string note = machine.note;
  machine.changed.clear();
  const auto again = ApplySetup(DirectRouting(), machine);
  ASSERT_TRUE(again.ok());
  EXPECT_THAT(*again, IsEmpty());
  EXPECT_THAT(machine.changed, IsEmpty());
  EXPECT_EQ(machine.note, note);
}

TEST(ApplySetup, IsTakenBackWholeWhenAStepFails) {
  FakeMachine machine;
  const auto before = machine.sysctls;
  machine.fails = "addr add 2001:db8::1/128";
  const auto lines = ApplySetup(DirectRouting(), machine);
  EXPECT_EQ(lines.status().message(),
            "nothing was changed: ip -6 addr add 2001:db8::1/128 dev lo nodad: "
            "refused");
  EXPECT_EQ(machine.sysctls, before);
  EXPECT_THAT(machine.addresses, IsEmpty());
  EXPECT_EQ(machine.note, "");
}

TEST(ApplySetup, AFailureTakesBackNothingOfAnEarlierOne) {
  FakeMachine machine;
  ASSERT_TRUE(ApplySetup(DirectRouting(), machine).ok());
  const std::string note = machine.note;
  machine.fails = "route replace";
  EXPECT_FALSE(ApplySetup(Gateway(), machine).ok());
  EXPECT_EQ(machine.note, note);
  EXPECT_EQ(machine.sysctls["net/ipv4/conf/eth0/arp_ignore"], "1");
}

TEST(ApplySetup, OfATunnelNeedsADefaultRoute) {
  FakeMachine machine;
  machine.route = "";
  RealSetup setup = DirectRouting();
  setup.method = Method::kTunnel;
  setup.directors = {*IpAddr::Parse("10.0.0.1")};
  setup.kernel_tunnel = true;
  EXPECT_THAT(ApplySetup(setup, machine).status().message(),
              HasSubstr("there is no IPv4 default route"));
}

TEST(UndoSetup, RestoresWhatWas) {
  FakeMachine machine;
  const auto before = machine.sysctls;
  machine.addresses = {"2001:db8::1/128"};
  ASSERT_TRUE(ApplySetup(DirectRouting(), machine).ok());
  const auto lines = UndoSetup(machine);
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_EQ(lines->front(), "done: ip -4 addr del 192.0.2.1/32 dev lo");
  EXPECT_EQ(machine.sysctls, before);
  EXPECT_THAT(machine.addresses, ElementsAre("2001:db8::1/128"));
  EXPECT_EQ(machine.note, "");
}

TEST(UndoSetup, BringsTheOldDefaultRouteBack) {
  FakeMachine machine;
  const std::string before = machine.route;
  ASSERT_TRUE(ApplySetup(Gateway(), machine).ok());
  EXPECT_EQ(machine.route, "default via 10.0.0.1 ");
  ASSERT_TRUE(UndoSetup(machine).ok());
  EXPECT_EQ(machine.route, before);
}

TEST(UndoSetup, RemovesARouteThatWasNotThere) {
  FakeMachine machine;
  machine.route = "";
  ASSERT_TRUE(ApplySetup(Gateway(), machine).ok());
  ASSERT_TRUE(UndoSetup(machine).ok());
  EXPECT_EQ(machine.route, "");
}

TEST(UndoSetup, LeavesWhatSomebodyChangedSince) {
  FakeMachine machine;
  ASSERT_TRUE(ApplySetup(DirectRouting(), machine).ok());
  machine.sysctls["net/ipv4/conf/eth0/arp_ignore"] = "8";
  machine.addresses.clear();
  const auto lines = UndoSetup(machine);
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_EQ(machine.sysctls["net/ipv4/conf/eth0/arp_ignore"], "8");
  EXPECT_THAT(*lines,
              testing::Contains("left: net/ipv4/conf/eth0/arp_ignore = 8 "
                                "(somebody changed it since)"));
}

TEST(UndoSetup, KeepsANoteOfWhatFails) {
  FakeMachine machine;
  ASSERT_TRUE(ApplySetup(DirectRouting(), machine).ok());
  machine.fails = "addr del 192.0.2.1/32";
  EXPECT_FALSE(UndoSetup(machine).ok());
  EXPECT_EQ(machine.sysctls["net/ipv4/conf/eth0/arp_ignore"], "0");
  machine.fails = "";
  ASSERT_TRUE(UndoSetup(machine).ok());
  EXPECT_THAT(machine.addresses, IsEmpty());
}

TEST(UndoSetup, OfNothingIsFine) {
  FakeMachine machine;
  const auto lines = UndoSetup(machine);
  ASSERT_TRUE(lines.ok());
  EXPECT_THAT(*lines, IsEmpty());
}

}  // namespace
}  // namespace xlvs
