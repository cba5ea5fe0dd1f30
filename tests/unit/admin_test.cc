// SPDX-License-Identifier: Apache-2.0
//
// xlvs's own words: attach, detach, status, and the instance they work on.
#include "loader/cli/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/unit/command_line.h"
#include "tests/unit/fake_host.h"

namespace xlvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Attach, PassesDevicesModeAndSizes) {
  FakeHost host;
  const Outcome outcome =
      Call(host,
           "xlvs attach eth0 eth1 --mode native --conns 1M --services=64k "
           "--dests 1000 --sh-tables 50 --mh-tables 20 --count-batch 8");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "eth0: attached (native)\n"
            "eth1: attached (native)\n");
  const AttachOptions& options = host.attached_with;
  EXPECT_THAT(options.devices, ElementsAre("eth0", "eth1"));
  EXPECT_EQ(options.mode, AttachMode::kNative);
  EXPECT_EQ(options.conns, 1'000'000u);
  EXPECT_EQ(options.services, 64'000u);
  EXPECT_EQ(options.dests, 1'000u);
  EXPECT_EQ(options.hash_tables, 50u);
  EXPECT_EQ(options.maglev_tables, 20u);
  EXPECT_EQ(options.count_batch, 8u);
}

TEST(Attach, LeavesDefaultsToTheHost) {
  FakeHost host;
  EXPECT_EQ(Call(host, "xlvs attach eth0").exit_code, 0);
  EXPECT_EQ(host.attached_with.mode, AttachMode::kAuto);
  EXPECT_EQ(host.attached_with.conns, 0u);
  EXPECT_EQ(host.attached_with.count_batch, 0u);
}

TEST(Attach, SaysWhyItIsSlow) {
  FakeHost host;
  host.gets = AttachMode::kGeneric;
  EXPECT_EQ(Call(host, "xlvs attach eth0").out,
            "eth0: attached (generic: the driver has no native XDP; several "
            "times slower)\n");
  EXPECT_EQ(Call(host, "xlvs attach eth0 --mode generic").out,
            "eth0: attached (generic: several times slower than native)\n");
}

TEST(Attach, PassesOnWarnings) {
  FakeHost host;
  host.warning = "tx checksums are on";
  const Outcome outcome = Call(host, "xlvs attach eth0");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out,
            "eth0: attached (native)\n"
            "eth0: warning: tx checksums are on\n");
}

TEST(Attach, FailsWithTheHostsMessage) {
  FakeHost host;
  host.fails = absl::FailedPreconditionError("attach eth0: busy");
  const Outcome outcome = Call(host, "xlvs attach eth0");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "xlvs: attach eth0: busy\n");
  EXPECT_EQ(outcome.out, "");
}

TEST(Admin, ExplainsMistakes) {
  const struct {
    const char* line;
    const char* err;
  } kCases[] = {
      {"xlvs attach", "xlvs attach: which device? (xlvs attach eth0)\n"},
      {"xlvs attach eth0 --mode fast",
       "xlvs attach: --mode is native, generic or auto, not 'fast'\n"},
      {"xlvs attach eth0 --conns many",
       "xlvs attach: --conns: 'many' is not a number (1000000, 64k, 1M)\n"},
      {"xlvs attach eth0 --conns 0",
       "xlvs attach: --conns: '0' is not a number (1000000, 64k, 1M)\n"},
      {"xlvs attach eth0 --conns", "xlvs attach: --conns: missing argument\n"},
      {"xlvs attach eth0 --bogus", "xlvs attach: --bogus: unknown option\n"},
      {"xlvs detach",
       "xlvs detach: which device? (xlvs detach eth0; xlvs detach --purge for "
       "all of them, configuration and connections)\n"},
      {"xlvs detach eth0 --json", "xlvs detach: --json: unknown option\n"},
      {"xlvs status eth0", "xlvs status: unexpected argument eth0\n"},
      {"xlvs status -x", "xlvs status: -x: unknown option\n"},
  };
  for (const auto& test : kCases) {
    FakeHost host;
    const Outcome outcome = Call(host, test.line);
    EXPECT_EQ(outcome.exit_code, 2) << test.line;
    EXPECT_EQ(outcome.err, test.err) << test.line;
    EXPECT_EQ(outcome.out, "") << test.line;
  }
}

TEST(Detach, DetachesDevicesOrAll) {
  FakeHost host;
  EXPECT_EQ(Call(host, "xlvs detach eth0 eth1").exit_code, 0);
  EXPECT_EQ(host.detached, "eth0,eth1");
  EXPECT_EQ(Call(host, "xlvs detach --purge").exit_code, 0);
  EXPECT_EQ(host.detached, " purge");
  EXPECT_EQ(Call(host, "xlvs detach eth0 --purge").exit_code, 0);
  EXPECT_EQ(host.detached, "eth0 purge");
}

