// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/setting.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "loader/cli/admin_reader.h"
#include "loader/cli/values.h"

namespace xlvs {
namespace {

constexpr size_t kColumns = 80;

constexpr absl::string_view kNoSync =
    "directors do not synchronise connections";
constexpr absl::string_view kFixedSizes =
    "sizes are fixed: xlvs attach --conns, --services";
constexpr absl::string_view kNoThreads =
    "rates are estimated by a timer, not by threads";
constexpr absl::string_view kTimeouts =
    "timeouts are set with xlvs --set TCP TCPFIN UDP";

struct NotOurs {
  absl::string_view name;
  absl::string_view why;
};
constexpr NotOurs kNotOurs[] = {
    {"backup_only", kNoSync},
    {"sync_version", kNoSync},
    {"sync_ports", kNoSync},
    {"sync_persist_mode", kNoSync},
    {"sync_qlen_max", kNoSync},
    {"sync_sock_size", kNoSync},
    {"sync_threshold", kNoSync},
    {"sync_refresh_period", kNoSync},
    {"sync_retries", kNoSync},
    {"conntrack", "conntrack never sees the packets that are balanced"},
    {"snat_reroute", "replies are always routed as what they have become"},
    {"ignore_tunneled", "what the kernel takes out of tunnels is not seen"},
    {"run_estimation", "rates are always estimated; no packet waits for it"},
    {"est_cpulist", kNoThreads},
    {"est_nice", kNoThreads},
    {"conn_tab_bits", kFixedSizes},
    {"conn_max", kFixedSizes},
    {"conn_lfactor", kFixedSizes},
    {"svc_lfactor", kFixedSizes},
    {"debug_level", "xlvs status shows how packets end"},
    {"timeout_established", kTimeouts},
    {"timeout_finwait", kTimeouts},
    {"timeout_udp", kTimeouts},
};

// Key as the director knows it: of "net.ipv4.vs.drop_entry", "drop_entry".
std::string KeyOf(absl::string_view word) {
  if (!absl::ConsumePrefix(&word, "net.ipv4.vs."))
    absl::ConsumePrefix(&word, "net/ipv4/vs/");
  return absl::StrReplaceAll(word, {{"-", "_"}});
}

// How many letters have to be added, taken away or changed.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

// Lines of at most `width`, broken at blanks.
std::vector<std::string> Wrap(absl::string_view text, size_t width) {
  std::vector<std::string> lines(1);
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    std::string& line = lines.back();
    if (line.empty())
      line = std::string(word);
    else if (line.size() + 1 + word.size() <= width)
      absl::StrAppend(&line, " ", word);
    else
      lines.emplace_back(word);
  }
  return lines;
}

}  // namespace

Parsed ParseSet(const Program& program, const std::vector<std::string>& args) {
  AdminReader reader(absl::StrCat(program.name, " ", kSetWord),
                     {args.begin() + 1, args.end()},
                     {PoptEntry("json", POPT_ARG_NONE, 1), POPT_TABLEEND});
  bool json = false;
  int option;
  while ((option = reader.Next()) >= 0) json = true;
  if (option < -1) return reader.OptionError(option);
  std::vector<std::string> words = reader.Words();
  // As sysctl: KEY=VALUE.
  if (words.size() == 1 && words[0].find('=') != std::string::npos)
    words = absl::StrSplit(words[0], absl::MaxSplits('=', 1));
  if (words.size() > 2)
    return reader.Mistake(absl::StrCat("unexpected argument ", words[2]));
  if (words.empty()) return Command(ListSettings{std::nullopt, json});

  const std::string key = KeyOf(words[0]);
  for (const NotOurs& known : kNotOurs)
    if (known.name == key) {
      Failure failure = reader.Mistake(absl::StrCat(key, ": ", known.why));
      failure.exit_code = kExitRefused;
      return failure;
    }
  if (words.size() == 1) return Command(ListSettings{key, json});
  if (json) return reader.Mistake("--json is for looking, not for changing");
  const auto value =
      ParseInteger(words[1], 0, std::numeric_limits<uint32_t>::max());
  if (!value)
    return reader.Mistake(
        absl::StrCat(key, ": '", words[1], "' is not a number"));
  return Command(ChangeSetting{key, static_cast<uint32_t>(*value)});
}

const SettingView* FindSetting(const std::vector<SettingView>& settings,
                               absl::string_view name) {
  const auto found = std::find_if(
      settings.begin(), settings.end(),
      [&](const SettingView& setting) { return setting.name == name; });
  return found == settings.end() ? nullptr : &*found;
}

std::string UnknownSetting(const std::vector<SettingView>& settings,
                           absl::string_view name) {
  const auto nearest =
      std::min_element(settings.begin(), settings.end(),
                       [&](const SettingView& a, const SettingView& b) {
                         return Distance(a.name, name) < Distance(b.name, name);
                       });
  std::string text = absl::StrCat("there is no '", name, "'");
  if (nearest != settings.end())
    absl::StrAppend(&text, "; did you mean ", nearest->name, "?");
  return text;
}

void PrintSettings(const std::vector<SettingView>& settings,
                   std::ostream& out) {
  const auto text_of = [](uint32_t number) { return absl::StrCat(number); };
  size_t names = 4, values = 5, standards = 7;
  for (const SettingView& setting : settings) {
    names = std::max(names, setting.name.size());
    values = std::max(values, text_of(setting.value).size());
    standards = std::max(standards, text_of(setting.standard).size());
  }
  const size_t indent = names + values + standards + 4;
  const auto row = [&](absl::string_view name, absl::string_view value,
                       absl::string_view standard, absl::string_view text) {
    out << absl::StreamFormat("%-*s %*s %*s  ", static_cast<int>(names), name,
                              static_cast<int>(values), value,
                              static_cast<int>(standards), standard);
    const std::vector<std::string> lines = Wrap(text, kColumns - indent);
    for (size_t i = 0; i < lines.size(); ++i)
      out << std::string(i == 0 ? 0 : indent, ' ') << lines[i] << '\n';
  };
  row("name", "value", "default", "what it does");
  for (const SettingView& setting : settings)
    row(setting.name, text_of(setting.value), text_of(setting.standard),
        setting.text);
}

void PrintSettingRules(const std::vector<SettingView>& settings,
                       std::ostream& out) {
  for (const SettingView& setting : settings) {
    // Another director's table may be larger.
    const bool as_table = setting.by_table && setting.value == setting.standard;
    out << kSetWord << ' ' << setting.name << ' '
        << (as_table ? 0 : setting.value) << '\n';
  }
}

}  // namespace xlvs
