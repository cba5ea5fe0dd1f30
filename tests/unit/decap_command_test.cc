// SPDX-License-Identifier: Apache-2.0
//
// xlvs decap: what its words ask of the decapsulator, and what they print.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "loader/cli/admin.h"
#include "tests/unit/command_line.h"
#include "tests/unit/fake_host.h"

namespace xlvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

IpAddr Addr(const char* text) {
  return *IpAddr::Parse(text);
}

TEST(DecapAttach, PassesEverything) {
  FakeHost host;
  const Outcome outcome =
      Call(host,
           "xlvs decap attach eth0 --from 192.0.2.1,2001:db8::1 --from "
           "192.0.2.2 --vip=198.51.100.1 --tun-port 6081 --mode generic");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "eth0: attached (generic: several times slower than native)\n");
  const DecapOptions& options = host.decapsulator.attached_with;
  EXPECT_EQ(options.device, "eth0");
  EXPECT_THAT(options.from, ElementsAre(Addr("192.0.2.1"), Addr("2001:db8::1"),
                                        Addr("192.0.2.2")));
  EXPECT_THAT(options.vips, ElementsAre(Addr("198.51.100.1")));
  EXPECT_EQ(options.tun_port, 6081);
  EXPECT_EQ(options.mode, AttachMode::kGeneric);
}

TEST(DecapAttach, LeavesDefaultsToTheDecapsulator) {
  FakeHost host;
  EXPECT_EQ(Call(host, "xlvs decap attach eth0").out,
            "eth0: attached (native)\n");
  const DecapOptions& options = host.decapsulator.attached_with;
  EXPECT_THAT(options.from, IsEmpty());
  EXPECT_THAT(options.vips, IsEmpty());
  EXPECT_EQ(options.tun_port, 0);
  EXPECT_EQ(options.mode, AttachMode::kAuto);
}

TEST(Decap, SaysWhatIsWrongInOneLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"xlvs decap", "xlvs decap: attach, detach or status?\n"},
      {"xlvs decap start", "xlvs decap: attach, detach or status?\n"},
      {"xlvs decap attach",
       "xlvs decap attach: which device? (xlvs decap attach eth0 --from "
       "192.0.2.1)\n"},
      {"xlvs decap attach eth0 eth1",
       "xlvs decap attach: one device at a time, not also eth1\n"},
      {"xlvs decap attach eth0 --from 192.0.2.1,",
       "xlvs decap attach: --from: '' is not an IP address\n"},
      {"xlvs decap attach eth0 --from director",
       "xlvs decap attach: --from: 'director' is not an IP address\n"},
      {"xlvs decap attach eth0 --from 0.0.0.0",
       "xlvs decap attach: --from: 0.0.0.0 is no host's address\n"},
      {"xlvs decap attach eth0 --vip 224.0.0.1",
       "xlvs decap attach: --vip: 224.0.0.1 is no host's address\n"},
      {"xlvs decap attach eth0 --tun-port 0",
       "xlvs decap attach: --tun-port: '0' is not a port (1 to 65535)\n"},
      {"xlvs decap attach eth0 --mode fast",
       "xlvs decap attach: --mode is native, generic or auto, not 'fast'\n"},
      {"xlvs decap detach",
       "xlvs decap detach: which device? (xlvs decap detach eth0)\n"},
      {"xlvs decap status eth0",
       "xlvs decap status: unexpected argument eth0\n"},
      {"xlvs decap status --verbose",
       "xlvs decap status: --verbose: unknown option\n"},
  };
  for (const auto& [line, err] : cases) {
    FakeHost host;
    const Outcome outcome = Call(host, line);
    EXPECT_EQ(outcome.exit_code, 2) << line;
    EXPECT_EQ(outcome.err, err) << line;
    EXPECT_EQ(outcome.out, "") << line;
  }
}

TEST(Decap, IsNoWordOfIpvsadm) {
  FakeHost host;
  EXPECT_NE(Call(host, "ipvsadm decap attach eth0").exit_code, 0);
  EXPECT_EQ(host.decapsulator.attached_with.device, "");
}

