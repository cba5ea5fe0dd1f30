// SPDX-License-Identifier: Apache-2.0
//
// The TC programs, as far as one packet shows what they do: replies of a Masq
// real server that is the director itself get the service's address and port on
// their way out (xlvs_local_reply); what has no note is not the other's
// (xlvs_handover).
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

constexpr int kTcNext = -1;  // TC_ACT_UNSPEC

// By TCP and UDP; SCTP servers use the service's port.
std::vector<Delivery> Masqs() {
  std::vector<Delivery> masqs = AllDeliveries();
  std::erase_if(masqs, [](const Delivery& d) {
    return !d.is_masq() || d.protocol == Protocol::kSctp;
  });
  return masqs;
}

class LocalReply : public PacketTest {
 protected:
  LocalReply() : reply_(Open("local_reply")), handover_(Open("handover")) {}

  void Begin(const Delivery& delivery) {
    bench.Reset();
    bench.SetNow(kStart);
    dest_ = Configure(bench, delivery);
    bench.dests[dest_].flags = XLVS_DEST_local;
    bench.Run(FirstPacket(delivery));
  }
  UniqueFd Open(const char* program) {
    return Must(bench.instance().OpenPin(Instance::ProgramPin(program)));
  }
  static Bytes RunTc(const UniqueFd& program, const Bytes& in) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    Bytes out(in.size() + 64);
    options.data_in = in.data();
    options.data_size_in = in.size();
    options.data_out = out.data();
    options.data_size_out = out.size();
    EXPECT_EQ(bpf_prog_test_run_opts(program.get(), &options), 0);
    EXPECT_EQ(static_cast<int>(options.retval), kTcNext);
    out.resize(options.data_size_out);
    return out;
  }
  void ExpectReply(const Bytes& in, const Bytes& out) {
    ExpectSame(out, RunTc(reply_, in));
  }
  void ExpectUntouchedReply(const Frame& in) {
    ExpectReply(Build(in), Build(in));
  }

  UniqueFd reply_, handover_;
  uint32_t dest_ = 0;
};

// No hop: it begins here.
TEST_F(LocalReply, GetsTheServicesAddressAndPort) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const auto expect = [&](const std::function<void(Frame&)>& change) {
      Frame in = ReplyPacket(delivery);
      change(in);
      ExpectReply(Build(in), Build(From(in, delivery.service1())));
    };
    for (const size_t payload : {0, 1, 2, 63, 64, 100, 101, 1400})
      expect([=](Frame& f) { f.payload = Pattern(payload); });
    expect([](Frame& f) { f.ip.tos = 0xfd; });
    expect([](Frame& f) { f.ip.ttl = 1; });
    expect([](Frame& f) { f.l4_check_wrong_by = 5; });
    if (delivery.client == Family::kV4) {
      expect([](Frame& f) { f.ip.options = Bytes(40, 1); });
      if (delivery.protocol == Protocol::kUdp)
        expect([](Frame& f) { f.udp_without_check = true; });
    } else {
      expect([](Frame& f) {
        f.ip.extensions = {HopByHopOptions(), DestOptions()};
      });
    }
  }
}

TEST_F(LocalReply, ChecksumsOfAllContentsFollow) {
  uint32_t random = 7;
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (int i = 0; i < 2000; ++i) {
      Frame in = ReplyPacket(delivery, 4);
      for (uint8_t& byte : in.payload)
        byte = (random = random * 1103515245 + 12345) >> 24;
      ExpectReply(Build(in), Build(From(in, delivery.service1())));
    }
  }
}

TEST_F(LocalReply, FragmentsGoTheSameWay) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const Frame whole = ReplyPacket(delivery, 2500);
    const std::vector<Bytes> in = Fragments(whole, {1000, 1000});
    const std::vector<Bytes> out =
        Fragments(From(whole, delivery.service1()), {1000, 1000});
    ExpectReply(in[1], in[1]);  // of what?
    for (const size_t piece : {0, 2, 1}) ExpectReply(in[piece], out[piece]);
  }
}

TEST_F(LocalReply, MovesTheConnectionOnAndCounts) {
  Begin(Masqs().front());
  const Delivery delivery = Masqs().front();
  const xlvs_conn* conn =
      bench.Find(delivery.client1(), delivery.service1(), delivery.protocol);
  Frame fin = ReplyPacket(delivery, 0);
  fin.tcp.flags = kFin | kAck;
  RunTc(reply_, Build(fin));
  EXPECT_EQ(conn->life.state, XLVS_CONN_tcp_time_wait);
  EXPECT_EQ(bench.Counts(dest_), "0/1");
  EXPECT_EQ(bench.CountersOf(dest_).out_packets, 1u);
  EXPECT_EQ(bench.CountersOf(dest_).out_bytes, 40u);
}

TEST_F(LocalReply, LeavesAloneWhatIsNoneOfIts) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    Frame in = ReplyPacket(delivery);
    in.dport++;  // no connection
    ExpectUntouchedReply(in);
    in = ReplyPacket(delivery);
    in.ip.saddr = BookOf(delivery.client).dest2.addr;  // nobody's
    ExpectUntouchedReply(in);
    ExpectUntouchedReply(NextPacket(delivery));  // the other way
    Frame arp = ReplyPacket(delivery);
    arp.ethertype = 0x0806;
    ExpectUntouchedReply(arp);
    // A real server elsewhere: its replies go through XDP.
    bench.dests[dest_].flags = 0;
    ExpectUntouchedReply(ReplyPacket(delivery));
    bench.dests[dest_].flags = XLVS_DEST_local;
    bench.control[0].services = 0;
    ExpectUntouchedReply(ReplyPacket(delivery));
  }
}

TEST_F(LocalReply, LeavesAloneWhatIsCutShort) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const Bytes whole = Build(ReplyPacket(delivery, 20));
    // The kernel runs no program on less than an IP header.
    const size_t least = 14 + (delivery.client == Family::kV4 ? 20 : 40);
    for (size_t bytes = least; bytes < whole.size(); ++bytes) {
      const Bytes cut(whole.begin(), whole.begin() + bytes);
      ExpectReply(cut, cut);
    }
  }
}

TEST_F(LocalReply, TheHandoverProgramSendsNothingWithoutANote) {
  for (const Delivery& delivery : Masqs()) {
    Begin(delivery);
    for (const Frame& in : {FirstPacket(delivery), ReplyPacket(delivery)})
      ExpectSame(Build(in), RunTc(handover_, Build(in)));
  }
}

}  // namespace
}  // namespace xlvs
