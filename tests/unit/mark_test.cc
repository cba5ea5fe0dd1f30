// SPDX-License-Identifier: Apache-2.0
//
// `xlvs mark`: rules that give packets their marks.
#include "loader/cli/mark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/command_line.h"

namespace xlvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Words that have blanks in them, as a shell hands them over.
Outcome CallWords(FakeHost& host, std::vector<std::string> words) {
  words.insert(words.begin(), {"xlvs", "mark"});
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code =
      RunCommandLine(words, host, host.decapsulator, in, out, err);
  return {exit_code, out.str(), err.str()};
}

TEST(MarkRule, SaysProtocolNetworkAndPorts) {
  const struct {
    const char* text;
    const char* rule;       // as ToText() puts it
    const char* canonical;  // as it is listed
  } kCases[] = {
      {"tcp 192.0.2.0/28:80-90", "0 tcp 192.0.2.0/28 80-90",
       "tcp 192.0.2.0/28:80-90"},
      {"udp [2001:db8::/64]:53", "0 udp 2001:db8::/64 53-53",
       "udp [2001:db8::/64]:53"},
      {"198.51.100.7", "0 ip 198.51.100.7/32 0-65535", "any 198.51.100.7"},
      {"any 198.51.100.7/32:443", "0 ip 198.51.100.7/32 443-443",
       "any 198.51.100.7:443"},
      {"sctp 2001:db8::1", "0 sctp 2001:db8::1/128 0-65535",
       "sctp 2001:db8::1"},
      {"[2001:db8::1]", "0 ip 2001:db8::1/128 0-65535", "any 2001:db8::1"},
      {"0.0.0.0/0:1-65535", "0 ip 0.0.0.0/0 1-65535", "any 0.0.0.0/0:1-65535"},
      {" \ttcp   10.0.0.0/8 ", "0 tcp 10.0.0.0/8 0-65535", "tcp 10.0.0.0/8"},
      {"2000::/3", "0 ip 2000::/3 0-65535", "any 2000::/3"},
  };
  for (const auto& test : kCases) {
    const auto rule = ParseMarkRule(test.text);
    ASSERT_TRUE(rule.ok()) << test.text << ": " << rule.status().message();
    EXPECT_EQ(ToText(*rule), test.rule);
    EXPECT_EQ(MarkRuleText(*rule), test.canonical);
    EXPECT_EQ(*ParseMarkRule(test.canonical), *rule);
  }
}

TEST(MarkRule, ExplainsMistakes) {
  constexpr char kForm[] = "([tcp|udp|sctp|any] NETWORK[:PORT[-PORT]])";
  const struct {
    const char* text;
    std::string message;
  } kCases[] = {
      {"", absl::StrCat("which network? ", kForm)},
      {"tcp", absl::StrCat("which network? ", kForm)},
      {"icmp 10.0.0.1", "'icmp' is not a protocol (tcp, udp, sctp or any)"},
      {"tcp 10.0.0.1 80", absl::StrCat("'80' is too much ", kForm)},
      {"192.0.2.1/28",
       "192.0.2.1/28 has bits behind its prefix; the network is 192.0.2.0/28"},
      {"2001:db8::1/64",
       "2001:db8::1/64 has bits behind its prefix; the network is "
       "2001:db8::/64"},
      {"10.0.0.0/33", "'/33' is not a prefix of IPv4 (/0 to /32)"},
      {"10.0.0.0/", "'/' is not a prefix of IPv4 (/0 to /32)"},
      {"2001:db8::/129", "'/129' is not a prefix of IPv6 (/0 to /128)"},
      {"10.0.0.1:90-80", "ports 90-80 are the wrong way round; 80-90"},
      {"10.0.0.1:0", "'0' is not a port (1 to 65535; without one: all)"},
      {"10.0.0.1:", "'' is not a port (1 to 65535; without one: all)"},
      {"10.0.0.1:80-", "'' is not a port (1 to 65535)"},
      {"10.0.0.1:80-65536", "'65536' is not a port (1 to 65535)"},
      {"10.0.0.1:http", "'http' is not a port (1 to 65535; without one: all)"},
      {"www.example.com", "'www.example.com' is not an address"},
      {"10.1", "'10.1' is not an address"},
      {"[2001:db8::1", "'[2001:db8::1' lacks a ]"},
      {"[2001:db8::1]80", "'80' behind ] is not :PORT"},
      {"::ffff:192.0.2.1",
       "IPv4-mapped addresses are not supported; use 192.0.2.1"},
      {"::/0",
       "::/0 has the IPv4-mapped addresses in it, which are not supported; "
       "2000::/3 are the global ones of IPv6"},
  };
  for (const auto& test : kCases) {
    const auto rule = ParseMarkRule(test.text);
    EXPECT_EQ(rule.status().code(), absl::StatusCode::kInvalidArgument)
        << test.text;
    EXPECT_EQ(rule.status().message(), test.message);
  }
}

