// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/instance.h"

#include <bpf/bpf.h>
#include <time.h>

#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "loader/base/status.h"
#include "loader/datapath/bpf_object.h"
#include "loader/datapath/probe.h"
#include "loader/datapath/settings.h"
#include "loader/net/netns.h"
#include "maps/clock.h"

namespace xlvs {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kQdiscPrefix = "qdisc:";
constexpr absl::string_view kProgramPrefix = "program:";
constexpr absl::string_view kDirectorPin = "program";
constexpr absl::string_view kArmPin = "arm";

absl::Status InitialiseMaps(const BpfObject& program, const Sizes& sizes) {
  xlvs_meta meta = {.layout_version = XLVS_LAYOUT_VERSION,
                    .conns = sizes.conns,
                    .services = sizes.services,
                    .dests = sizes.dests,
                    .hash_tables = sizes.hash_tables,
                    .maglev_tables = sizes.maglev_tables,
                    .netns_cookie = 0,
                    .version = {},
                    .config = sizes.config};
  XLVS_ASSIGN_OR_RETURN(meta.netns_cookie, NetnsCookie());
  std::memcpy(meta.version, kVersion.data(), kVersion.size());

  xlvs_control control = {};
  // IPVS's defaults, in seconds (ip_vs_proto_tcp.c, ip_vs_proto_udp.c).
  const std::pair<xlvs_conn_state, uint32_t> timeouts_s[] = {
      {XLVS_CONN_tcp_none, 2},       {XLVS_CONN_tcp_established, 900},
      {XLVS_CONN_tcp_syn_sent, 120}, {XLVS_CONN_tcp_syn_recv, 60},
      {XLVS_CONN_tcp_fin_wait, 120}, {XLVS_CONN_tcp_time_wait, 120},
      {XLVS_CONN_tcp_close, 10},     {XLVS_CONN_tcp_close_wait, 60},
      {XLVS_CONN_tcp_last_ack, 30},  {XLVS_CONN_tcp_listen, 120},
      {XLVS_CONN_tcp_synack, 120},   {XLVS_CONN_udp, 300},
      {XLVS_CONN_sctp_none, 2},      {XLVS_CONN_sctp_init1, 4},
      {XLVS_CONN_sctp_rejected, 4},  {XLVS_CONN_sctp_established, 900},
  };
  for (int state = XLVS_CONN_sctp_none; state <= XLVS_CONN_sctp_closed; ++state)
    control.timeout_ticks[state] = 61 * XLVS_TICKS_PER_SECOND;
  for (const auto& [state, seconds] : timeouts_s)
    control.timeout_ticks[state] = seconds * XLVS_TICKS_PER_SECOND;
  control.set = StandardSettings(sizes.conns);

  const uint32_t zero = 0;
  if (bpf_map_update_elem(program.map_fd("meta"), &zero, &meta, 0) != 0 ||
      bpf_map_update_elem(program.map_fd("control"), &zero, &control, 0) != 0)
    return ErrnoStatus(errno, "write map entry");
  return absl::OkStatus();
}

}  // namespace

std::string Instance::ProgramPin(absl::string_view program) {
  if (program == "director") return std::string(kDirectorPin);
  if (program == "arm") return std::string(kArmPin);
  return absl::StrCat(kProgramPrefix, program);
}

bool Instance::IsMapPin(absl::string_view pin) {
  return pin != kDirectorPin && pin != kArmPin && !absl::StrContains(pin, ':');
}

std::string Instance::QdiscPin(absl::string_view device) {
  return absl::StrCat(kQdiscPrefix, absl::StrReplaceAll(device, {{".", ":"}}));
}

absl::Status Instance::Create(Sizes sizes) const {
  XLVS_RETURN_IF_ERROR(CheckBpfFs());
  XLVS_RETURN_IF_ERROR(RemoveLeftovers());
  sizes.config.fib_source = FibTellsSource();
  XLVS_ASSIGN_OR_RETURN(const BpfObject program, BpfObject::Load(sizes));
  XLVS_RETURN_IF_ERROR(InitialiseMaps(program, sizes));
  std::vector<std::pair<std::string, int>> pins;
  for (const std::string& name : program.map_names())
    pins.emplace_back(name, program.map_fd(name));
  for (const std::string& name : program.program_names())
    pins.emplace_back(ProgramPin(name), program.program_fd(name));
  return Make(pins);
}

absl::Status Instance::StartTimer() const {
  XLVS_ASSIGN_OR_RETURN(const UniqueFd arm, OpenPin("arm"));
  // It wants a packet, of whatever content.
  const uint8_t frame[64] = {};
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame;
  options.data_size_in = sizeof(frame);
  if (const int error = bpf_prog_test_run_opts(arm.get(), &options); error != 0)
    return ErrnoStatus(error, "run the program that starts the timer");
  if (const int error = static_cast<int>(options.retval); error != 0)
    return ErrnoStatus(error, "start the expiry timer");
  return absl::OkStatus();
}

absl::StatusOr<bool> Instance::TimerRuns() const {
  XLVS_ASSIGN_OR_RETURN(const auto clock,
                        MapArray<xlvs_clock>("clock", /*writable=*/false));
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint32_t now_ticks =
      (static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec) /
      XLVS_TICK_NS;
  return now_ticks - clock[0].now_ticks <= 2 * XLVS_TICKS_PER_SECOND;
}

absl::StatusOr<xlvs_meta> Instance::CheckedMeta() const {
  std::error_code error;
  const bool exists = fs::is_directory(path(), error);
  if (error && error.value() == EACCES)
    return absl::PermissionDeniedError(
        absl::StrCat("read ", path(), ": permission denied; run as root"));
  if (!exists) {
    XLVS_RETURN_IF_ERROR(CheckBpfFs());
    return absl::FailedPreconditionError(absl::StrCat(
        "no director '", name(), "' on this host: run 'xlvs ",
        name() == "xlvs" ? "" : absl::StrCat("--instance ", name(), " "),
        "attach DEVICE' first"));
  }
  const auto meta_fd = OpenPin("meta");
  if (!meta_fd.ok()) return meta_fd.status();
  bpf_map_info info = {};
  uint32_t info_bytes = sizeof(info);
  const uint32_t zero = 0;
  // Room for a later layout, which may be larger.
  std::vector<char> value(65536);
  if (bpf_obj_get_info_by_fd(meta_fd->get(), &info, &info_bytes) != 0 ||
      info.value_size > value.size() ||
      bpf_map_lookup_elem(meta_fd->get(), &zero, value.data()) != 0)
    return ErrnoStatus(errno, absl::StrCat("read ", PathOf("meta")));
  xlvs_meta meta;
  std::memcpy(&meta, value.data(), sizeof(meta));
  if (meta.layout_version != XLVS_LAYOUT_VERSION ||
      info.value_size != sizeof(meta))
    return absl::FailedPreconditionError(absl::StrCat(
        "the maps in ", path(), " have layout ", meta.layout_version,
        ", this program works with ", XLVS_LAYOUT_VERSION,
        ": use the xlvs that made them, or start anew with 'xlvs detach "
        "--purge'"));
  return meta;
}

}  // namespace xlvs
