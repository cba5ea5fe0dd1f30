// SPDX-License-Identifier: Apache-2.0
//
// Fragments over time: which go together, what is remembered of them and how
// long. Their bytes by every method: forward_test.cc.
#include "maps/fragment.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

constexpr size_t kFirstBytes = 800;

class FragmentTest : public DeliveryTest {
 protected:
  // A datagram in three pieces, and what becomes of them.
  struct Datagram {
    std::vector<Bytes> in, out;
  };
  static std::vector<Bytes> Cut(Frame whole, uint32_t id) {
    whole.ip.id = id & 0xffff;
    return Fragments(whole, {kFirstBytes, 1000}, id);
  }
  Datagram FromClient(uint32_t id, size_t payload = 2500,
                      uint16_t cport = 0) const {
    Frame whole = NextPacket(delivery_, payload);
    if (cport != 0) whole.sport = cport;
    return {Cut(whole, id), Cut(Via(To(whole, delivery_.dest1()), kHop1), id)};
  }
  Datagram FromDest(uint32_t id, size_t payload = 2500) const {
    const Frame whole = ReplyPacket(delivery_, payload);
    return {Cut(whole, id),
            Cut(ViaRouter(From(whole, delivery_.service1())), id)};
  }
  void ExpectSent(const Datagram& datagram, size_t piece,
                  xlvs_step step = XLVS_STEP_tx_client_to_dest) {
    SCOPED_TRACE(absl::StrCat("piece ", piece));
    ExpectRun(bench, datagram.in[piece], step, datagram.out[piece]);
  }
  void ExpectPassed(const Datagram& datagram, size_t piece) {
    SCOPED_TRACE(absl::StrCat("piece ", piece));
    ExpectUntouched(bench, datagram.in[piece], XLVS_STEP_pass_fragment);
  }
  size_t Remembered() const {
    const UniqueFd fragments = Must(bench.instance().OpenPin("fragments"));
    char key[64], next[64];
    size_t count = 0;
    for (int error = bpf_map_get_next_key(fragments.get(), nullptr, next);
         error == 0; error = bpf_map_get_next_key(fragments.get(), key, next)) {
      std::copy(std::begin(next), std::end(next), key);
      ++count;
    }
    return count;
  }
};

const Delivery kMasqs[] = {
    {.client = Family::kV4, .dest = Family::kV4, .protocol = Protocol::kUdp},
    {.client = Family::kV6, .dest = Family::kV6, .protocol = Protocol::kUdp},
    {.client = Family::kV4, .dest = Family::kV4, .protocol = Protocol::kTcp},
    {.client = Family::kV6, .dest = Family::kV6, .protocol = Protocol::kTcp},
};

