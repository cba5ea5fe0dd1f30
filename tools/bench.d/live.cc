// SPDX-License-Identifier: Apache-2.0
//
// A client that sends XDP frames and a server that counts what arrives, in two
// network namespaces with a director between them. Asked by lines of JSON on
// standard input, one run each; answers with a line each. For live_lab.py.
//
//   {"sender": "frames", "l4": "udp", "to": "10.1.0.100", "port": 1001,
//    "packets": 100000, "flows": 1000, "first": 0, "ms": 500, "thread": 4711,
//    "arrival_cpu": 1, "expect": {"l4": 17, "net": "10.2.0.0", "bits": 24}}
//   {"sent": 81234, "arrived": 81234, "strays": 0, "wall_ns": 500321000,
//    "thread_ns": 41230000, "sender_ns": 498000000, "frame": "020000..."}
//
// A run ends after `packets` packets or `ms` milliseconds, and when all that
// was sent has arrived. `flows` 0: packet i is of flow `first` + i. `thread` is
// whose CPU time is wanted: the director's; 0: nobody's. `arrival_cpu` is where
// packets are received. `frame` is the first that arrived.
// `sender` is "frames", which live.bpf.c makes, or "sockets": the same packets
// from a packet socket, each an skb.
#include "tools/bench.d/live.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/base/unique_fd.h"
#include "nlohmann/json.hpp"
#include "tools/bench.d/mix.h"
// The skeleton last: it names our structs without defining them.
#include "live.skel.h"

namespace xlvs::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Frame = std::array<uint8_t, LIVE_FRAME_BYTES>;

constexpr char kHelp[] =
    R"(usage: xlvs_bench_live CLIENT SERVER DIRECTOR CPU CONTROL
A part of tools/bench live and tools/bench ipvs. CLIENT, SERVER and DIRECTOR
are network namespaces, the device is eth0 in each. CPU is the sender's. CONTROL
is what the director does by XDP: none, drop or tx.
)";

// A veth's ring has 256 places, some of which are free only a while after their
// packets were taken.
constexpr uint32_t kWindow = 192;
constexpr auto kDrain = std::chrono::milliseconds(1500);
constexpr auto kPoll = std::chrono::milliseconds(1);

constexpr size_t kIpAt = ETH_HLEN, kL4At = kIpAt + 20;
constexpr size_t kUdpBytes = LIVE_FRAME_BYTES - kL4At, kTcpBytes = 20;

struct Closer {
  void operator()(xlvs_live* object) const { xlvs_live__destroy(object); }
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};

uint64_t Sum(const uint8_t* data, size_t bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) {
    uint16_t word;
    std::memcpy(&word, data + i, sizeof(word));
    sum += word;
  }
  return sum;
}

uint16_t Fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void Put16(uint8_t* at, uint16_t value) {
  at[0] = value >> 8;
  at[1] = value & 0xff;
}

absl::Status EnterNetns(const std::string& name) {
  const std::string path = absl::StrCat("/run/netns/", name);
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 || setns(fd.get(), CLONE_NEWNET) != 0)
    return ErrnoStatus(errno, absl::StrCat("enter network namespace ", path));
  return absl::OkStatus();
}

absl::Status PinTo(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
    return ErrnoStatus(errno, absl::StrCat("run on CPU ", cpu));
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> Address(const std::string& text) {
  in_addr address;
  if (inet_pton(AF_INET, text.c_str(), &address) != 1)
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not an IPv4 address"));
  return address.s_addr;
}

// What a thread has run so far; up to date when it sleeps.
absl::StatusOr<uint64_t> ThreadNs(int thread) {
  if (!thread) return 0;
  std::ifstream file(absl::StrCat("/proc/", thread, "/schedstat"));
  uint64_t ns = 0;
  if (!(file >> ns))
    return absl::NotFoundError(
        absl::StrCat("no thread ", thread, " whose CPU time could be read"));
  return ns;
}

uint64_t OwnThreadNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000ULL + now.tv_nsec;
}

std::string Hex(const uint8_t* data, size_t bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < bytes; ++i) {
    text += kDigits[data[i] >> 4];
    text += kDigits[data[i] & 15];
  }
  return text;
}

