// SPDX-License-Identifier: Apache-2.0
//
// From words to exit code: which calls a command line makes, and which words an
// error of the director gets.
#include "loader/cli/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/command_line.h"
#include "tests/unit/fake_host.h"

namespace xlvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kAddWeb[] = "ipvsadm -A -t 1.2.3.4:80 -s rr";
constexpr char kAddReal[] = "ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.1:8080 -m";

TEST(Run, AddsEditsAndDeletes) {
  FakeHost host;
  for (const char* line :
       {kAddWeb, kAddReal, "ipvsadm -E -t 1.2.3.4:80 -s wrr",
        "ipvsadm -e -t 1.2.3.4:80 -r 10.0.0.1:8080 -m -w 9",
        "ipvsadm -Z -t 1.2.3.4:80", "ipvsadm -Z", "ipvsadm --set 1 2 3",
        "ipvsadm -d -t 1.2.3.4:80 -r 10.0.0.1:8080", "ipvsadm -D -t 1.2.3.4:80",
        "ipvsadm -C"}) {
    const Outcome outcome = Call(host, line);
    EXPECT_EQ(outcome.exit_code, 0) << line << ": " << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_THAT(host.state.calls,
              ElementsAre("add tcp 1.2.3.4:80 rr",
                          "add-dest tcp 1.2.3.4:80 -> 10.0.0.1:8080 masq w=1",
                          "edit tcp 1.2.3.4:80 wrr",
                          "edit-dest tcp 1.2.3.4:80 -> 10.0.0.1:8080 masq w=9",
                          "zero tcp 1.2.3.4:80", "zero all", "timeouts 1 2 3",
                          "delete-dest tcp 1.2.3.4:80 -> 10.0.0.1:8080",
                          "delete tcp 1.2.3.4:80", "clear"));
}

TEST(Run, LocksOnlyToChange) {
  FakeHost host;
  Call(host, "ipvsadm -Ln");
  Call(host, "ipvsadm -Sn");
  Call(host, kAddWeb);
  EXPECT_EQ(host.opened, "rrw");
}

TEST(Run, DoesNotNeedADirectorForHelp) {
  FakeHost host;
  Call(host, "xlvs --help");
  Call(host, "xlvs help");
  Call(host, "ipvsadm -v");
  EXPECT_EQ(host.opened, "");
}

TEST(Run, SaysWhatIsWrongInTheKernelsPlace) {
  const struct {
    const char* line;
    const char* err;
  } kCases[] = {
      {"ipvsadm -A -t 1.2.3.4:80", "Service already exists\n"},
      {"ipvsadm -E -t 9.9.9.9:80", "No such service\n"},
      {"ipvsadm -D -t 9.9.9.9:80", "No such service\n"},
      {"ipvsadm -Z -t 9.9.9.9:80", "No such service\n"},
      {"ipvsadm -a -t 9.9.9.9:80 -r 10.0.0.1 -m", "Service not defined\n"},
      {"ipvsadm -e -t 9.9.9.9:80 -r 10.0.0.1 -m", "Service not defined\n"},
      {"ipvsadm -d -t 9.9.9.9:80 -r 10.0.0.1", "Service not defined\n"},
      {"ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.1:8080 -m",
       "Destination already exists\n"},
      {"ipvsadm -e -t 1.2.3.4:80 -r 10.0.0.9 -m", "No such destination\n"},
      {"ipvsadm -d -t 1.2.3.4:80 -r 10.0.0.9", "No such destination\n"},
  };
  FakeHost host;
  ASSERT_EQ(Call(host, kAddWeb).exit_code, 0);
  ASSERT_EQ(Call(host, kAddReal).exit_code, 0);
  for (const auto& test : kCases) {
    const Outcome outcome = Call(host, test.line);
    EXPECT_EQ(outcome.exit_code, 255) << test.line;
    EXPECT_EQ(outcome.err, test.err) << test.line;
  }
}

// Of two mistakes the kernel finds the one in its tables first.
TEST(Run, SaysWhatTheKernelNeverTakesAfterLookingForTheService) {
  constexpr char kNoModule[] = "Scheduler or persistence engine not found\n";
  constexpr char kRange[] = "Numerical result out of range\n";
  const struct {
    const char* line;
    const char* err;
  } kCases[] = {
      {"ipvsadm -A -t 9.9.9.9:80 -s bogus", kNoModule},
      {"ipvsadm -A -t 9.9.9.9:80 -p --pe bogus", kNoModule},
      {"ipvsadm -A -t 1.2.3.4:80 -s bogus", "Service already exists\n"},
      {"ipvsadm -E -t 1.2.3.4:80 -s bogus", kNoModule},
      {"ipvsadm -E -t 9.9.9.9:80 -s bogus", "No such service\n"},
      {"ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.9 -m -x 3 -y 4", kRange},
      {"ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.9 -m -y 1", kRange},
      {"ipvsadm -e -t 1.2.3.4:80 -r 10.0.0.9 -m -x 3 -y 4", kRange},
      {"ipvsadm -a -t 9.9.9.9:80 -r 10.0.0.9 -m -x 3 -y 4",
       "Service not defined\n"},
      {"ipvsadm --stop-daemon master", "No daemon is running\n"},
  };
  FakeHost host;
  ASSERT_EQ(Call(host, kAddWeb).exit_code, 0);
  host.state.calls.clear();
  for (const auto& test : kCases) {
    const Outcome outcome = Call(host, test.line);
    EXPECT_EQ(outcome.exit_code, 255) << test.line;
    EXPECT_EQ(outcome.err, test.err) << test.line;
  }
  EXPECT_THAT(host.state.calls, IsEmpty());
}

TEST(Run, SaysThatRootIsNeeded) {
  FakeHost host;
  host.state.fails =
      absl::PermissionDeniedError("bpf: Operation not permitted");
  for (const char* line : {kAddWeb, kAddReal, "ipvsadm -C", "ipvsadm -Z"}) {
    const Outcome outcome = Call(host, line);
    EXPECT_EQ(outcome.exit_code, 255);
    EXPECT_EQ(outcome.err, "Permission denied (you must be root)\n");
  }
}

TEST(Run, PassesOnWhatIpvsadmHasNoWordsFor) {
  FakeHost host;
  host.state.fails =
      absl::ResourceExhaustedError("services: 4096 of 4096 used");
  const Outcome outcome = Call(host, "xlvs -A -t 1.2.3.4:80");
  EXPECT_EQ(outcome.exit_code, 255);
  EXPECT_EQ(outcome.err, "xlvs: services: 4096 of 4096 used\n");
}

TEST(Run, DoesNotMistakeAnyPreconditionForAMissingService) {
  FakeHost host;
  host.state.fails = absl::FailedPreconditionError("other layout");
  EXPECT_EQ(Call(host, kAddReal).err, "ipvsadm: other layout\n");
}

TEST(Run, EndsWith2WhenNothingIsAttached) {
  FakeHost host;
  host.fails =
      absl::FailedPreconditionError("nothing is attached (xlvs attach DEV)");
  for (const char* line : {"ipvsadm -L", kAddWeb, "ipvsadm -S", "ipvsadm -R"}) {
    const Outcome outcome = Call(host, line, "-C\n-C\n");
    EXPECT_EQ(outcome.exit_code, 2) << line;
    EXPECT_EQ(outcome.err, "ipvsadm: nothing is attached (xlvs attach DEV)\n");
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(Run, EndsWith255WhenTheDirectorCannotBeOpened) {
  FakeHost host;
  host.fails = absl::PermissionDeniedError("open");
  EXPECT_EQ(Call(host, "ipvsadm -L").exit_code, 255);
  host.fails = absl::InternalError("map: Input/output error");
  const Outcome outcome = Call(host, "ipvsadm -L");
  EXPECT_EQ(outcome.exit_code, 255);
  EXPECT_EQ(outcome.err, "ipvsadm: map: Input/output error\n");
}

TEST(Run, ListsTheWholeTable) {
  FakeHost host;
  Call(host, kAddWeb);
  Call(host, kAddReal);
  const Outcome outcome = Call(host, "ipvsadm -Ln");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(
      outcome.out,
      "IP Virtual Server version 1.2.1 (size=4096)\n"
      "Prot LocalAddress:Port Scheduler Flags\n"
      "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
      "TCP  1.2.3.4:80 rr\n"
      "  -> 10.0.0.1:8080                Masq    1      0          0        "
      " \n");
}

TEST(Run, ListsOneServiceWithoutTheTableLine) {
  FakeHost host;
  Call(host, kAddWeb);
  Call(host, "ipvsadm -A -u 1.2.3.4:53");
  EXPECT_EQ(
      Call(host, "ipvsadm -Ln -t 1.2.3.4:80").out,
      "Prot LocalAddress:Port Scheduler Flags\n"
      "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
      "TCP  1.2.3.4:80 rr\n");
}

TEST(Run, EndsWith1WhenTheServiceToListIsMissing) {
  FakeHost host;
  const Outcome outcome = Call(host, "ipvsadm -Ln -t 1.2.3.4:80");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "No such service\n");
  EXPECT_EQ(outcome.out, "");
}

TEST(Run, SortsUnlessTold) {
  FakeHost host;
  Call(host, "ipvsadm -A -t 10.0.0.2:80");
  Call(host, "ipvsadm -A -t 10.0.0.1:80");
  EXPECT_THAT(Call(host, "ipvsadm -Ln").out,
              HasSubstr("10.0.0.1:80 wlc\nTCP  10.0.0.2:80 wlc\n"));
  EXPECT_THAT(Call(host, "ipvsadm -Ln --nosort").out,
              HasSubstr("10.0.0.2:80 wlc\nTCP  10.0.0.1:80 wlc\n"));
}

TEST(Run, ListsTimeoutsAndNoDaemons) {
  FakeHost host;
  EXPECT_EQ(Call(host, "ipvsadm -L --timeout").out,
            "Timeout (tcp tcpfin udp): 900 120 300\n");
  const Outcome daemons = Call(host, "ipvsadm -L --daemon");
  EXPECT_EQ(daemons.exit_code, 0);
  EXPECT_EQ(daemons.out, "");
}

TEST(Run, ListsServicesAsJson) {
  FakeHost host;
  Call(host, kAddWeb);
  Call(host, kAddReal);
  host.state.services[0].dests[0].active_conns = 7;
  host.state.services[0].counters = {1, 2, 3, 18446744073709551615u, 5};
  const Outcome outcome = Call(host, "xlvs -L --json");
  EXPECT_EQ(outcome.exit_code, 0);
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["v"], 1);
  EXPECT_EQ(json["size"], 4096);
  const auto& service = json["services"][0];
  EXPECT_EQ(service["protocol"], "tcp");
  EXPECT_EQ(service["address"], "1.2.3.4");
  EXPECT_EQ(service["port"], 80);
  EXPECT_EQ(service["scheduler"], "rr");
  EXPECT_EQ(service["counters"]["in_bytes"], 18446744073709551615u);
  const auto& dest = service["dests"][0];
  EXPECT_EQ(dest["address"], "10.0.0.1");
  EXPECT_EQ(dest["method"], "masq");
  EXPECT_EQ(dest["weight"], 1);
  EXPECT_EQ(dest["active_conns"], 7);
  EXPECT_EQ(dest["rates"]["conns"], 0);
}

TEST(Run, ListsConnsAsJson) {
  FakeHost host;
  host.state.conns = {{Protocol::kUdp, 30, "UDP", *IpAddr::Parse("10.1.0.1"),
                       1234, *IpAddr::Parse("1.2.3.4"), 53,
                       *IpAddr::Parse("10.0.0.1"), 5353}};
  const auto json = nlohmann::json::parse(Call(host, "xlvs -Lc --json").out);
  EXPECT_EQ(json["v"], 1);
  const auto& conn = json["conns"][0];
  EXPECT_EQ(conn["protocol"], "udp");
  EXPECT_EQ(conn["state"], "UDP");
  EXPECT_EQ(conn["expires_in_s"], 30);
  EXPECT_EQ(conn["client"]["address"], "10.1.0.1");
  EXPECT_EQ(conn["virtual"]["port"], 53);
  EXPECT_EQ(conn["dest"]["port"], 5353);
}

TEST(Run, ListsEmptyTablesAsJson) {
  FakeHost host;
  EXPECT_EQ(nlohmann::json::parse(Call(host, "xlvs -L --json").out)["services"],
            nlohmann::json::array());
  EXPECT_EQ(nlohmann::json::parse(Call(host, "xlvs -Lc --json").out)["conns"],
            nlohmann::json::array());
  EXPECT_EQ(
      nlohmann::json::parse(
          Call(host, "xlvs -L --timeout --json").out)["timeouts"]["tcp_s"],
      900);
}

TEST(Run, TellsItsVersionUnderBothNames) {
  FakeHost host;
  EXPECT_EQ(Call(host, "/sbin/ipvsadm -v").out,
            "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n");
  EXPECT_EQ(Call(host, "xlvs --version").out,
            "xlvs 0.1.0 (ipvsadm 1.31 compatible)\n");
}

TEST(Run, HelpFits80ColumnsAndShowsTheWay) {
  FakeHost host;
  for (const char* line : {"xlvs help", "xlvs --help", "ipvsadm -h"}) {
    const Outcome outcome = Call(host, line);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
    for (absl::string_view row : absl::StrSplit(outcome.out, '\n'))
      EXPECT_LE(row.size(), 80u) << row;
  }
  const std::string help = Call(host, "xlvs help").out;
  EXPECT_THAT(help, HasSubstr("xlvs attach DEV"));
  EXPECT_THAT(help, HasSubstr("xlvs -A -t 192.0.2.1:80 -s rr\n"));
  EXPECT_THAT(help,
              HasSubstr("xlvs -a -t 192.0.2.1:80 -r 10.0.0.11:8080 -m\n"));
  EXPECT_THAT(Call(host, "ipvsadm -h").out, testing::Not(HasSubstr("attach")));
}

TEST(Run, HasNoWordsOfItsOwnAsIpvsadm) {
  FakeHost host;
  EXPECT_EQ(Call(host, "ipvsadm attach eth0").exit_code, 255);
  EXPECT_EQ(Call(host, "ipvsadm help").exit_code, 255);
}

TEST(Save, ComesBackThroughRestore) {
  FakeHost host;
  for (const char* line :
       {"ipvsadm -A -t 1.2.3.4:80 -s wrr", "ipvsadm -A -u 1.2.3.4:53 -s lc",
        "ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.2:8080 -m -w 7",
        "ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.1:8080 -m -w 0",
        "ipvsadm -a -u 1.2.3.4:53 -r 10.0.0.1 -m"})
    ASSERT_EQ(Call(host, line).exit_code, 0) << line;
  const std::string saved = Call(host, "ipvsadm -Sn").out;
  EXPECT_EQ(saved,
            "-A -t 1.2.3.4:80 -s wrr\n"
            "-a -t 1.2.3.4:80 -r 10.0.0.1:8080 -m -w 0\n"
            "-a -t 1.2.3.4:80 -r 10.0.0.2:8080 -m -w 7\n"
            "-A -u 1.2.3.4:53 -s lc\n"
            "-a -u 1.2.3.4:53 -r 10.0.0.1:53 -m -w 1\n");
  FakeHost other;
  const Outcome restored = Call(other, "ipvsadm -R", saved);
  EXPECT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(Call(other, "ipvsadm -Sn").out, saved);
}

TEST(Save, LosesNothingAsXlvs) {
  FakeHost host;
  for (const char* line :
       {"xlvs -A -f 7 -s sh -b sh-port -p 60 -M 255.255.255.0 -o",
        "xlvs -a -f 7 -r 10.0.0.1 -x 100 -y 50",
        "xlvs -a -f 7 -r 10.0.0.2 -i -x 9 --tun-type gre", "xlvs --set 0 60 0",
        "xlvs set drop_entry 3"})
    ASSERT_EQ(Call(host, line).exit_code, 0) << line;
  host.state.marks = {
      {7, Protocol::kTcp, *IpAddr::Parse("192.0.2.0"), 28, 80, 90},
      {7, Protocol::kIp, *IpAddr::Parse("2001:db8::"), 64, 0, 65535}};
  const std::string saved = Call(host, "xlvs -Sn").out;
  EXPECT_EQ(saved,
            "set expire_nodest_conn 0\n"
            "set conn_reuse_mode 1\n"
            "set drop_entry 3\n"
            "set drop_packet 0\n"
            "set am_droprate 10\n"
            "set service_embryonic_max 0\n"
            "--set 900 60 300\n"
            "mark add 7 --match 'tcp 192.0.2.0/28:80-90'\n"
            "mark add 7 --match 'any 2001:db8::/64'\n"
            "-A -f 7 -s sh -p 60 -M 255.255.255.0 -o -b sh-port\n"
            "-a -f 7 -r 10.0.0.1:0 -g -w 1 -x 100 -y 50\n"
            "-a -f 7 -r 10.0.0.2:0 -i -w 1 -x 9 --tun-type gre --tun-nocsum\n");
  FakeHost other;
  const Outcome restored = Call(other, "xlvs -R", saved);
  EXPECT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(Call(other, "xlvs -Sn").out, saved);
}

TEST(Save, IsIpvsadmsAsIpvsadm) {
  FakeHost host;
  host.state.marks = {
      {7, Protocol::kTcp, *IpAddr::Parse("192.0.2.0"), 28, 80, 90}};
  Call(host, "ipvsadm -A -f 7");
  Call(host, "ipvsadm -a -f 7 -r 10.0.0.1 -x 100 -y 50");
  EXPECT_EQ(Call(host, "ipvsadm -Sn").out,
            "-A -f 7 -s wlc\n"
            "-a -f 7 -r 10.0.0.1:0 -g -w 1\n");
}

TEST(Restore, HasXlvssWordsAsXlvsOnly) {
  FakeHost host;
  const Outcome refused = Call(host, "ipvsadm -R", "set drop_entry 3\n");
  EXPECT_EQ(refused.exit_code, 255);
  EXPECT_EQ(refused.err,
            "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n");
  const Outcome outcome = Call(
      host, "xlvs -R", "xlvs mark add 1 --match \"udp [2001:db8::/64]:53\"\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(host.state.calls,
              ElementsAre("add-mark 1 udp 2001:db8::/64 53-53"));
}

TEST(Restore, OpensTheDirectorOnce) {
  FakeHost host;
  Call(host, "ipvsadm -R", "-A -t 1.2.3.4:80\n-L -n\n-C\n");
  EXPECT_EQ(host.opened, "w");
}

TEST(Restore, ClearsNothingByItself) {
  FakeHost host;
  Call(host, "ipvsadm -R", "-A -t 1.2.3.4:80\n");
  EXPECT_THAT(host.state.calls, ElementsAre("add tcp 1.2.3.4:80 wlc"));
}

TEST(Restore, SkipsBlankLinesAndTheProgramsName) {
  FakeHost host;
  const Outcome outcome = Call(host, "xlvs -R",
                               "\n  \t\nipvsadm -A -t 1.2.3.4:80\r\n"
                               "xlvs\t-A -t 1.2.3.4:81\nipvsadm\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(host.state.calls,
              ElementsAre("add tcp 1.2.3.4:80 wlc", "add tcp 1.2.3.4:81 wlc"));
}

TEST(Restore, TakesALastLineWithoutNewline) {
  FakeHost host;
  EXPECT_EQ(Call(host, "ipvsadm -R", "-C").exit_code, 0);
  EXPECT_THAT(host.state.calls, ElementsAre("clear"));
}

// ipvsadm has done the first line by the time it finds the mistake.
TEST(Restore, ChangesNothingIfALineIsAMistake) {
  const struct {
    const char* line;
    int exit_code;
    const char* err;
  } kCases[] = {
      {"# comment", 255,
       "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n"},
      {"-A -t 1.2.3.4:80 # x", 2, "unexpected argument #\n"},
      {"foo -C", 2, "unexpected argument foo\n"},
      {"-A -t 80", 2, "illegal virtual server address[:port] specified\n"},
      {"-A -t 1.2.3.4:80 -w 3", 2,
       "Illegal 'weight' option with the 'add-service' command\n"},
      {"-A -t", 255, "-t: missing argument\n"},
      {"-R", 255,
       "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n"},
      {"-A -u 1.2.3.4:5060 -p 60 --pe sip", 1,
       "ipvsadm: --pe sip (persistence by SIP's Call-ID) is not supported\n"},
  };
  for (const auto& test : kCases) {
    FakeHost host;
    const Outcome outcome =
        Call(host, "ipvsadm -R", absl::StrCat("-C\n", test.line, "\n-C\n"));
    EXPECT_EQ(outcome.exit_code, test.exit_code) << test.line;
    EXPECT_EQ(outcome.err, test.err) << test.line;
    EXPECT_THAT(host.state.calls, IsEmpty()) << test.line;
  }
}

TEST(Restore, SaysWhichLineIsAMistakeAsXlvs) {
  FakeHost host;
  const Outcome outcome = Call(host, "xlvs -R", "-C\n\n-A -t 80\n-C -n\n");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err,
            "illegal virtual server address[:port] specified\n"
            "xlvs -R: line 3; nothing has been changed\n");
}

