// SPDX-License-Identifier: Apache-2.0
//
// ipvsadm's grammar: which line becomes which command, which mistake gets which
// words and exit code.
#include "loader/cli/ipvsadm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/command_line.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/ipvsadm_cases.h"

namespace xlvs {
namespace {

Parsed Parse(absl::string_view line, const char* program = "ipvsadm") {
  std::vector<std::string> words = Words(line);
  words.insert(words.begin(), program);
  return ParseIpvsadm(Program::FromArgv0(program), words);
}

struct Describer {
  std::string operator()(const AddService& command) const {
    return "add " + ToText(command.service);
  }
  std::string operator()(const EditService& command) const {
    return "edit " + ToText(command.service);
  }
  std::string operator()(const DeleteService& command) const {
    return "delete " + ToText(command.service);
  }
  std::string operator()(const Clear&) const { return "clear"; }
  std::string operator()(const AddDest& command) const {
    return "add-dest " + ToText(command.service) + " -> " +
           ToText(command.dest);
  }
  std::string operator()(const EditDest& command) const {
    return "edit-dest " + ToText(command.service) + " -> " +
           ToText(command.dest);
  }
  std::string operator()(const DeleteDest& command) const {
    return "delete-dest " + ToText(command.service) + " -> " +
           ToText(command.dest);
  }
  std::string operator()(const Zero& command) const {
    return "zero " + (command.service ? ToText(*command.service) : "all");
  }
  std::string operator()(const SetTimeouts& command) const {
    const Timeouts& timeouts = command.timeouts;
    return absl::StrCat("timeouts ", timeouts.tcp_s, " ", timeouts.tcp_fin_s,
                        " ", timeouts.udp_s);
  }
  std::string operator()(const Refused& command) const {
    static constexpr const char* kOf[] = {"add", "edit", "change-dest"};
    return absl::StrCat("refuse ", kOf[static_cast<int>(command.of)], " ",
                        ToText(command.service), ": ", command.message);
  }
  std::string operator()(const StopDaemon&) const { return "stop-daemon"; }
  std::string operator()(const List& command) const {
    return "list " + (command.service ? ToText(*command.service) : "all");
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "other";
  }
};

std::string Describe(const Parsed& parsed) {
  if (const auto* failure = std::get_if<Failure>(&parsed))
    return absl::StrCat("exit ", failure->exit_code, ": ", failure->message);
  return std::visit(Describer(), std::get<Command>(parsed));
}

List ParseList(absl::string_view line, const char* program = "ipvsadm") {
  const Parsed parsed = Parse(line, program);
  EXPECT_TRUE(std::holds_alternative<Command>(parsed)) << Describe(parsed);
  return std::get<List>(std::get<Command>(parsed));
}

TEST(Ipvsadm, UnderstandsWhatIpvsadmUnderstands) {
  for (const AcceptedCase& test : kAccepted)
    EXPECT_EQ(Describe(Parse(test.line)), test.command) << test.line;
}

TEST(Ipvsadm, FindsIpvsadmsMistakesInItsWords) {
  for (const MistakeCase& test : kMistakes)
    EXPECT_EQ(Describe(Parse(test.line)),
              absl::StrCat("exit ", test.exit_code, ": ", test.message))
        << test.line;
}

TEST(Ipvsadm, SaysWhatItDoesNotDo) {
  for (const UnsupportedCase& test : kUnsupported)
    EXPECT_EQ(Describe(Parse(test.line)),
              absl::StrCat("exit 1: ipvsadm: ", test.message))
        << test.line;
}

TEST(Ipvsadm, NamesTheProgramThatRefuses) {
  EXPECT_EQ(Describe(Parse("-A -u 1.2.3.4:5060 -p --pe sip", "/sbin/xlvs")),
            "exit 1: xlvs: --pe sip (persistence by SIP's Call-ID) is not "
            "supported");
}

TEST(Ipvsadm, LeavesUnknownSchedulersToTheKernelsAnswer) {
  EXPECT_EQ(Describe(Parse("-A -t 1.2.3.4:80 -s bogus")),
            "refuse add tcp 1.2.3.4:80: Scheduler or persistence engine not "
            "found");
  EXPECT_EQ(Describe(Parse("-E -t 1.2.3.4:80 -s RR")),
            "refuse edit tcp 1.2.3.4:80: Scheduler or persistence engine not "
            "found");
}

TEST(Ipvsadm, KnowsItsSchedulers) {
  for (const char* name : {"rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf",
                           "twos", "sh", "dh", "mh", "lblc", "lblcr", "none"})
    EXPECT_EQ(Describe(Parse(absl::StrCat("-A -t 1.2.3.4:80 -s ", name))),
              absl::StrCat("add tcp 1.2.3.4:80 ", name));
}

TEST(Ipvsadm, ListsWithoutArguments) {
  const List list = ParseList("");
  EXPECT_EQ(list.what, ListWhat::kServices);
  EXPECT_FALSE(list.options.numeric);
  EXPECT_TRUE(list.options.sort);
}

TEST(Ipvsadm, UnbundlesListOptions) {
  const List list = ParseList("-lnX --nosort --rate");
  EXPECT_TRUE(list.options.numeric);
  EXPECT_TRUE(list.options.exact);
  EXPECT_FALSE(list.options.sort);
  EXPECT_EQ(list.options.columns, ListColumns::kRate);
}

TEST(Ipvsadm, KnowsWhatToList) {
  EXPECT_EQ(ParseList("-Lnc").what, ListWhat::kConns);
  EXPECT_EQ(ParseList("-L --timeout").what, ListWhat::kTimeouts);
  EXPECT_EQ(ParseList("-L --daemon").what, ListWhat::kDaemons);
  const List one = ParseList("-L -u 1.2.3.4:53");
  ASSERT_TRUE(one.service.has_value());
  EXPECT_EQ(ToText(*one.service), "udp 1.2.3.4:53");
}

TEST(Ipvsadm, PrefersColumnsInIpvsadmsOrder) {
  EXPECT_EQ(ParseList("-L --tun-info --rate --stats").options.columns,
            ListColumns::kStats);
  EXPECT_EQ(ParseList("-L --thresholds --rate").options.columns,
            ListColumns::kRate);
  EXPECT_EQ(ParseList("-L --persistent-conn --thresholds").options.columns,
            ListColumns::kThresholds);
  EXPECT_EQ(ParseList("-L --tun-info --persistent-conn").options.columns,
            ListColumns::kPersistentConn);
}

TEST(Ipvsadm, ListsJsonAsXlvsOnly) {
  EXPECT_TRUE(ParseList("-L --json", "xlvs").json);
  EXPECT_EQ(Describe(Parse("-L --json")), "exit 255: --json: unknown option");
  EXPECT_EQ(Describe(Parse("-S --json", "xlvs")),
            "exit 2: Illegal 'json' option with the 'save' command");
}

TEST(Ipvsadm, PrintsItsNameAsItWasCalled) {
  EXPECT_EQ(Describe(Parse("-n", "/sbin/ipvsadm")),
            "exit 255: Try `/sbin/ipvsadm -h' or '/sbin/ipvsadm --help' for "
            "more information.");
}

TEST(Ipvsadm, TakesNamesOfPortsByProtocol) {
  if (getservbyname("tftp", "udp") == nullptr)
    GTEST_SKIP() << "no /etc/services";
  EXPECT_EQ(Describe(Parse("-D -u 1.2.3.4:tftp")), "delete udp 1.2.3.4:69");
  EXPECT_EQ(Describe(Parse("-D -t 1.2.3.4:tftp")),
            "exit 2: illegal virtual server address[:port] specified");
  EXPECT_EQ(Describe(Parse("-d -t 1.2.3.4:80 -r 10.0.0.1:http")),
            "delete-dest tcp 1.2.3.4:80 -> 10.0.0.1:80");
  EXPECT_EQ(Describe(Parse("-d -r 10.0.0.1:http -t 1.2.3.4:80")),
            "exit 2: illegal real server address[:port] specified");
}

TEST(Ipvsadm, TakesHostNames) {
  EXPECT_EQ(Describe(Parse("-D -t localhost:80")), "delete tcp 127.0.0.1:80");
}

TEST(Ipvsadm, IgnoresThePortOfAV4AddressInBrackets) {
  EXPECT_EQ(Describe(Parse("-D -t [10.1]:99")), "delete tcp 10.0.0.1:0");
  EXPECT_EQ(Describe(Parse("-d -t 1.2.3.4:80 -r [10.0.0.1]:99")),
            "delete-dest tcp 1.2.3.4:80 -> 10.0.0.1:80");
}

TEST(Ipvsadm, TakesBlanksWhereStrtolDoes) {
  const Program program = Program::FromArgv0("ipvsadm");
  EXPECT_EQ(
      Describe(ParseIpvsadm(program, {"ipvsadm", "-a", "-t", "1.2.3.4: 80",
                                      "-r", "10.0.0.1", "-m", "-w", " 5"})),
      "add-dest tcp 1.2.3.4:80 -> 10.0.0.1:80 masq w=5");
  EXPECT_EQ(
      Describe(ParseIpvsadm(program, {"ipvsadm", "-a", "-t", "1.2.3.4:80", "-r",
                                      "10.0.0.1", "-m", "-w", "5 "})),
      "exit 2: illegal weight specified");
}

}  // namespace
}  // namespace xlvs