void PutClient(uint64_t flow, const live_load& load, Frame& frame) {
  const uint32_t saddr =
      htonl(LIVE_CLIENTS + static_cast<uint32_t>(flow / LIVE_FLOWS_PER_CLIENT));
  const uint16_t sport = htons(
      LIVE_CLIENT_PORTS + static_cast<uint16_t>(flow % LIVE_FLOWS_PER_CLIENT));
  const uint16_t ip_check = Fold(load.ip_sum + saddr);
  const uint16_t l4_check = Fold(load.l4_sum + saddr + sport);
  std::memcpy(&frame[kIpAt + 10], &ip_check, sizeof(ip_check));
  std::memcpy(&frame[kIpAt + 12], &saddr, sizeof(saddr));
  std::memcpy(&frame[kL4At], &sport, sizeof(sport));
  std::memcpy(&frame[kL4At + (load.l4_proto == IPPROTO_UDP ? 6 : 16)],
              &l4_check, sizeof(l4_check));
}

// A thread that sends until told to end.
class Sender {
 public:
  virtual ~Sender() = default;

  void Begin(int cpu) {
    thread_ = std::thread([this, cpu] {
      status_ = PinTo(cpu);
      if (status_.ok()) status_ = Send();
      ns_ = OwnThreadNs();
      done_ = true;
    });
  }

  bool done() const { return done_; }

  // A signal ends what runs in the kernel. It may come just before that begins.
  absl::Status End() {
    ending_ = true;
    while (!done_) {
      pthread_kill(thread_.native_handle(), SIGUSR1);
      std::this_thread::sleep_for(kPoll);
    }
    thread_.join();
    return status_;
  }

  uint64_t ns() const { return ns_; }

 protected:
  virtual absl::Status Send() = 0;
  bool ending() const { return ending_; }

 private:
  std::atomic<bool> ending_ = false, done_ = false;
  absl::Status status_;
  uint64_t ns_ = 0;
  std::thread thread_;
};

class FrameSender : public Sender {
 public:
  FrameSender(int program, uint32_t ifindex, const Frame& frame)
      : program_(program), ifindex_(ifindex), frame_(frame) {}

 private:
  absl::Status Send() override {
    xdp_md context = {};
    context.data_end = frame_.size();
    context.ingress_ifindex = ifindex_;
    while (!ending()) {
      LIBBPF_OPTS(bpf_test_run_opts, options);
      options.data_in = frame_.data();
      options.data_size_in = frame_.size();
      options.ctx_in = &context;
      options.ctx_size_in = sizeof(context);
      options.repeat = 1 << 30;
      options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
      if (bpf_prog_test_run_opts(program_, &options) != 0 && errno != EINTR)
        return ErrnoStatus(errno, "send XDP frames by BPF_PROG_TEST_RUN");
    }
    return absl::OkStatus();
  }

  const int program_;
  const uint32_t ifindex_;
  Frame frame_;
};

class SocketSender : public Sender {
 public:
  SocketSender(uint32_t ifindex, const Frame& frame, live_load& load,
               const volatile live_arrivals& arrivals)
      : ifindex_(ifindex), load_(load), arrivals_(arrivals) {
    frames_.fill(frame);
  }

 private:
  static constexpr size_t kBatch = 32;