class EachMasq : public FragmentTest,
                 public testing::WithParamInterface<Delivery> {
 protected:
  EachMasq() { BeginConnected(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(FragmentTest, EachMasq, testing::ValuesIn(kMasqs),
                         [](const auto& row) {
                           std::string name = NameOf(row.param);
                           std::erase(name, ' ');
                           return name;
                         });

TEST_P(EachMasq, ForwardsLaterFragmentsBehindTheirFirstInAnyOrder) {
  const Datagram one = FromClient(1), two = FromClient(2);
  ExpectSent(one, 0);
  ExpectSent(two, 0);
  for (const size_t piece : {2, 1, 1, 2}) {
    ExpectSent(one, piece);
    ExpectSent(two, piece);
  }
  const Datagram reply = FromDest(1);
  ExpectSent(reply, 0, XLVS_STEP_tx_dest_to_client);
  ExpectSent(reply, 2, XLVS_STEP_tx_dest_to_client);
  ExpectSent(reply, 1, XLVS_STEP_tx_dest_to_client);
}

TEST_P(EachMasq, PassesLaterFragmentsThatComeBeforeTheirFirst) {
  for (const Datagram& datagram : {FromClient(7), FromDest(7)}) {
    ExpectPassed(datagram, 1);
    ExpectPassed(datagram, 2);
  }
  const Datagram datagram = FromClient(7);
  ExpectSent(datagram, 0);
  ExpectSent(datagram, 1);
}

// What the real server makes of them is what the client sent, checksums right.
TEST_P(EachMasq, AReassembledDatagramIsTheOriginalRewritten) {
  const size_t headers =
      delivery_.client == Family::kV4 ? size_t{20} : size_t{48};
  const auto reassembled = [&](const Datagram& datagram) {
    Bytes l4;
    for (const Bytes& in : datagram.in)
      PutAll(l4, L3Of(bench.Run(in).out).subspan(headers));
    return l4;
  };
  for (const size_t payload : {2000, 2001, 3500}) {
    ExpectSame(BuildL4(To(NextPacket(delivery_, payload), delivery_.dest1())),
               reassembled(FromClient(payload, payload)));
    ExpectSame(
        BuildL4(From(ReplyPacket(delivery_, payload), delivery_.service1())),
        reassembled(FromDest(payload, payload)));
  }
}

TEST_P(EachMasq, RemembersFor30Seconds) {
  const Datagram datagram = FromClient(9), reply = FromDest(9);
  ExpectSent(datagram, 0);
  ExpectSent(reply, 0, XLVS_STEP_tx_dest_to_client);
  bench.AdvanceSeconds(30);
  ExpectSent(datagram, 1);
  ExpectSent(reply, 1, XLVS_STEP_tx_dest_to_client);
  bench.Advance(1);
  ExpectPassed(datagram, 2);
  ExpectPassed(reply, 2);
}

TEST_P(EachMasq, AnIdUsedAgainIsOfTheNewDatagram) {
  const uint16_t other_port = delivery_.client1().port + 1;
  const Endpoint other = {delivery_.client1().addr, other_port};
  const ServiceKey service = {.vaddr = IpAddr(bench.dests[dest_].vaddr),
                              .vport = delivery_.service1().port,
                              .protocol = delivery_.protocol};
  bench.EditWeight(service, delivery_.dest1(), 0);
  const Endpoint dest2 = BookOf(delivery_.client).dest2;
  bench.AddDest(service, dest2, kHop2);
  bench.Run(FirstPacket(delivery_, other));  // to dest2

  ExpectSent(FromClient(5), 0);
  ExpectSent(FromClient(5), 1);
  Frame whole = NextPacket(delivery_, 2500);
  whole.sport = other_port;
  const Datagram to_dest2 = {Cut(whole, 5),
                             Cut(Via(To(whole, dest2), kHop2), 5)};
  for (const size_t piece : {0, 1, 2}) ExpectSent(to_dest2, piece);
}

TEST_P(EachMasq, CountsEveryFragmentAndChangesTheConnectionByTheFirst) {
  const Datagram datagram = FromClient(3);
  bench.AdvanceSeconds(2);
  ExpectSent(datagram, 0);
  const uint32_t expires = Conn()->life.expires_ticks;
  const xlvs_counters before = bench.CountersOf(dest_);
  bench.AdvanceSeconds(20);
  ExpectSent(datagram, 1);
  ExpectSent(datagram, 2);
  EXPECT_EQ(Conn()->life.expires_ticks, expires);
  const xlvs_counters after = bench.CountersOf(dest_);
  EXPECT_EQ(after.in_packets - before.in_packets, 2u);
  EXPECT_EQ(after.in_bytes - before.in_bytes,
            L3Of(datagram.in[1]).size() + L3Of(datagram.in[2]).size());
}

TEST_P(EachMasq, AnswersOnlyAboutTheFirstFragment) {
  Frame whole = NextPacket(delivery_, 2500);
  whole.ip.ttl = 1;
  const std::vector<Bytes> in = Cut(whole, 4);
  ExpectAnswered(bench, in[0], XLVS_STEP_tx_icmp_ttl_exceeded,
                 TimeExceeded(delivery_.client));
  ExpectUntouched(bench, in[1], XLVS_STEP_drop_icmp_failed);
  ExpectUntouched(bench, in[2], XLVS_STEP_drop_icmp_failed);
}

TEST_P(EachMasq, PassesLaterFragmentsOfWhatWasNoConnection) {
  // From another client, whose first does not begin one; to a port without
  // service; from the real server to a stranger.
  Frame frames[] = {NextPacket(delivery_, 2500), NextPacket(delivery_, 2500),
                    ReplyPacket(delivery_, 2500)};
  frames[0].ip.saddr = BookOf(delivery_.client).client2.addr;
  frames[0].dport = 81;
  frames[1].sport++;
  frames[1].dport = 81;
  frames[2].ip.daddr = BookOf(delivery_.client).stranger.addr;
  for (const Frame& frame : frames) {
    const std::vector<Bytes> in = Cut(frame, 6);
    const Outcome first = bench.Run(in[0]);
    EXPECT_EQ(StepAction(first.step), StepAction(XLVS_STEP_pass_fragment));
    ExpectUntouched(bench, in[1], XLVS_STEP_pass_fragment);
  }
}

TEST_P(EachMasq, AFirstFragmentBeginsAConnection) {
  const Endpoint client = BookOf(delivery_.client).client2;
  Frame whole = FirstPacket(delivery_, client);
  whole.payload = Pattern(2500);
  const std::vector<Bytes> in = Cut(whole, 8);
  const std::vector<Bytes> out =
      Cut(Via(To(whole, delivery_.dest1()), kHop1), 8);
  for (size_t i = 0; i < in.size(); ++i)
    ExpectRun(bench, in[i], XLVS_STEP_tx_client_to_dest, out[i]);
  EXPECT_NE(bench.Find(client, delivery_.service1(), delivery_.protocol),
            nullptr);
}

// RFC 1858: what would be needed is not in the first.
TEST_P(EachMasq, PassesATinyFirstFragment) {
  if (delivery_.protocol == Protocol::kUdp) return;  // all of its header is
  for (const size_t bytes : {8, 16}) {
    const std::vector<Bytes> in =
        Fragments(NextPacket(delivery_, 100), {bytes}, 11);
    ExpectUntouched(bench, in[0], XLVS_STEP_pass_truncated);
    ExpectUntouched(bench, in[1], XLVS_STEP_pass_fragment);
  }
}

TEST_P(EachMasq, AFloodOfFirstFragmentsPushesOutFragmentsOnly) {
  const Datagram before = FromClient(0x10000);
  ExpectSent(before, 0);
  const size_t records = bench.Records().size();
  for (uint32_t id = 1; id <= 20'000; ++id) {
    Frame whole = NextPacket(delivery_, 60);
    whole.ip.id = id;
    ASSERT_EQ(bench.RunUncounted(Fragments(whole, {40}, id)[0]), XDP_TX);
  }
  EXPECT_EQ(bench.Records().size(), records);
  EXPECT_LE(Remembered(), static_cast<size_t>(XLVS_FRAGMENTS));
  EXPECT_GT(Remembered(), static_cast<size_t>(XLVS_FRAGMENTS) / 2);
  ExpectPassed(before, 1);
  // Nothing but that is lost, and the next datagram has room.
  const Frame whole = NextPacket(delivery_, 100);
  ExpectRun(bench, whole, XLVS_STEP_tx_client_to_dest,
            Via(To(whole, delivery_.dest1()), kHop1));
  const Datagram after = FromClient(0x20000);
  for (const size_t piece : {0, 1, 2}) ExpectSent(after, piece);
  bench.ExpectAllCounted();
}

// The protocol tells IPv4 datagrams apart (RFC 791), as IPv6's do without.
TEST_F(FragmentTest, DatagramsOfTwoProtocolsMayHaveOneId) {
  BeginConnected(kMasqs[0]);
  const Datagram udp = FromClient(77);
  delivery_.protocol = Protocol::kTcp;
  Configure(bench, delivery_);
  bench.Run(FirstPacket(delivery_));
  const Datagram tcp = FromClient(77);
  ExpectSent(udp, 0);
  ExpectPassed(tcp, 1);
  ExpectSent(tcp, 0);
  for (const size_t piece : {1, 2}) {
    ExpectSent(tcp, piece);
    ExpectSent(udp, piece);
  }
}

// Where the fragment ends up is decided by its method, not by its fragments.
TEST_F(FragmentTest, ByEveryMethodThatIsNotMasqWithoutReassembly) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const std::vector<Bytes> in = Cut(NextPacket(delivery, 2500), 12);
    ExpectUntouched(bench, in[1], XLVS_STEP_pass_fragment);
    for (const size_t piece : {0, 2, 1})
      ExpectDeliveredBytes(bench, delivery, in[piece]);
    bench.AdvanceSeconds(31);
    ExpectUntouched(bench, in[2], XLVS_STEP_pass_fragment);
  }
}

}  // namespace
}  // namespace xlvs
