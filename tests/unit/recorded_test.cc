// SPDX-License-Identifier: Apache-2.0
//
// Whole listings, to the byte, beside what ipvsadm 1.31 (Debian 12's) printed
// after the same command lines, recorded with a preloaded library in place of
// the kernel: all methods, tunnels, families and protocols, marks, persistence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/command_line.h"

namespace xlvs {
namespace {

constexpr char kLines[] = R"(
-A -u [2001:db8::1]:53 -s rr
-A -t [2001:db8::1]:80
-A --sctp-service 1.2.3.4:36412
-A -t 1.2.3.4:80 -s wrr
-a -t 1.2.3.4:80 -r 10.0.0.1
-a -t 1.2.3.4:80 -r 10.0.0.2 -i
-a -t 1.2.3.4:80 -r 10.0.0.3 -i --tun-type gue --tun-port 6080
-a -t 1.2.3.4:80 -r 10.0.0.4 -i --tun-type gue --tun-port 6080 --tun-csum -w 3
-a -t 1.2.3.4:80 -r 10.0.0.5 -i --tun-type gue --tun-port 65535 --tun-remcsum
-a -t 1.2.3.4:80 -r 10.0.0.6 -i --tun-type gre
-a -t 1.2.3.4:80 -r 10.0.0.7 -i --tun-type gre --tun-csum
-a -t 1.2.3.4:80 -r 2001:db8::5 -i
-a -t 1.2.3.4:80 -r 10.0.0.8:8080 -m
-a -t [2001:db8::1]:80 -r [2001:db8:1:2:3:4:5:6]:8080 -m -w 2
-a -t [2001:db8::1]:80 -r 10.0.0.9 -i
-a -t [2001:db8::1]:80 -r 2001:db8::2
-a --sctp-service 1.2.3.4:36412 -r 10.0.0.1 -m
)";

constexpr char kLn[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  1.2.3.4:80 wrr
  -> 10.0.0.1:80                  Route   1      0          0         
  -> 10.0.0.2:80                  Tunnel  1      0          0         
  -> 10.0.0.3:80                  Tunnel  1      0          0         
  -> 10.0.0.4:80                  Tunnel  3      0          0         
  -> 10.0.0.5:80                  Tunnel  1      0          0         
  -> 10.0.0.6:80                  Tunnel  1      0          0         
  -> 10.0.0.7:80                  Tunnel  1      0          0         
  -> 10.0.0.8:8080                Masq    1      0          0         
  -> [2001:db8::5]:80             Tunnel  1      0          0         
SCTP 1.2.3.4:36412 wlc
  -> 10.0.0.1:36412               Masq    1      0          0         
TCP  [2001:db8::1]:80 wlc
  -> 10.0.0.9:80                  Tunnel  1      0          0         
  -> [2001:db8::2]:80             Route   1      0          0         
  -> [2001:db8:1:2:3:4:5:6]:8080  Masq    2      0          0         
UDP  [2001:db8::1]:53 rr
)";

constexpr char kTunInfo[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn
TCP  1.2.3.4:80 wrr
  -> 10.0.0.1:80                  Route   n/a           1      0          0         
  -> 10.0.0.2:80                  Tunnel  ipip          1      0          0         
  -> 10.0.0.3:80                  Tunnel  gue:6080:-c   1      0          0         
  -> 10.0.0.4:80                  Tunnel  gue:6080:+c   3      0          0         
  -> 10.0.0.5:80                  Tunnel  gue:65535:r+c 1      0          0         
  -> 10.0.0.6:80                  Tunnel  gre:-c        1      0          0         
  -> 10.0.0.7:80                  Tunnel  gre:+c        1      0          0         
  -> 10.0.0.8:8080                Masq    n/a           1      0          0         
  -> [2001:db8::5]:80             Tunnel  ipip          1      0          0         
SCTP 1.2.3.4:36412 wlc
  -> 10.0.0.1:36412               Masq    n/a           1      0          0         
TCP  [2001:db8::1]:80 wlc
  -> 10.0.0.9:80                  Tunnel  ipip          1      0          0         
  -> [2001:db8::2]:80             Route   n/a           1      0          0         
  -> [2001:db8:1:2:3:4:5:6]:8080  Masq    n/a           2      0          0         
UDP  [2001:db8::1]:53 rr
)";

constexpr char kSn[] = R"(
-A -t 1.2.3.4:80 -s wrr
-a -t 1.2.3.4:80 -r 10.0.0.1:80 -g -w 1
-a -t 1.2.3.4:80 -r 10.0.0.2:80 -i -w 1 --tun-type ipip
-a -t 1.2.3.4:80 -r 10.0.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 1.2.3.4:80 -r 10.0.0.4:80 -i -w 3 --tun-type gue --tun-port 6080 --tun-csum
-a -t 1.2.3.4:80 -r 10.0.0.5:80 -i -w 1 --tun-type gue --tun-port 65535 --tun-remcsum
-a -t 1.2.3.4:80 -r 10.0.0.6:80 -i -w 1 --tun-type gre --tun-nocsum
-a -t 1.2.3.4:80 -r 10.0.0.7:80 -i -w 1 --tun-type gre --tun-csum
-a -t 1.2.3.4:80 -r 10.0.0.8:8080 -m -w 1
-a -t 1.2.3.4:80 -r [2001:db8::5]:80 -i -w 1 --tun-type ipip
-A --sctp-service 1.2.3.4:36412 -s wlc
-a --sctp-service 1.2.3.4:36412 -r 10.0.0.1:36412 -m -w 1
-A -t [2001:db8::1]:80 -s wlc
-a -t [2001:db8::1]:80 -r 10.0.0.9:80 -i -w 1 --tun-type ipip
-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -g -w 1
-a -t [2001:db8::1]:80 -r [2001:db8:1:2:3:4:5:6]:8080 -m -w 2
-A -u [2001:db8::1]:53 -s rr
)";

