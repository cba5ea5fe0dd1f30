// SPDX-License-Identifier: Apache-2.0
//
// `xlvs set`: what IPVS has as sysctls.
#include "loader/cli/setting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "maps/setting.h"
#include "tests/unit/command_line.h"

namespace xlvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<SettingView> All() {
  return {
#define XLVS_X(name, standard, min, max, text) \
  {#name, standard, standard, min, max, text},
      XLVS_SETTINGS(XLVS_X)
#undef XLVS_X
  };
}

constexpr char kTable[] = R"(
name                       value default  what it does
expire_nodest_conn             0       0  1: connections of a removed real
                                          server end at once
conn_reuse_mode                1       1  a SYN on an ended connection: 0 old
                                          server, 1 new, 2 also in FIN_WAIT
drop_entry                     0       0  defence, end embryonic connections: as
                                          secure_tcp
drop_packet                    0       0  defence, drop first packets: as
                                          secure_tcp
am_droprate           2147483647      10  drop_packet 3: of this many, one
service_embryonic_max        250     250  SYN_RECV connections of a service; 0:
                                          a quarter of --conns
)";

TEST(Set, ListsAllWithTheirDefaults) {
  FakeHost host;
  Call(host, "xlvs set am_droprate 2147483647");
  const Outcome outcome = Call(host, "xlvs set");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, kTable + 1);
}

TEST(Set, FitsIn80Columns) {
  std::vector<SettingView> settings = All();
  for (SettingView& setting : settings) setting.value = 4294967295;
  std::ostringstream out;
  PrintSettings(settings, out);
  for (absl::string_view row : absl::StrSplit(out.str(), '\n'))
    EXPECT_LE(row.size(), 80u) << row;
}

TEST(Set, ShowsOne) {
  FakeHost host;
  for (const char* key :
       {"am_droprate", "net.ipv4.vs.am_droprate", "net/ipv4/vs/am_droprate"}) {
    const Outcome outcome = Call(host, absl::StrCat("xlvs set ", key));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "10\n");
  }
  EXPECT_EQ(host.opened, "rrr");
}

TEST(Set, ChangesOne) {
  FakeHost host;
  for (const char* line :
       {"xlvs set drop_entry 3", "xlvs set net.ipv4.vs.drop_entry 2",
        "xlvs set net.ipv4.vs.drop_entry=1"}) {
    const Outcome outcome = Call(host, line);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_THAT(
      host.state.calls,
      ElementsAre("set drop_entry 3", "set drop_entry 2", "set drop_entry 1"));
}

TEST(Set, ExplainsMistakes) {
  const struct {
    const char* line;
    int exit_code;
    const char* err;
  } kCases[] = {
      {"xlvs set drop_entri", 2,
       "xlvs set: there is no 'drop_entri'; did you mean drop_entry?\n"},
      {"xlvs set dropentry 1", 2,
       "xlvs set: there is no 'dropentry'; did you mean drop_entry?\n"},
      {"xlvs set drop_entry 4", 2, "xlvs set: drop_entry is 0 to 3, not 4\n"},
      {"xlvs set am_droprate 0", 2,
       "xlvs set: am_droprate is 1 to 2147483647, not 0\n"},
      {"xlvs set drop_entry on", 2,
       "xlvs set: drop_entry: 'on' is not a number\n"},
      {"xlvs set drop_entry 1 2", 2, "xlvs set: unexpected argument 2\n"},
      {"xlvs set drop_entry 1 --json", 2,
       "xlvs set: --json is for looking, not for changing\n"},
      {"xlvs set --all", 2, "xlvs set: --all: unknown option\n"},
  };
  for (const auto& test : kCases) {
    FakeHost host;
    const Outcome outcome = Call(host, test.line);
    EXPECT_EQ(outcome.exit_code, test.exit_code) << test.line;
    EXPECT_EQ(outcome.err, test.err);
    EXPECT_THAT(host.state.calls, IsEmpty());
  }
}

// Of net.ipv4.vs.* every name gets an answer.
TEST(Set, SaysWhyASysctlOfIpvsIsNotOurs) {
  for (const char* key :
       {"backup_only",    "conntrack",      "debug_level",
        "est_cpulist",    "est_nice",       "ignore_tunneled",
        "run_estimation", "snat_reroute",   "sync_persist_mode",
        "sync_ports",     "sync_qlen_max",  "sync_refresh_period",
        "sync_retries",   "sync_sock_size", "sync_threshold",
        "sync_version",   "conn_lfactor",   "conn_max",
        "svc_lfactor",    "conn_tab_bits"}) {
    FakeHost host;
    for (const char* value : {"", " 1"}) {
      const Outcome outcome =
          Call(host, absl::StrCat("xlvs set net.ipv4.vs.", key, value));
      EXPECT_EQ(outcome.exit_code, 1) << key;
      EXPECT_THAT(outcome.err,
                  testing::StartsWith(absl::StrCat("xlvs set: ", key, ": ")));
      EXPECT_LE(outcome.err.size(), 81u) << outcome.err;
    }
    EXPECT_EQ(host.opened, "");
  }
  for (const SettingView& setting : All()) {
    FakeHost host;
    host.state.settings = All();
    EXPECT_EQ(Call(host, absl::StrCat("xlvs set ", setting.name)).exit_code, 0)
        << setting.name;
  }
}

TEST(Set, PrintsJson) {
  FakeHost host;
  const auto all = nlohmann::json::parse(Call(host, "xlvs set --json").out);
  EXPECT_EQ(all["v"], 1);
  EXPECT_EQ(all["settings"].size(), host.state.settings.size());
  const auto one =
      nlohmann::json::parse(Call(host, "xlvs set am_droprate --json").out);
  ASSERT_EQ(one["settings"].size(), 1u);
  EXPECT_EQ(one["settings"][0]["name"], "am_droprate");
  EXPECT_EQ(one["settings"][0]["value"], 10);
  EXPECT_EQ(one["settings"][0]["default"], 10);
}

TEST(Set, IsNoWordOfIpvsadm) {
  FakeHost host;
  EXPECT_EQ(Call(host, "ipvsadm set drop_entry 1").exit_code, 255);
}

}  // namespace
}  // namespace xlvs