StatusView Example() {
  StatusView status;
  status.instance = "xlvs";
  status.pin_path = "/sys/fs/bpf/xlvs";
  status.devices = {{"eth0", 2, AttachMode::kNative, "", {}},
                    {"eth1", 0, AttachMode::kGeneric, "", {}}};
  status.services = 2;
  status.services_max = 4096;
  status.dests = 3;
  status.dests_max = 16384;
  status.conns = 12;
  status.conns_planned = 1'000'000;
  status.conn_slots = 1'398'104;
  status.templates = 100'000;
  status.embryonic = 4;
  status.embryonic_max = 500'000;
  status.hash_tables = 5;
  status.hash_tables_max = 1024;
  status.maglev_tables = 1;
  status.maglev_tables_max = 64;
  status.marks = 7;
  status.marks_max = 1024;
  status.conn_bytes = 96'000'000;
  status.memory_bytes = 128u << 20;
  status.count_batch = 1;
  status.cpus = 2;
  status.timer_running = true;
  status.rx_packets = 1234;
  status.endings = {{"tx_client_to_dest", "tx", "to a real server", 1000},
                    {"redirect_dest_to_client", "redirect", "to a client", 200},
                    {"pass_not_ip", "pass", "not IPv4 (ARP, ...)", 30},
                    {"pass_ipv6", "pass", "IPv6", 0},
                    {"drop_table_full", "drop", "connection table full", 4}};
  return status;
}

TEST(Status, PrintsWhatIsAttachedUsedAndCounted) {
  FakeHost host;
  host.status = Example();
  const Outcome outcome = Call(host, "xlvs status");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "instance  xlvs (/sys/fs/bpf/xlvs)\n"
            "devices   eth0 (native)\n"
            "          eth1 (generic), device is gone\n"
            "services  2 of 4096\n"
            "dests     3 of 16384\n"
            "conns     12 of 1000000 (7.2% of 1398104 slots taken)\n"
            "templates 100000\n"
            "embryonic 4 of 500000\n"
            "tables    sh, dh: 5 of 1024; mh: 1 of 64\n"
            "marks     7 of 1024 rules\n"
            "memory    128.0 MiB; connections 91.6 MiB, 96.0 bytes each\n"
            "expiry    running\n"
            "counting  batch 1 on 2 CPUs\n"
            "\n"
            "ending                  packets  what happened\n"
            "tx_client_to_dest          1000  to a real server\n"
            "redirect_dest_to_client     200  to a client\n"
            "pass_not_ip                  30  not IPv4 (ARP, ...)\n"
            "drop_table_full               4  connection table full\n"
            "balance: rx 1234 = tx 1000 + redirect 200 + pass 30 + drop 4\n");
}

TEST(Status, RepeatsWarnings) {
  FakeHost host;
  host.status = Example();
  host.status.devices[0].warning = "tx checksums are on";
  EXPECT_THAT(Call(host, "xlvs status").out,
              HasSubstr("devices   eth0 (native)\n"
                        "          warning: tx checksums are on\n"
                        "          eth1 "));
}

TEST(Status, ShowsVlanDevicesUnderTheirDevice) {
  FakeHost host;
  host.status = Example();
  host.status.devices[0].vlans = {{"eth0.100", 7, "vlan 100"}};
  EXPECT_THAT(Call(host, "xlvs status").out,
              HasSubstr("devices   eth0 (native)\n"
                        "          eth0.100 (vlan 100)\n"
                        "          eth1 "));
  const auto json = nlohmann::json::parse(Call(host, "xlvs status --json").out);
  EXPECT_EQ(json["devices"][0]["vlans"][0]["name"], "eth0.100");
  EXPECT_EQ(json["devices"][0]["vlans"][0]["tags"], "vlan 100");
  EXPECT_EQ(json["devices"][1]["vlans"], nlohmann::json::array());
}

TEST(Status, ShowsZerosWhenAsked) {
  FakeHost host;
  host.status = Example();
  EXPECT_THAT(Call(host, "xlvs status").out, Not(HasSubstr("pass_ipv6")));
  EXPECT_THAT(Call(host, "xlvs status --all").out, HasSubstr("pass_ipv6"));
}

TEST(Status, SaysWhenPacketsAreUnaccountedFor) {
  FakeHost host;
  host.status = Example();
  host.status.rx_packets = 1235;
  EXPECT_THAT(Call(host, "xlvs status").out,
              HasSubstr("balance: rx 1235 = tx 1000 + redirect 200 + pass 30 + "
                        "drop 4 MISMATCH\n"));
}

TEST(Status, SaysWhenNothingExpires) {
  FakeHost host;
  host.status = Example();
  host.status.timer_running = false;
  EXPECT_THAT(Call(host, "xlvs status").out, HasSubstr("NOT RUNNING"));
}