TEST(Restore, EndsWhereIpvsadmExits) {
  const struct {
    const char* input;
    int exit_code;
    const char* err;
  } kCases[] = {{"-L -t 1.2.3.4:80\n-C\n", 1, "No such service\n"},
                {"-v\n-C\nfoo\n", 0, ""},
                {"-h\n-C\n", 0, ""}};
  for (const auto& test : kCases) {
    FakeHost host;
    const Outcome outcome = Call(host, "ipvsadm -R", test.input);
    EXPECT_EQ(outcome.exit_code, test.exit_code) << test.input;
    EXPECT_EQ(outcome.err, test.err) << test.input;
    EXPECT_THAT(host.state.calls, IsEmpty()) << test.input;
  }
}

TEST(Restore, GoesOnAfterErrorsOfTheKernel) {
  FakeHost host;
  const Outcome outcome = Call(host, "ipvsadm -R",
                               "-D -t 1.2.3.4:80\n"
                               "-A -t 1.2.3.4:80 -s bogus\n"
                               "-a -t 1.2.3.4:80 -r 10.0.0.1 -x 3 -y 9\n"
                               "-C\n");
  EXPECT_EQ(outcome.exit_code, 0);  // the last line's
  EXPECT_EQ(outcome.err,
            "No such service\n"
            "Scheduler or persistence engine not found\n"
            "Service not defined\n");
  EXPECT_THAT(host.state.calls, ElementsAre("delete tcp 1.2.3.4:80", "clear"));
}