constexpr char kStats[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  1.2.3.4:80                          0        0        0        0        0
  -> 10.0.0.1:80                         0        0        0        0        0
  -> 10.0.0.2:80                         0        0        0        0        0
  -> 10.0.0.3:80                         0        0        0        0        0
  -> 10.0.0.4:80                         0        0        0        0        0
  -> 10.0.0.5:80                         0        0        0        0        0
  -> 10.0.0.6:80                         0        0        0        0        0
  -> 10.0.0.7:80                         0        0        0        0        0
  -> 10.0.0.8:8080                       0        0        0        0        0
  -> [2001:db8::5]:80                    0        0        0        0        0
SCTP 1.2.3.4:36412                       0        0        0        0        0
  -> 10.0.0.1:36412                      0        0        0        0        0
TCP  [2001:db8::1]:80                    0        0        0        0        0
  -> 10.0.0.9:80                         0        0        0        0        0
  -> [2001:db8::2]:80                    0        0        0        0        0
  -> [2001:db8:1:2:3:4:5:6]:8080         0        0        0        0        0
UDP  [2001:db8::1]:53                    0        0        0        0        0
)";

// Services by mark, persistent ones, thresholds, one-packet scheduling.
constexpr char kMarkLines[] = R"(
-A -f 7 -s sed
-A -f 8 -6
-A -f 9 -6 -p -M 64 -o
-A -t 10.9.9.9:443 -p
-A -t 10.9.9.9:444 -p 60 -M 255.255.255.0
-A -t 10.9.9.9:0 -p 60 -M 255.255.255.255
-A -u 1.2.3.4:53 -s sh -b sh-fallback,sh-port -o
-A -u 1.2.3.4:54 -s sh -b sh-fallback,sh-port -o -p 5 -M 255.255.0.0
-A -t [2001:db8::1]:80 -p 30 -M 48
-A -t [2001:db8::1]:0 -p 30 -M 128 -s none
-A -t 1.2.3.4:81 -M 255.255.255.0 -s lblc
-A -t 1.2.3.4:82 -s lblcr
-a -f 7 -r 10.0.0.1 -x 100 -y 50
-a -f 7 -r 10.0.0.2:8080 -m -w 0 -x 2147483647
-a -f 7 -r 10.0.0.3 -i -x 5
-a -f 7 -r 2001:db8::3 -i
-a -f 8 -6 -r 2001:db8::3 -m
-a -t 10.9.9.9:443 -r 10.0.0.1 -x 9 -y 9 -m
-a -t 10.9.9.9:0 -r 10.0.0.1:80 -m -x 9
)";

constexpr char kMarksLn[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  1.2.3.4:81 lblc
TCP  1.2.3.4:82 lblcr
TCP  10.9.9.9:0 wlc persistent 60
  -> 10.0.0.1:80                  Masq    1      0          0         
TCP  10.9.9.9:443 wlc persistent 360
  -> 10.0.0.1:443                 Masq    1      0          0         
TCP  10.9.9.9:444 wlc persistent 60 mask 255.255.255.0
UDP  1.2.3.4:53 sh (sh-fallback,sh-port) ops
UDP  1.2.3.4:54 sh (sh-fallback,sh-port) persistent 5 mask 255.255.0.0 ops
TCP  [2001:db8::1]:0 none persistent 30
TCP  [2001:db8::1]:80 wlc persistent 30 mask 48
FWM  7 sed
  -> 10.0.0.1:0                   Route   1      0          0         
  -> 10.0.0.2:8080                Masq    0      0          0         
  -> 10.0.0.3:0                   Tunnel  1      0          0         
  -> [2001:db8::3]:0              Tunnel  1      0          0         
FWM  8 IPv6 wlc
  -> [2001:db8::3]:0              Masq    1      0          0         
FWM  9 IPv6 wlc persistent 360 mask 64 ops
)";