TEST(Mark, AddsAndDeletesRules) {
  FakeHost host;
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"add", "7", "--match", "tcp 10.0.0.1:80",
                                 "--match", "udp 10.0.0.1:53"},
        {"add", "8", "--match=10.0.0.2"},
        {"add", "8", "--match", "10.0.0.3"},
        {"del", "7", "--match", "tcp 10.0.0.1:80"},
        {"del", "8"}}) {
    const Outcome outcome = CallWords(host, words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_THAT(
      host.state.calls,
      ElementsAre("add-mark 7 tcp 10.0.0.1/32 80-80",
                  "add-mark 7 udp 10.0.0.1/32 53-53",
                  "add-mark 8 ip 10.0.0.2/32 0-65535",
                  "add-mark 8 ip 10.0.0.3/32 0-65535",
                  "delete-mark 7 tcp 10.0.0.1/32 80-80", "clear-marks 8"));
  EXPECT_EQ(host.opened, "wwwww");
}

TEST(Mark, ListsRulesInTheOrderInWhichTheyAreTried) {
  FakeHost host;
  CallWords(host, {"add", "4294967295", "--match", "udp [2001:db8::/64]:53"});
  CallWords(host, {"add", "7", "--match", "tcp 192.0.2.0/28:80-90", "--match",
                   "198.51.100.7"});
  constexpr char kList[] =
      "mark       protocol network:ports\n"
      "4294967295 udp      [2001:db8::/64]:53\n"
      "7          tcp      192.0.2.0/28:80-90\n"
      "7          any      198.51.100.7\n";
  EXPECT_EQ(CallWords(host, {}).out, kList);
  EXPECT_EQ(CallWords(host, {"list"}).out, kList);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--json"}, {"list", "--json"}}) {
    const auto json = nlohmann::json::parse(CallWords(host, words).out);
    EXPECT_EQ(json["v"], 1);
    ASSERT_EQ(json["marks"].size(), 3u);
    EXPECT_EQ(json["marks"][0]["fwmark"], 4294967295u);
    EXPECT_EQ(json["marks"][1]["address"], "192.0.2.0");
    EXPECT_EQ(json["marks"][1]["prefix_bits"], 28);
    EXPECT_EQ(json["marks"][1]["port_last"], 90);
    EXPECT_EQ(json["marks"][2]["protocol"], "any");
  }
}

TEST(Mark, AddsAllOrNone) {
  FakeHost host;
  host.state.marks_max = 2;
  CallWords(host, {"add", "7", "--match", "10.0.0.1"});
  const std::vector<MarkRule> before = host.state.marks;
  const Outcome full = CallWords(
      host, {"add", "7", "--match", "10.0.0.2", "--match", "10.0.0.3"});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_EQ(full.err, "xlvs: no room for another rule\n");
  EXPECT_EQ(host.state.marks, before);

  const Outcome known = CallWords(
      host, {"add", "7", "--match", "10.0.0.2", "--match", "10.0.0.1"});
  EXPECT_EQ(known.exit_code, 1);
  EXPECT_EQ(known.err, "xlvs mark: mark 7 has 'any 10.0.0.1' already\n");
  EXPECT_EQ(host.state.marks, before);

  const Outcome twice = CallWords(
      host, {"add", "7", "--match", "10.0.0.2", "--match", "10.0.0.2"});
  EXPECT_EQ(twice.err, "xlvs mark: mark 7 has 'any 10.0.0.2' already\n");
  EXPECT_EQ(host.state.marks, before);
}

TEST(Mark, DeletesAllOrNone) {
  FakeHost host;
  CallWords(host, {"add", "7", "--match", "10.0.0.1"});
  const std::vector<MarkRule> before = host.state.marks;
  const Outcome outcome = CallWords(
      host, {"del", "7", "--match", "10.0.0.1", "--match", "10.0.0.2"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "xlvs mark: mark 7 has no 'any 10.0.0.2'\n");
  EXPECT_EQ(host.state.marks, before);
  EXPECT_EQ(CallWords(host, {"del", "8"}).err,
            "xlvs mark: no packet has mark 8\n");
}

TEST(Mark, ExplainsMistakes) {
  const struct {
    std::vector<std::string> words;
    const char* err;
  } kCases[] = {
      {{"add"}, "xlvs mark add: which mark? (a number from 1 on)\n"},
      {{"add", "7"},
       "xlvs mark add: which packets? (--match '[tcp|udp|sctp|any] "
       "NETWORK[:PORT[-PORT]]')\n"},
      {{"add", "0", "--match", "10.0.0.1"},
       "xlvs mark add: '0' is not a mark (1 to 4294967295)\n"},
      {{"add", "4294967296", "--match", "10.0.0.1"},
       "xlvs mark add: '4294967296' is not a mark (1 to 4294967295)\n"},
      {{"add", "7", "8", "--match", "10.0.0.1"},
       "xlvs mark add: unexpected argument 8\n"},
      {{"add", "7", "--match", "10.0.0.1/8"},
       "xlvs mark add: --match '10.0.0.1/8': 10.0.0.1/8 has bits behind its "
       "prefix; the network is 10.0.0.0/8\n"},
      {{"add", "7", "--match"}, "xlvs mark add: --match: missing argument\n"},
      {{"del"}, "xlvs mark del: which mark? (a number from 1 on)\n"},
      {{"list", "7"}, "xlvs mark list: unexpected argument 7\n"},
      {{"show"}, "xlvs mark: add, del or list?\n"},
  };
  for (const auto& test : kCases) {
    FakeHost host;
    const Outcome outcome = CallWords(host, test.words);
    EXPECT_EQ(outcome.exit_code, 2) << test.err;
    EXPECT_EQ(outcome.err, test.err);
    EXPECT_THAT(host.state.calls, IsEmpty());
  }
}

}  // namespace
}  // namespace xlvs