// 10,000 services with ten real servers each, there and back. A look through
// all of them for each line would take minutes.
TEST(Restore, TakesALargeTable) {
  std::string rules;
  for (int i = 0; i < 10'000; ++i) {
    const std::string service =
        absl::StrCat(" -t 10.", i / 2500, ".", i / 10 % 250, ".1:", i % 10 + 1);
    absl::StrAppend(&rules, "-A", service, " -s wlc\n");
    for (int j = 0; j < 10; ++j)
      absl::StrAppend(&rules, "-a", service, " -r 10.9.0.", j, ":80 -m -w 1\n");
  }
  FakeHost host;
  const Outcome restored = Call(host, "ipvsadm -R", rules);
  EXPECT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(host.opened, "w");
  const std::string saved = Call(host, "ipvsadm -Sn").out;
  EXPECT_EQ(saved, rules);
}

TEST(Restore, EndsAsItsLastLine) {
  FakeHost host;
  EXPECT_EQ(Call(host, "ipvsadm -R", "-C\n-D -t 1.2.3.4:80\n\n").exit_code,
            255);
}

TEST(SaveWrapper, SavesWithOrWithoutNames) {
  FakeHost host;
  Call(host, kAddWeb);
  const Outcome outcome = Call(host, "/usr/sbin/ipvsadm-save -n");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "-A -t 1.2.3.4:80 -s rr\n");
}

TEST(SaveWrapper, ExplainsItselfAtOtherOptions) {
  FakeHost host;
  const Outcome outcome = Call(host, "ipvsadm-save --numeric");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("ipvsadm-save [-n]"));
}

TEST(RestoreWrapper, ClearsFirstAndDropsComments) {
  FakeHost host;
  Call(host, "ipvsadm -A -t 9.9.9.9:80");
  host.state.calls.clear();
  const Outcome outcome =
      Call(host, "ipvsadm-restore", "# web\n-A -t 1.2.3.4:80\n#-C\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(host.state.calls, ElementsAre("clear", "add tcp 1.2.3.4:80 wlc"));
  EXPECT_EQ(host.opened, "ww");  // one for the command before, one for this
}

TEST(RestoreWrapper, ClearsNothingIfALineIsAMistake) {
  FakeHost host;
  const Outcome outcome =
      Call(host, "ipvsadm-restore", "-A -t 1.2.3.4:80\n-A -t 80\n");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(host.state.calls, IsEmpty());
}

TEST(RestoreWrapper, SpeaksAsIpvsadm) {
  FakeHost host;
  EXPECT_EQ(Call(host, "ipvsadm-restore", "foo\n").err,
            "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n");
}

}  // namespace
}  // namespace xlvs