TEST(Status, EndsWith1WhenNothingIsAttached) {
  FakeHost host;
  host.status = Example();
  host.status.devices.clear();
  const Outcome kept = Call(host, "xlvs status");
  EXPECT_EQ(kept.exit_code, 1);
  EXPECT_THAT(kept.out, HasSubstr("none attached (xlvs attach DEV)\n"));

  host.fails = absl::NotFoundError("nothing is attached (xlvs attach DEV)");
  const Outcome absent = Call(host, "xlvs status");
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_EQ(absent.err, "xlvs: nothing is attached (xlvs attach DEV)\n");
}

TEST(Status, PrintsJson) {
  FakeHost host;
  host.status = Example();
  const auto json = nlohmann::json::parse(Call(host, "xlvs status --json").out);
  EXPECT_EQ(json["v"], 1);
  EXPECT_EQ(json["devices"][0]["name"], "eth0");
  EXPECT_EQ(json["devices"][0]["mode"], "native");
  EXPECT_EQ(json["conns_planned"], 1'000'000);
  EXPECT_EQ(json["timer_running"], true);
  EXPECT_EQ(json["endings"].size(), 5u);
  EXPECT_EQ(json["endings"][4]["name"], "drop_table_full");
  EXPECT_EQ(json["endings"][4]["packets"], 4);
}

TEST(ParseSize, TakesUnits) {
  EXPECT_EQ(ParseSize("1000000"), 1'000'000u);
  EXPECT_EQ(ParseSize("64k"), 64'000u);
  EXPECT_EQ(ParseSize("64K"), 64'000u);
  EXPECT_EQ(ParseSize("1M"), 1'000'000u);
  EXPECT_EQ(ParseSize("4294M"), 4'294'000'000u);
}

TEST(ParseSize, RefusesTheRest) {
  for (const char* text : {"", "0", "-1", "k", "M", "1G", "1.5M", "1Mk", "x",
                           "4295M", "4294967296", "1 M "})
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
}

struct InstanceCase {
  const char* line;
  const char* instance;  // or the error
  const char* left;      // of the line
};

TEST(TakeInstance, TakesTheOptionFromAnywhere) {
  unsetenv("XLVS_INSTANCE");
  const InstanceCase kCases[] = {
      {"xlvs", "xlvs", "xlvs"},
      {"xlvs -L -n", "xlvs", "xlvs -L -n"},
      {"xlvs --instance foo -L", "foo", "xlvs -L"},
      {"xlvs --instance=foo -L", "foo", "xlvs -L"},
      {"xlvs attach eth0 --instance a-B_9", "a-B_9", "xlvs attach eth0"},
      {"xlvs --instance a --instance b -L", "b", "xlvs -L"},
      {"xlvs --instances -L", "xlvs", "xlvs --instances -L"},
      {"xlvs -- --instance a", "xlvs", "xlvs -- --instance a"},
      {"ipvsadm --instance foo -L", "xlvs", "ipvsadm --instance foo -L"},
  };
  for (const InstanceCase& test : kCases) {
    std::vector<std::string> args = Words(test.line);
    const auto instance = TakeInstance(args);
    ASSERT_TRUE(instance.ok()) << test.line;
    EXPECT_EQ(*instance, test.instance) << test.line;
    EXPECT_EQ(args, Words(test.left)) << test.line;
  }
}

TEST(TakeInstance, FallsBackToTheEnvironment) {
  setenv("XLVS_INSTANCE", "blue", 1);
  std::vector<std::string> as_ipvsadm = {"ipvsadm", "-L"};
  EXPECT_EQ(*TakeInstance(as_ipvsadm), "blue");
  std::vector<std::string> with_option = {"xlvs", "--instance", "red", "-L"};
  EXPECT_EQ(*TakeInstance(with_option), "red");
  setenv("XLVS_INSTANCE", "../x", 1);
  EXPECT_EQ(TakeInstance(as_ipvsadm).status().message(),
            "XLVS_INSTANCE: '../x' is not an instance name (1 to 32 of A-Z a-z "
            "0-9 _ -)");
  unsetenv("XLVS_INSTANCE");
}

TEST(TakeInstance, RefusesWhatIsNoName) {
  unsetenv("XLVS_INSTANCE");
  for (const char* name :
       {"''", "a/b", ".", "a.b", "a23456789012345678901234567890123"}) {
    std::vector<std::string> args = {"xlvs", "--instance", Words(name)[0]};
    EXPECT_EQ(TakeInstance(args).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
  std::vector<std::string> missing = {"xlvs", "--instance"};
  EXPECT_EQ(TakeInstance(missing).status().message(),
            "--instance: missing argument");
}

}  // namespace
}  // namespace xlvs
