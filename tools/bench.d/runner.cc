// SPDX-License-Identifier: Apache-2.0
#include "tools/bench.d/runner.h"

#include <bpf/bpf.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "loader/base/status.h"

namespace xlvs::bench {
namespace {

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

struct Progress {
  std::string title;
  std::chrono::steady_clock::time_point begun;
  std::chrono::steady_clock::time_point shown;
  bool visible = false;
};
Progress progress;

absl::Status Sample(Case& the_case) {
  if (the_case.before) XLVS_RETURN_IF_ERROR(the_case.before());
  uint64_t hits = 0;
  if (the_case.hits) {
    XLVS_ASSIGN_OR_RETURN(hits, the_case.hits());
  }
  if (the_case.warm > 0) {
    const auto warm = Run(the_case.program, the_case.frame, the_case.warm);
    if (!warm.ok()) return warm.status();
  }
  XLVS_ASSIGN_OR_RETURN(const RunResult result,
                        Run(the_case.program, the_case.frame, the_case.repeat));
  if (result.action != the_case.action)
    return absl::InternalError(absl::StrCat("ends with XDP action ",
                                            result.action, " instead of ",
                                            the_case.action));
  if (the_case.hits) {
    XLVS_ASSIGN_OR_RETURN(const uint64_t hits_now, the_case.hits());
    const uint64_t sent = the_case.warm + the_case.repeat;
    const uint64_t hit = hits_now - hits;
    if (hit > sent || hit + the_case.may_miss < sent)
      return absl::InternalError(
          absl::StrCat(sent, " packets, of which ", hit, " hit"));
  }
  the_case.ns.push_back(result.ns);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RunResult> Run(int program, const Frame& frame,
                              uint32_t repeat) {
  // Room for what answers an ICMP error, which is longer.
  std::array<uint8_t, 1024> out = {};
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = frame.size();
  options.data_out = out.data();
  options.data_size_out = out.size();
  options.repeat = repeat;
  const double begun = ThreadSeconds();
  const int error = bpf_prog_test_run_opts(program, &options);
  const double ended = ThreadSeconds();
  if (error != 0) return ErrnoStatus(error, "run a BPF program");
  RunResult result = {.ns = (ended - begun) * 1e9 / repeat,
                      .action = options.retval,
                      .frame = {}};
  result.frame.assign(out.begin(), out.begin() + options.data_size_out);
  return result;
}

absl::Status RunRounds(const std::string& title, uint32_t rounds,
                       std::vector<Case>& cases) {
  for (uint32_t round = 0; round < rounds; ++round) {
    ShowProgress(title, round, rounds);
    for (Case& the_case : cases)
      if (auto status = Sample(the_case); !status.ok()) {
        EndProgress();
        return Context(status, absl::StrCat(title, ": ", the_case.name));
      }
  }
  EndProgress();
  return absl::OkStatus();
}

std::map<std::string, Samples> SamplesOf(const std::vector<Case>& cases) {
  std::map<std::string, Samples> samples;
  for (const Case& the_case : cases) samples[the_case.name] = the_case.ns;
  return samples;
}

std::string PinThread() {
  cpu_set_t allowed;
  int cpu = -1;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &allowed)) cpu = i;
  std::string got = "any CPU";
  if (cpu >= 0) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) == 0)
      got = absl::StrCat("CPU ", cpu);
  }
  sched_param priority = {};
  priority.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO, &priority) == 0)
    absl::StrAppend(&got, ", SCHED_FIFO");
  return got;
}

void ShowProgress(const std::string& title, uint64_t step, uint64_t steps) {
  const auto now = std::chrono::steady_clock::now();
  if (title != progress.title) {
    EndProgress();
    progress = {.title = title, .begun = now, .shown = now, .visible = false};
    return;
  }
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (!progress.visible) {
    if (now - progress.begun < std::chrono::seconds(1)) return;
    progress.visible = true;
    if (!terminal) absl::FPrintF(stderr, "  .. %s\n", title);
  }
  if (!terminal || now - progress.shown < std::chrono::milliseconds(200))
    return;
  progress.shown = now;
  absl::FPrintF(stderr, "\r  .. %-56.56s %3d %%", title, 100 * step / steps);
}

void EndProgress() {
  if (progress.visible && isatty(STDERR_FILENO))
    absl::FPrintF(stderr, "\r\x1b[K");
  progress = {};
}

}  // namespace xlvs::bench