TEST(Decap, FailsWithTheDecapsulatorsMessage) {
  for (const char* line : {"xlvs decap attach eth0", "xlvs decap detach eth0",
                           "xlvs decap status", "xlvs decap status --json"}) {
    FakeHost host;
    host.decapsulator.fails = absl::NotFoundError("no device 'eth0' here");
    const Outcome outcome = Call(host, line);
    EXPECT_EQ(outcome.exit_code, 1) << line;
    EXPECT_EQ(outcome.err, "xlvs: no device 'eth0' here\n") << line;
    EXPECT_EQ(outcome.out, "") << line;
  }
}

TEST(DecapDetach, DetachesOneDevice) {
  FakeHost host;
  EXPECT_EQ(Call(host, "xlvs decap detach eth0").exit_code, 0);
  EXPECT_EQ(host.decapsulator.detached, "eth0");
}

DecapView Example() {
  DecapView view;
  view.instance = "xlvs";
  view.pin_path = "/sys/fs/bpf/xlvs-decap";
  view.devices = {{"eth0", 2, AttachMode::kNative, "", {}}};
  view.from = {Addr("192.0.2.1"), Addr("2001:db8::1")};
  view.tun_port = 6080;
  view.rx_packets = 12;
  view.endings = {{"pass_decap_gue", "pass", "decapsulated: GUE", 9},
                  {"pass_vlan", "pass", "more than two VLAN tags", 0},
                  {"drop_ecn", "drop", "congestion was met", 3}};
  return view;
}

TEST(DecapStatus, PrintsWhatIsAttachedAndCounted) {
  FakeHost host;
  host.decapsulator.status = Example();
  const Outcome outcome = Call(host, "xlvs decap status");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "decap     xlvs (/sys/fs/bpf/xlvs-decap)\n"
            "devices   eth0 (native)\n"
            "from      192.0.2.1 2001:db8::1\n"
            "vips      any\n"
            "gue       UDP port 6080\n"
            "\n"
            "ending         packets  what happened\n"
            "pass_decap_gue       9  decapsulated: GUE\n"
            "drop_ecn             3  congestion was met\n"
            "balance: rx 12 = tx 0 + redirect 0 + pass 9 + drop 3\n");
  host.decapsulator.status.vips = {Addr("198.51.100.1")};
  EXPECT_THAT(Call(host, "xlvs decap status").out,
              HasSubstr("vips      198.51.100.1\n"));
}

TEST(DecapStatus, ShowsZerosWhenAsked) {
  FakeHost host;
  host.decapsulator.status = Example();
  EXPECT_THAT(Call(host, "xlvs decap status").out, Not(HasSubstr("pass_vlan")));
  EXPECT_THAT(Call(host, "xlvs decap status --all").out,
              HasSubstr("pass_vlan"));
}

TEST(DecapStatus, SaysItInJson) {
  FakeHost host;
  host.decapsulator.status = Example();
  const Outcome outcome = Call(host, "xlvs decap status --json");
  EXPECT_EQ(outcome.exit_code, 0);
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["v"], 1);
  EXPECT_EQ(json["devices"][0]["name"], "eth0");
  EXPECT_EQ(json["from"][1], "2001:db8::1");
  EXPECT_TRUE(json["vips"].is_array());
  EXPECT_EQ(json["tun_port"], 6080);
  EXPECT_EQ(json["rx_packets"], 12);
  EXPECT_EQ(json["endings"][2]["packets"], 3);
}

TEST(Instance, CannotTakeADecapsulatorsName) {
  std::vector<std::string> args = {"xlvs", "--instance", "web-decap", "status"};
  const auto instance = TakeInstance(args);
  EXPECT_FALSE(instance.ok());
  EXPECT_THAT(std::string(instance.status().message()), HasSubstr("web-decap"));
}

}  // namespace
}  // namespace xlvs