constexpr char kMarksThresholds[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn 
  -> RemoteAddress:Port
TCP  1.2.3.4:81 lblc
TCP  1.2.3.4:82 lblcr
TCP  10.9.9.9:0 wlc persistent 60
  -> 10.0.0.1:80                  9          0          0          0         
TCP  10.9.9.9:443 wlc persistent 360
  -> 10.0.0.1:443                 9          9          0          0         
TCP  10.9.9.9:444 wlc persistent 60 mask 255.255.255.0
UDP  1.2.3.4:53 sh (sh-fallback,sh-port) ops
UDP  1.2.3.4:54 sh (sh-fallback,sh-port) persistent 5 mask 255.255.0.0 ops
TCP  [2001:db8::1]:0 none persistent 30
TCP  [2001:db8::1]:80 wlc persistent 30 mask 48
FWM  7 sed
  -> 10.0.0.1:0                   100        50         0          0         
  -> 10.0.0.2:8080                2147483647 0          0          0         
  -> 10.0.0.3:0                   5          0          0          0         
  -> [2001:db8::3]:0              0          0          0          0         
FWM  8 IPv6 wlc
  -> [2001:db8::3]:0              0          0          0          0         
FWM  9 IPv6 wlc persistent 360 mask 64 ops
)";

constexpr char kMarksPersistentConn[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn 
  -> RemoteAddress:Port
TCP  1.2.3.4:81 lblc
TCP  1.2.3.4:82 lblcr
TCP  10.9.9.9:0 wlc persistent 60
  -> 10.0.0.1:80                  1         0           0          0         
TCP  10.9.9.9:443 wlc persistent 360
  -> 10.0.0.1:443                 1         0           0          0         
TCP  10.9.9.9:444 wlc persistent 60 mask 255.255.255.0
UDP  1.2.3.4:53 sh (sh-fallback,sh-port) ops
UDP  1.2.3.4:54 sh (sh-fallback,sh-port) persistent 5 mask 255.255.0.0 ops
TCP  [2001:db8::1]:0 none persistent 30
TCP  [2001:db8::1]:80 wlc persistent 30 mask 48
FWM  7 sed
  -> 10.0.0.1:0                   1         0           0          0         
  -> 10.0.0.2:8080                0         0           0          0         
  -> 10.0.0.3:0                   1         0           0          0         
  -> [2001:db8::3]:0              1         0           0          0         
FWM  8 IPv6 wlc
  -> [2001:db8::3]:0              1         0           0          0         
FWM  9 IPv6 wlc persistent 360 mask 64 ops
)";

constexpr char kMarksStats[] = R"(
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  1.2.3.4:81                          0        0        0        0        0
TCP  1.2.3.4:82                          0        0        0        0        0
TCP  10.9.9.9:0                          0        0        0        0        0
  -> 10.0.0.1:80                         0        0        0        0        0
TCP  10.9.9.9:443                        0        0        0        0        0
  -> 10.0.0.1:443                        0        0        0        0        0
TCP  10.9.9.9:444                        0        0        0        0        0
UDP  1.2.3.4:53                          0        0        0        0        0
UDP  1.2.3.4:54                          0        0        0        0        0
TCP  [2001:db8::1]:0                     0        0        0        0        0
TCP  [2001:db8::1]:80                    0        0        0        0        0
FWM  7                                   0        0        0        0        0
  -> 10.0.0.1:0                          0        0        0        0        0
  -> 10.0.0.2:8080                       0        0        0        0        0
  -> 10.0.0.3:0                          0        0        0        0        0
  -> [2001:db8::3]:0                     0        0        0        0        0
FWM  8 IPv6                              0        0        0        0        0
  -> [2001:db8::3]:0                     0        0        0        0        0
FWM  9 IPv6                              0        0        0        0        0
)";

constexpr char kMarkOfV6[] = R"(
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
FWM  8 IPv6 wlc
  -> [2001:db8::3]:0              Masq    1      0          0         
)";