  absl::Status Send() override {
    const UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = ifindex_;
    const int on = 1;
    if (fd.get() < 0 ||
        bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
             sizeof(address)) != 0 ||
        setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on,
                   sizeof(on)) != 0)
      return ErrnoStatus(errno, "make a packet socket");
    const volatile live_load& load = load_;
    while (!ending()) {
      const uint64_t on_its_way = load.sent - arrivals_.packets;
      if (load.stop || load.sent >= load.limit ||
          on_its_way + kBatch > load.window) {
        sched_yield();
        continue;
      }
      XLVS_RETURN_IF_ERROR(SendBatch(
          fd.get(), std::min<uint64_t>(kBatch, load.limit - load.sent)));
    }
    return absl::OkStatus();
  }

  absl::Status SendBatch(int fd, size_t count) {
    std::array<iovec, kBatch> vectors = {};
    std::array<mmsghdr, kBatch> messages = {};
    for (size_t i = 0; i < count; ++i) {
      const uint64_t run = load_.sent + i;
      PutClient(load_.flows ? bench_pick(run, load_.flows) : load_.first + run,
                load_, frames_[i]);
      vectors[i] = {frames_[i].data(), frames_[i].size()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (size_t sent = 0; sent < count;) {
      const int some = sendmmsg(fd, &messages[sent], count - sent, 0);
      if (some > 0) {
        sent += some;
      } else if (errno != EINTR && errno != ENOBUFS) {
        return ErrnoStatus(errno, "send by a packet socket");
      }
    }
    load_.sent += count;
    return absl::OkStatus();
  }

  const uint32_t ifindex_;
  live_load& load_;
  const volatile live_arrivals& arrivals_;
  std::array<Frame, kBatch> frames_;
};

class Live {
 public:
  static absl::StatusOr<std::unique_ptr<Live>> Make(
      const std::string& client, const std::string& server,
      const std::string& director, int cpu, const std::string& control) {
    std::unique_ptr<Live> live(new Live);
    live->cpu_ = cpu;
    live->object_.reset(xlvs_live__open_and_load());
    if (live->object_ == nullptr)
      return ErrnoStatus(errno, "load the programs of live.bpf.c");
    const auto& programs = live->object_->progs;
    if (control != "none") {
      XLVS_RETURN_IF_ERROR(live->Attach(
          director, control == "tx" ? programs.live_tx : programs.live_arrive));
    }
    XLVS_RETURN_IF_ERROR(live->Attach(server, programs.live_arrive));
    // The client's last: there the frames are sent.
    XLVS_RETURN_IF_ERROR(live->Attach(client, programs.live_arrive));
    live->ifindex_ = if_nametoindex("eth0");
    return live;
  }

  absl::StatusOr<nlohmann::json> Run(const nlohmann::json& request) {
    Frame frame = {};
    XLVS_RETURN_IF_ERROR(Prepare(request, frame));
    const int thread = request.at("thread");
    const auto limit = std::chrono::milliseconds(request.at("ms").get<int>());
    XLVS_ASSIGN_OR_RETURN(const uint64_t thread_ns, ThreadNs(thread));
    live_load& written = object_->bss->live_load;
    std::unique_ptr<Sender> sender;
    if (request.at("sender") == "frames") {
      sender = std::make_unique<FrameSender>(
          bpf_program__fd(object_->progs.live_send), ifindex_, frame);
    } else {
      sender = std::make_unique<SocketSender>(
          ifindex_, frame, written, object_->bss->live_arrivals[arrival_cpu_]);
    }
    sender->Begin(cpu_);
    const volatile live_load& load = written;
    while (!sender->done() && load.sent == 0)
      std::this_thread::sleep_for(kPoll);
    const auto begun = Clock::now();
    while (!sender->done() && load.sent < load.limit &&
           Clock::now() - begun < limit)
      std::this_thread::sleep_for(kPoll);
    written.stop = 1;
    const auto stopped = Clock::now();
    while (Arrived() < load.sent && Clock::now() - stopped < kDrain)
      std::this_thread::sleep_for(kPoll);
    const std::chrono::nanoseconds wall =
        load.ended_ns ? std::chrono::nanoseconds(load.ended_ns - load.began_ns)
                      : Clock::now() - begun;
    XLVS_RETURN_IF_ERROR(sender->End());
    std::this_thread::sleep_for(kPoll);  // until the receiver sleeps
    XLVS_ASSIGN_OR_RETURN(const uint64_t thread_ns_after, ThreadNs(thread));
    const live_sample& sample = object_->bss->live_sample;
    return nlohmann::json{
        {"sent", load.sent},
        {"arrived", Arrived()},
        {"strays", object_->bss->live_arrivals[arrival_cpu_].strays},
        {"wall_ns", wall.count()},
        {"thread_ns", thread_ns_after - thread_ns},
        {"sender_ns", sender->ns()},
        {"frame", Hex(sample.frame, sample.bytes)}};
  }

 private:
  Live() = default;

  // Stays in the namespace.
  absl::Status Attach(const std::string& netns, const bpf_program* program) {
    XLVS_RETURN_IF_ERROR(EnterNetns(netns));
    const uint32_t ifindex = if_nametoindex("eth0");
    links_.emplace_back(bpf_program__attach_xdp(program, ifindex));
    if (links_.back() == nullptr)
      return ErrnoStatus(errno, absl::StrCat("attach to eth0 in ", netns));
    return absl::OkStatus();
  }

  absl::Status Prepare(const nlohmann::json& request, Frame& ret) {
    arrival_cpu_ = request.at("arrival_cpu");
    if (arrival_cpu_ < 0 || arrival_cpu_ >= LIVE_CPUS)
      return absl::InvalidArgumentError("CPUs are below 64");
    const bool is_tcp = request.at("l4") == "tcp";
    const uint16_t l4_bytes = is_tcp ? kTcpBytes : kUdpBytes;
    XLVS_ASSIGN_OR_RETURN(const uint32_t daddr,
                          Address(request.at("to").get<std::string>()));
    const auto& expect = request.at("expect");
    XLVS_ASSIGN_OR_RETURN(const uint32_t net,
                          Address(expect.at("net").get<std::string>()));
    const int bits = expect.at("bits");
    const uint16_t port = request.at("port");

    Put16(&ret[12], ETH_P_IP);
    constexpr uint8_t kToDirector[] = {2, 0, 0, 0, 0, 0xd0,
                                       2, 0, 0, 0, 0, 0xc1};
    std::memcpy(ret.data(), kToDirector, sizeof(kToDirector));
    uint8_t* ip = &ret[kIpAt];
    ip[0] = 0x45;
    Put16(ip + 2, 20 + l4_bytes);
    Put16(ip + 6, 0x4000);  // DF
    ip[8] = LIVE_TTL;
    ip[9] = is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
    std::memcpy(ip + 16, &daddr, sizeof(daddr));
    uint8_t* l4 = &ret[kL4At];
    Put16(l4 + 2, port);
    if (is_tcp) {
      l4[12] = 5 << 4;
      l4[13] = 0x02;  // SYN
      Put16(l4 + 14, 0xffff);
    } else {
      Put16(l4 + 4, l4_bytes);
    }
    uint8_t pseudo[4] = {0, ip[9], 0, static_cast<uint8_t>(l4_bytes)};

    live_load& load = object_->bss->live_load;
    load = {};
    load.limit = request.at("packets");
    load.ip_sum = Sum(ip, 20);
    load.l4_sum =
        Sum(pseudo, sizeof(pseudo)) + Sum(ip + 16, 4) + Sum(l4, l4_bytes);
    load.first = request.at("first");
    load.flows = request.at("flows");
    load.window = kWindow;
    load.arrival_cpu = arrival_cpu_;
    load.daddr = daddr;
    load.dport = htons(port);
    load.l4_proto = ip[9];
    load.expect_proto = expect.at("l4");
    load.expect_mask = bits == 0 ? 0 : htonl(~0U << (32 - bits));
    load.expect_net = net & load.expect_mask;
    for (live_arrivals& arrivals : object_->bss->live_arrivals) arrivals = {};
    object_->bss->live_sample = {};
    return absl::OkStatus();
  }

  uint64_t Arrived() const {
    const volatile live_arrivals& arrivals =
        object_->bss->live_arrivals[arrival_cpu_];
    return arrivals.packets;
  }

  int cpu_ = 0, arrival_cpu_ = 0;
  uint32_t ifindex_ = 0;
  std::unique_ptr<xlvs_live, Closer> object_;
  std::vector<std::unique_ptr<bpf_link, Closer>> links_;
};

absl::Status Main(char** words) {
  int cpu = 0;
  if (!absl::SimpleAtoi(words[3], &cpu))
    return absl::InvalidArgumentError("CPU is a number");
  XLVS_ASSIGN_OR_RETURN(
      const auto live, Live::Make(words[0], words[1], words[2], cpu, words[4]));
  std::cout << "{}" << std::endl;  // ready
  for (std::string line; std::getline(std::cin, line);) {
    XLVS_ASSIGN_OR_RETURN(const nlohmann::json answer,
                          live->Run(nlohmann::json::parse(line)));
    std::cout << answer.dump() << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace xlvs::bench

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs(xlvs::bench::kHelp, stderr);
    return 2;
  }
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  try {
    const absl::Status status = xlvs::bench::Main(argv + 1);
    if (status.ok()) return 0;
    std::cerr << "xlvs_bench_live: " << status.message() << "\n";
  } catch (const nlohmann::json::exception& error) {
    std::cerr << "xlvs_bench_live: a request: " << error.what() << "\n";
  }
  return 1;
}
