// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/packet_case.h"

#include <algorithm>

#include "tests/packet/describe.h"

namespace xlvs {

void ExpectSame(std::span<const uint8_t> want, std::span<const uint8_t> got) {
  if (std::ranges::equal(want, got)) return;
  const auto differs = std::ranges::mismatch(want, got);
  ADD_FAILURE() << "differ from byte " << differs.in1 - want.begin()
                << "\nwant: " << Describe(want) << "\ngot:  " << Describe(got);
}

namespace {

void ExpectStep(const Bytes& in, xlvs_step step, const Outcome& outcome) {
  EXPECT_EQ(StepName(outcome.step), StepName(step)) << Describe(in);
}

}  // namespace

void ExpectRun(Bench& bench, const Bytes& in, xlvs_step step,
               const Bytes& out) {
  const Outcome outcome = bench.Run(in);
  ExpectStep(in, step, outcome);
  ExpectSame(out, outcome.out);
}

void ExpectRun(Bench& bench, const Frame& in, xlvs_step step,
               const Frame& out) {
  ExpectRun(bench, Build(in), step, Build(out));
}

void ExpectUntouched(Bench& bench, const Bytes& in, xlvs_step step) {
  ExpectRun(bench, in, step, in);
}

void ExpectUntouched(Bench& bench, const Frame& in, xlvs_step step) {
  ExpectUntouched(bench, Build(in), step);
}

void ExpectAnswered(Bench& bench, const Bytes& in, xlvs_step step,
                    const IcmpError& error) {
  const Outcome outcome = bench.Run(in);
  ExpectStep(in, step, outcome);
  ExpectSame(BuildIcmpError(in, error, IpIdOf(outcome.out)), outcome.out);
}

void ExpectAnswered(Bench& bench, const Frame& in, xlvs_step step,
                    const IcmpError& error) {
  Frame quoted = in;
  // "Too big" is found out on the way out, after the hop was counted.
  if (step == XLVS_STEP_tx_icmp_frag_needed) quoted.ip.ttl--;
  const Outcome outcome = bench.Run(in);
  ExpectStep(Build(in), step, outcome);
  ExpectSame(BuildIcmpError(Build(quoted), error, IpIdOf(outcome.out)),
             outcome.out);
}

Frame To(Frame frame, Endpoint dest) {
  frame.ip.daddr = dest.addr;
  frame.dport = dest.port;
  return frame;
}

Frame From(Frame frame, Endpoint service) {
  frame.ip.saddr = service.addr;
  frame.sport = service.port;
  return frame;
}

Frame Via(Frame frame, Mac dmac, Mac smac, std::vector<VlanTag> vlans) {
  frame.dmac = dmac;
  frame.smac = smac;
  frame.vlans = std::move(vlans);
  frame.ip.ttl--;
  return frame;
}

Frame Via(Frame frame, const Hop& hop, std::vector<VlanTag> vlans) {
  return Via(std::move(frame), hop.dmac, hop.smac, std::move(vlans));
}

Frame ViaRouter(Frame frame, std::vector<VlanTag> vlans) {
  return Via(std::move(frame), kRouterMac, kDirectorMac, std::move(vlans));
}

void RunCase(Bench& bench, const PacketCase& row) {
  SCOPED_TRACE(row.name);
  bench.Reset();
  bench.SetNow(1'000'000);
  if (row.setup) row.setup(bench);
  ExpectRun(bench, row.in, row.step, row.out.empty() ? row.in : row.out);
}

}  // namespace xlvs