constexpr char kMarksSn[] = R"(
-A -t 1.2.3.4:81 -s lblc
-A -t 1.2.3.4:82 -s lblcr
-A -t 10.9.9.9:0 -s wlc -p 60
-a -t 10.9.9.9:0 -r 10.0.0.1:80 -m -w 1
-A -t 10.9.9.9:443 -s wlc -p 360
-a -t 10.9.9.9:443 -r 10.0.0.1:443 -m -w 1
-A -t 10.9.9.9:444 -s wlc -p 60 -M 255.255.255.0
-A -u 1.2.3.4:53 -s sh -o -b sh-fallback,sh-port
-A -u 1.2.3.4:54 -s sh -p 5 -M 255.255.0.0 -o -b sh-fallback,sh-port
-A -t [2001:db8::1]:0 -s none -p 30
-A -t [2001:db8::1]:80 -s wlc -p 30 -M 48
-A -f 7 -s sed
-a -f 7 -r 10.0.0.1:0 -g -w 1
-a -f 7 -r 10.0.0.2:8080 -m -w 0
-a -f 7 -r 10.0.0.3:0 -i -w 1 --tun-type ipip
-a -f 7 -r [2001:db8::3]:0 -i -w 1 --tun-type ipip
-A -f 8 -6 -s wlc
-a -f 8 -6 -r [2001:db8::3]:0 -m -w 1
-A -f 9 -6 -s wlc -p 360 -M 64 -o
)";

// Without the newline that the raw strings above start with.
std::string Text(const char* recorded) {
  return recorded + 1;
}

struct Listing {
  const char* options;
  const char* recorded;
};
constexpr Listing kListings[] = {{"-Ln", kLn},
                                 {"-Ln --tun-info", kTunInfo},
                                 {"-Sn", kSn},
                                 {"-Ln --stats", kStats}};

constexpr Listing kMarkListings[] = {
    {"-Ln", kMarksLn},
    {"-Ln --thresholds", kMarksThresholds},
    {"-Ln --persistent-conn", kMarksPersistentConn},
    {"-Ln --stats", kMarksStats},
    {"-Ln -f 8 -6", kMarkOfV6},
    {"-Sn", kMarksSn},
};

class Recorded : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome outcome = Call(host_, "ipvsadm -R", kLines);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  FakeHost host_;
};

TEST_F(Recorded, ListingsAreIpvsadms) {
  for (const Listing& listing : kListings)
    EXPECT_EQ(Call(host_, absl::StrCat("ipvsadm ", listing.options)).out,
              Text(listing.recorded))
        << listing.options;
}

TEST(RecordedMarks, ListingsAreIpvsadms) {
  FakeHost host;
  const Outcome outcome = Call(host, "ipvsadm -R", kMarkLines);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const Listing& listing : kMarkListings)
    EXPECT_EQ(Call(host, absl::StrCat("ipvsadm ", listing.options)).out,
              Text(listing.recorded))
        << listing.options;
}

TEST(RecordedMarks, SavedRulesComeBackThroughRestore) {
  FakeHost host;
  const Outcome restored = Call(host, "ipvsadm -R", Text(kMarksSn));
  EXPECT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(Call(host, "ipvsadm -Sn").out, Text(kMarksSn));
}

TEST_F(Recorded, SavedRulesComeBackThroughRestore) {
  FakeHost other;
  const Outcome restored = Call(other, "ipvsadm -R", Text(kSn));
  EXPECT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(Call(other, "ipvsadm -Sn").out, Text(kSn));
}

TEST_F(Recorded, JsonTellsTheTunnelOfTunnelsOnly) {
  const auto json =
      nlohmann::json::parse(Call(host_, "xlvs -L --json -t 1.2.3.4:80").out);
  const auto& dests = json["services"][0]["dests"];
  EXPECT_EQ(dests[0]["method"], "route");
  EXPECT_FALSE(dests[0].contains("tunnel"));
  EXPECT_EQ(dests[4]["method"], "tunnel");
  EXPECT_EQ(dests[4]["tunnel"]["type"], "gue");
  EXPECT_EQ(dests[4]["tunnel"]["port"], 65535);
  EXPECT_EQ(dests[4]["tunnel"]["checksum"], "remote");
  EXPECT_EQ(dests[8]["address"], "2001:db8::5");
}

// -e resets what it does not name: the method to -g, the tunnel to ipip.
TEST_F(Recorded, EditingReplacesMethodAndTunnel) {
  Call(host_, "ipvsadm -e -t 1.2.3.4:80 -r 10.0.0.4 -i");
  Call(host_, "ipvsadm -e -t 1.2.3.4:80 -r 10.0.0.5");
  const std::string saved = Call(host_, "ipvsadm -Sn").out;
  EXPECT_THAT(saved, testing::HasSubstr("-r 10.0.0.4:80 -i -w 1 --tun-type "
                                        "ipip\n"));
  EXPECT_THAT(saved, testing::HasSubstr("-r 10.0.0.5:80 -g -w 1\n"));
}

}  // namespace
}  // namespace xlvs
