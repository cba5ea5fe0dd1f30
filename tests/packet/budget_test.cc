// SPDX-License-Identifier: Apache-2.0
//
// What the verifier has to do for the programs, and that they load with every
// kind of size.
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include "tests/packet/fixture.h"
#include "tests/packet/packet_case.h"

namespace xlvs {
namespace {

// The kernel refuses a program at 1,000,000. Editing this number says that the
// programs may become that much larger.
constexpr uint32_t kMostVerifiedInsns = 400'000;

// The director's programs for other shapes are entries of `programs`.
UniqueFd Tail(const Bench& bench, uint32_t index) {
  const UniqueFd map = Must(bench.instance().OpenPin("programs"));
  uint32_t id = 0;
  EXPECT_EQ(bpf_map_lookup_elem(map.get(), &index, &id), 0);
  return UniqueFd(bpf_prog_get_fd_by_id(id));
}

uint32_t VerifiedInsns(const UniqueFd& fd) {
  bpf_prog_info info = {};
  uint32_t info_bytes = sizeof(info);
  EXPECT_EQ(bpf_obj_get_info_by_fd(fd.get(), &info, &info_bytes), 0);
  return info.verified_insns;
}

struct Row {
  const char* name;
  uint32_t conns, services, dests, count_batch;  // 0: the default
};
constexpr Row kRows[] = {
    {"Default", 0, 0, 0, 0},
    {"Least", 1, 1, 1, 1},
    {"LeastWithBatches", 1, 1, 1, 8},
    {"Large", 4'000'000, 10'000, 100'000, 1},
    {"LargeWithBatches", 4'000'000, 10'000, 100'000, 8},
};

class Budget : public testing::TestWithParam<Row> {};

TEST_P(Budget, LoadsWithinItAndWorks) {
  AttachOptions options;
  options.conns = GetParam().conns;
  options.services = GetParam().services;
  options.dests = GetParam().dests;
  options.count_batch = GetParam().count_batch;
  Bench bench(options);
  const std::pair<const char*, UniqueFd> programs[] = {
      {"program", Must(bench.instance().OpenPin("program"))},
      {"v6", Tail(bench, 0)},
      {"any", Tail(bench, 1)},
      {"icmp", Tail(bench, 2)},
      {"first", Tail(bench, 3)},
      {"arm", Must(bench.instance().OpenPin("arm"))}};
  for (const auto& [name, fd] : programs) {
    const uint32_t insns = VerifiedInsns(fd);
    RecordProperty(name, insns);
    std::printf("%s: %u instructions verified\n", name, insns);
    EXPECT_LT(insns, kMostVerifiedInsns) << name;
    EXPECT_GT(insns, 0u) << name;
  }

  bench.SetNow(1'000'000);
  bench.AddDest(bench.AddService(kService1), kDest1);
  const Frame syn = TcpFrame(kClient1, kService1, kSyn);
  ExpectRun(bench, syn, XLVS_STEP_tx_client_to_dest,
            Via(To(syn, kDest1), kHop1));
  const Frame reply = TcpFrame(kDest1, kClient1, kSyn | kAck);
  ExpectRun(bench, reply, XLVS_STEP_tx_dest_to_client,
            ViaRouter(From(reply, kService1)));
  Must(bench.instance().StartTimer());
}

INSTANTIATE_TEST_SUITE_P(Sizes, Budget, testing::ValuesIn(kRows),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace xlvs
