// SPDX-License-Identifier: Apache-2.0
//
// docs/json.md says what the documents hold: every member that is printed
// stands there with its type, and nothing stands there that is not printed. The
// headings there are command lines, which this runs.
#include "loader/cli/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "tests/unit/command_line.h"

namespace xlvs {
namespace {

// "services[].port" -> "number"
using Schema = std::map<std::string, std::string>;

void Collect(const nlohmann::json& json, const std::string& path,
             Schema& schema) {
  if (!path.empty() && !absl::EndsWith(path, "[]"))
    schema[path] = json.type_name();
  for (const auto& [key, value] : json.items()) {
    if (json.is_array())
      Collect(value, path + "[]", schema);
    else if (json.is_object())
      Collect(value, path.empty() ? key : path + "." + key, schema);
  }
  // A list of plain values.
  if (!json.is_structured() && absl::EndsWith(path, "[]"))
    schema[path] = json.type_name();
}

struct Document {
  std::string command;
  Schema schema;
};

std::optional<std::string> Quoted(absl::string_view text) {
  const size_t first = text.find('`');
  if (first == text.npos) return std::nullopt;
  return std::string(
      text.substr(first + 1, text.find('`', first + 1) - first - 1));
}

// "## `command`" begins a document, "| `path` | type | ..." is a member.
std::vector<Document> ReadDocumentation() {
  std::vector<Document> documents;
  std::ifstream file(XLVS_JSON_DOC);
  for (std::string line; std::getline(file, line);) {
    const auto name = Quoted(line);
    if (absl::StartsWith(line, "## ") && name) documents.push_back({*name, {}});
    if (!absl::StartsWith(line, "| `") || documents.empty()) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    documents.back().schema[*name] =
        std::string(absl::StripAsciiWhitespace(cells.at(2)));
  }
  return documents;
}

IpAddr Addr(absl::string_view text) {
  return *IpAddr::Parse(text);
}

// Has at least one of everything.
void Fill(FakeHost& host) {
  for (const char* line :
       {"xlvs -A -t 192.0.2.1:80 -s sh -b sh-port -p 60 -M 255.255.255.0",
        "xlvs -a -t 192.0.2.1:80 -r 10.0.0.1 -i --tun-type gue --tun-port 6080",
        "xlvs -A -f 7 -6", "xlvs mark add 7 --match=2001:db8::/64"})
    ASSERT_EQ(Call(host, line).exit_code, 0) << line;
  host.state.conns = {{Protocol::kTcp, 900, "ESTABLISHED", Addr("10.1.0.1"),
                       1234, Addr("192.0.2.1"), 80, Addr("10.0.0.1"), 80}};
  host.status.devices = {
      {"eth0", 2, AttachMode::kNative, "", {{"eth0.100", 3, "vlan 100"}}}};
  host.status.endings = {{"drop_table_full", "drop", "table full", 1}};
  DecapView& decap = host.decapsulator.status;
  decap.devices = host.status.devices;
  decap.from = {Addr("192.0.2.1")};
  decap.vips = {Addr("192.0.2.2")};
  decap.endings = host.status.endings;
}

TEST(Json, IsAsDocumented) {
  const std::vector<Document> documents = ReadDocumentation();
  EXPECT_EQ(documents.size(), 8u);
  FakeHost host;
  Fill(host);
  for (const Document& document : documents) {
    const Outcome outcome = Call(host, document.command);
    ASSERT_EQ(outcome.exit_code, 0) << document.command << outcome.err;
    Schema printed;
    Collect(nlohmann::json::parse(outcome.out), "", printed);
    EXPECT_EQ(printed, document.schema) << document.command;
  }
}

TEST(Json, SaysWhatPersistsAndIsLimited) {
  FakeHost host;
  for (const char* line :
       {"xlvs -A -u [2001:db8::1]:53 -p 60 -M 64 -o", "xlvs -A -t 1.2.3.4:80",
        "xlvs -a -t 1.2.3.4:80 -r 10.0.0.1 -x 9 -y 3", "xlvs -A -f 7 -6"})
    ASSERT_EQ(Call(host, line).exit_code, 0) << line;
  host.state.services[1].dests[0].persistent_conns = 5;
  const auto services =
      nlohmann::json::parse(Call(host, "xlvs -L --json").out)["services"];
  EXPECT_EQ(services[0]["fwmark"], 0);
  EXPECT_EQ(services[0]["persistent_s"], 0);
  EXPECT_EQ(services[0]["persistent_mask"], "255.255.255.255");
  EXPECT_EQ(services[0]["one_packet"], false);
  EXPECT_EQ(services[0]["dests"][0]["u_threshold"], 9);
  EXPECT_EQ(services[0]["dests"][0]["l_threshold"], 3);
  EXPECT_EQ(services[0]["dests"][0]["persistent_conns"], 5);
  EXPECT_EQ(services[1]["persistent_s"], 60);
  EXPECT_EQ(services[1]["persistent_mask"], "64");
  EXPECT_EQ(services[1]["one_packet"], true);
  EXPECT_EQ(services[2]["fwmark"], 7);
  EXPECT_EQ(services[2]["protocol"], "ip");
  EXPECT_EQ(services[2]["address"], "::");
  EXPECT_EQ(services[2]["port"], 0);
}

TEST(Json, TellsTemplatesFromConnections) {
  FakeHost host;
  host.state.conns = {{Protocol::kTcp, 900, "ESTABLISHED", Addr("10.1.0.1"),
                       1234, Addr("192.0.2.1"), 80, Addr("10.0.0.1"), 80},
                      {Protocol::kTcp, 60, "ASSURED", Addr("10.1.0.1"), 0,
                       Addr("192.0.2.1"), 80, Addr("10.0.0.1"), 80},
                      {Protocol::kIp, 38, "NONE", Addr("10.1.0.123"), 0,
                       Addr("0.0.0.5"), 0, Addr("10.2.0.12"), 0},
                      {Protocol::kIp, 38, "NONE", Addr("2001:db8::"), 0,
                       Addr("1:5::"), 0, Addr("2001:db8::1"), 0}};
  const auto conns =
      nlohmann::json::parse(Call(host, "xlvs -Lc --json").out)["conns"];
  EXPECT_EQ(conns[0]["template"], false);
  EXPECT_EQ(conns[1]["template"], true);
  EXPECT_EQ(conns[1]["fwmark"], 0);
  EXPECT_EQ(conns[2]["template"], true);
  EXPECT_EQ(conns[2]["protocol"], "ip");
  EXPECT_EQ(conns[2]["fwmark"], 5);
  EXPECT_EQ(conns[3]["fwmark"], 65541);
}

// As IPVS has none.
TEST(Json, HasAnEmptyListOfDaemons) {
  FakeHost host;
  EXPECT_EQ(nlohmann::json::parse(Call(host, "xlvs -L --daemon --json").out),
            nlohmann::json::parse(R"({"v": 1, "daemons": []})"));
}

}  // namespace
}  // namespace xlvs
