// SPDX-License-Identifier: Apache-2.0
//
// ICMP errors about connections, in both directions, and what else ICMP there
// is (ip_vs_core.c, ip_vs_in_icmp and ip_vs_out_icmp). Errors about tunnel
// packets: tunnel_test.cc.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

// ---- the errors that there are

std::vector<IcmpError> AllErrors(Family family) {
  std::vector<IcmpError> errors;
  const auto add = [&](uint8_t type, int codes) {
    for (int code = 0; code < codes; ++code)
      errors.push_back({.type = type, .code = static_cast<uint8_t>(code)});
  };
  if (family == Family::kV4) {
    add(3, 16);
    add(4, 1);
    add(11, 2);
    errors.push_back(TooBig(family, 1400));
    return errors;
  }
  add(1, 7);
  add(3, 2);
  add(4, 3);
  for (const uint8_t type : {0, 5, 100, 101, 127}) add(type, 1);
  errors.push_back(TooBig(family, 1400));
  return errors;
}

std::vector<uint8_t> NoErrors(Family family) {
  std::vector<uint8_t> types;
  for (int type = 0; type < 256; ++type) {
    const bool is_error = family == Family::kV4
                              ? type == 3 || type == 4 || type == 11
                              : type < 128;
    if (!is_error) types.push_back(type);
  }
  return types;
}

size_t L4CheckOffset(uint8_t protocol) {
  return protocol == kProtocolTcp ? 16 : protocol == kProtocolUdp ? 6 : 8;
}

size_t L4Offset(const Frame& frame) {
  return BuildL3(frame).size() - BuildL4(frame).size();
}

// `frame` as a quote: its transport checksum is that of `original`.
Bytes QuoteOf(const Frame& frame, const Frame& original) {
  Bytes quote = BuildL3(frame);
  const Bytes before = BuildL3(original);
  const size_t check = L4Offset(original) + L4CheckOffset(original.ip.protocol);
  std::copy_n(before.begin() + check,
              original.ip.protocol == kProtocolSctp ? 4 : 2,
              quote.begin() + check);
  return quote;
}

Frame Turned(Frame frame) {
  std::swap(frame.ip.saddr, frame.ip.daddr);
  std::swap(frame.sport, frame.dport);
  return frame;
}

std::vector<Delivery> Masqs() {
  std::vector<Delivery> masqs = AllDeliveries();
  std::erase_if(masqs, [](const Delivery& d) { return !d.is_masq(); });
  return masqs;
}

constexpr size_t kWholeQuote = 5000;

// Masq, with a connection of client1.
class Icmp : public DeliveryTest {
 protected:
  const AddressBook& book() const { return BookOf(delivery_.client); }
  Family family() const { return delivery_.client; }

  // What the client sent, as it stands behind the director; and what the dest
  // sent, as it stands before it.
  Frame Behind(size_t payload = 100) const {
    Frame frame = To(NextPacket(delivery_, payload), delivery_.dest1());
    frame.ip.ttl = 7;
    return frame;
  }
  Frame Before(size_t payload = 100) const {
    Frame frame = Turned(NextPacket(delivery_, payload));
    frame.ip.ttl = 9;
    return frame;
  }
  // Errors about them, and what those become.
  Frame FromRealServerSide(const Addr& from, const IcmpError& error,
                           const Frame& about, size_t quote_bytes) const {
    return IcmpErrorFrame(from, book().client1.addr, error, BuildL3(about),
                          quote_bytes);
  }
  Frame AtClient(const IcmpError& error, const Frame& about,
                 size_t quote_bytes) const {
    return ViaRouter(IcmpErrorFrame(
        book().service1.addr, book().client1.addr, error,
        QuoteOf(To(about, book().service1), about), quote_bytes));
  }
  Frame FromClientSide(const Addr& from, const IcmpError& error,
                       const Frame& about, size_t quote_bytes) const {
    return IcmpErrorFrame(from, book().service1.addr, error, BuildL3(about),
                          quote_bytes);
  }
  Frame AtRealServer(const Addr& from, const IcmpError& error,
                     const Frame& about, size_t quote_bytes) const {
    return Via(IcmpErrorFrame(from, delivery_.dest1().addr, error,
                              QuoteOf(From(about, delivery_.dest1()), about),
                              quote_bytes),
               kHop1);
  }
};

TEST_F(Icmp, EveryErrorFromTheRealServersSideReachesTheClientAsTheServices) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    for (const Addr& from : {delivery.dest1().addr, book().dest_router})
      for (const IcmpError& error : AllErrors(family())) {
        SCOPED_TRACE(absl::StrCat("type ", error.type, " code ", error.code));
        for (const size_t quote_bytes : {size_t{48}, kWholeQuote})
          ExpectRun(bench,
                    FromRealServerSide(from, error, Behind(), quote_bytes),
                    XLVS_STEP_tx_error_to_client,
                    AtClient(error, Behind(), quote_bytes));
      }
  }
}

TEST_F(Icmp, EveryErrorFromTheClientsSideReachesTheRealServer) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    for (const Addr& from : {book().client1.addr, book().client_router})
      for (const IcmpError& error : AllErrors(family())) {
        SCOPED_TRACE(absl::StrCat("type ", error.type, " code ", error.code));
        for (const size_t quote_bytes : {size_t{48}, kWholeQuote})
          ExpectRun(bench, FromClientSide(from, error, Before(), quote_bytes),
                    XLVS_STEP_tx_error_to_dest,
                    AtRealServer(from, error, Before(), quote_bytes));
      }
  }
}

TEST_F(Icmp, ChangesNoConnectionAndCountsAsTraffic) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    bench.AdvanceSeconds(3);
    const xlvs_conn_life life = Conn()->life;
    const xlvs_counters before = bench.CountersOf(dest_);
    const IcmpError error = PortUnreachable(family());
    const Frame out =
        FromRealServerSide(book().dest_router, error, Behind(), kWholeQuote);
    const Frame in =
        FromClientSide(book().client_router, error, Before(), kWholeQuote);
    bench.Run(out);
    bench.Run(in);
    EXPECT_EQ(Conn()->life.expires_ticks, life.expires_ticks);
    EXPECT_EQ(Conn()->life.state, life.state);
    const xlvs_counters after = bench.CountersOf(dest_);
    EXPECT_EQ(after.in_packets - before.in_packets, 1u);
    EXPECT_EQ(after.in_bytes - before.in_bytes, BuildL3(in).size());
    EXPECT_EQ(after.out_packets - before.out_packets, 1u);
    EXPECT_EQ(after.out_bytes - before.out_bytes, BuildL3(out).size());
  }
}

// ---- shapes

TEST_F(Icmp, CarriesErrorsInEveryShape) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = TimeExceeded(family());
    const auto expect = [&](const std::function<void(Frame&)>& change) {
      Frame to_client =
          FromRealServerSide(book().dest_router, error, Behind(), kWholeQuote);
      change(to_client);
      Frame at_client = AtClient(error, Behind(), kWholeQuote);
      change(at_client);
      at_client.ip.ttl = to_client.ip.ttl - 1;
      at_client.vlans.clear();
      ExpectRun(bench, to_client, XLVS_STEP_tx_error_to_client, at_client);

      Frame to_dest =
          FromClientSide(book().client_router, error, Before(), kWholeQuote);
      change(to_dest);
      Frame at_dest =
          AtRealServer(book().client_router, error, Before(), kWholeQuote);
      change(at_dest);
      at_dest.ip.ttl = to_dest.ip.ttl - 1;
      at_dest.vlans.clear();
      ExpectRun(bench, to_dest, XLVS_STEP_tx_error_to_dest, at_dest);
    };
    expect([](Frame& f) { f.vlans = {{kEtherTypeVlan, 5}}; });
    expect([](Frame& f) {
      f.vlans = {{kEtherTypeQinq, 5}, {kEtherTypeVlan, 6}};
    });
    expect([](Frame& f) { f.ip.ttl = 2; });
    expect([](Frame& f) { f.ip.tos = 0xff; });
    expect([](Frame& f) { f.padding = Pattern(9); });
    if (family() == Family::kV4)
      expect([](Frame& f) { f.ip.options = {1, 1, 148, 4, 0, 0, 1, 1}; });
    else
      expect([](Frame& f) {
        f.ip.extensions = {HopByHopOptions(), DestOptions()};
      });
  }
}

TEST_F(Icmp, UnderstandsQuotesInEveryShape) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    const auto expect = [&](const std::function<void(Frame&)>& change) {
      Frame behind = Behind(), before = Before();
      change(behind);
      change(before);
      ExpectRun(
          bench,
          FromRealServerSide(book().dest_router, error, behind, kWholeQuote),
          XLVS_STEP_tx_error_to_client, AtClient(error, behind, kWholeQuote));
      ExpectRun(
          bench,
          FromClientSide(book().client_router, error, before, kWholeQuote),
          XLVS_STEP_tx_error_to_dest,
          AtRealServer(book().client_router, error, before, kWholeQuote));
    };
    expect([](Frame& f) { f.ip.tos = 0xb8; });
    expect([](Frame& f) { f.ip.ttl = 0; });
    expect([](Frame& f) { f.l4_check_wrong_by = 5; });
    if (family() == Family::kV4) {
      expect([](Frame& f) { f.ip.options = Bytes(40, 1); });
      expect([](Frame& f) {
        f.ip.dont_fragment = false;
        f.ip.more_fragments = true;  // a first fragment
      });
      // As routers quote what they have changed already.
      expect([](Frame& f) { f.ip.check_wrong_by = 0x0100; });
    } else {
      expect([](Frame& f) {
        f.ip.extensions = {HopByHopOptions(), Routing(2, 0, Bytes(20)),
                           DestOptions()};
      });
      expect([](Frame& f) { f.ip.extensions = {FragmentHeader(0, true, 7)}; });
    }
  }
}

// An ICMP checksum over which carries run in all ways: payloads of chance.
TEST_F(Icmp, KeepsTheChecksumRightWhateverIsQuoted) {
  uint32_t random = 1;
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    for (int i = 0; i < 300; ++i) {
      Frame behind = Behind(), before = Before();
      for (Frame* frame : {&behind, &before}) {
        frame->ip.id = random = random * 1103515245 + 12345;
        Bytes& body = delivery.protocol == Protocol::kSctp
                          ? frame->sctp.chunks[0].value
                          : frame->payload;
        for (uint8_t& byte : body) byte = (random *= 1103515245) >> 24;
      }
      ExpectRun(bench,
                FromRealServerSide(book().dest_router, error, behind, 97),
                XLVS_STEP_tx_error_to_client, AtClient(error, behind, 97));
      ExpectRun(bench, FromClientSide(book().client_router, error, before, 97),
                XLVS_STEP_tx_error_to_dest,
                AtRealServer(book().client_router, error, before, 97));
    }
  }
}

// ---- quotes cut short

TEST_F(Icmp, NeedsThePortsOfTheQuote) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    const size_t needed = L4Offset(Behind()) + 4;
    for (size_t quote = 0; quote < 140; ++quote) {
      SCOPED_TRACE(quote);
      const Frame to_client =
          FromRealServerSide(delivery.dest1().addr, error, Behind(), quote);
      const Frame to_dest =
          FromClientSide(book().client_router, error, Before(), quote);
      if (quote < needed) {
        ExpectUntouched(bench, to_client, XLVS_STEP_pass_icmp);
        ExpectUntouched(bench, to_dest, XLVS_STEP_pass_icmp);
      } else {
        ExpectRun(bench, to_client, XLVS_STEP_tx_error_to_client,
                  AtClient(error, Behind(), quote));
        ExpectRun(bench, to_dest, XLVS_STEP_tx_error_to_dest,
                  AtRealServer(book().client_router, error, Before(), quote));
      }
    }
  }
}

// What stands behind the IP packet is not part of the quote.
TEST_F(Icmp, DoesNotTakePaddingForAQuote) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    const size_t needed = L4Offset(Behind()) + 4;
    for (size_t quote = 0; quote < needed; ++quote) {
      SCOPED_TRACE(quote);
      Frame to_client =
          FromRealServerSide(delivery.dest1().addr, error, Behind(), quote);
      Frame to_dest =
          FromClientSide(book().client_router, error, Before(), quote);
      const Bytes behind = BuildL3(Behind()), before = BuildL3(Before());
      to_client.padding.assign(behind.begin() + quote, behind.end());
      to_dest.padding.assign(before.begin() + quote, before.end());
      ExpectUntouched(bench, to_client, XLVS_STEP_pass_icmp);
      ExpectUntouched(bench, to_dest, XLVS_STEP_pass_icmp);
    }
  }
}

TEST_F(Icmp, PassesErrorsAboutLaterFragments) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = TimeExceeded(family());
    for (Frame frame : {Behind(), Before()}) {
      const Bytes fragment = Fragments(frame, {16})[1];
      const bool behind = frame.ip.saddr == book().client1.addr;
      ExpectUntouched(
          bench,
          IcmpErrorFrame(behind ? delivery.dest1().addr : book().client_router,
                         behind ? book().client1.addr : book().service1.addr,
                         error, L3Of(fragment), kWholeQuote),
          XLVS_STEP_pass_icmp);
    }
  }
}

TEST_F(Icmp, PassesQuotesOfWhatIsNoPacket) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const auto expect = [&](const std::function<void(Ip&)>& change) {
      Frame before = Before();
      change(before.ip);
      ExpectUntouched(
          bench,
          FromClientSide(book().client_router, PortUnreachable(family()),
                         before, kWholeQuote),
          XLVS_STEP_pass_icmp);
    };
    for (int version = 0; version < 16; ++version)
      if (version != (family() == Family::kV4 ? 4 : 6))
        expect([=](Ip& ip) { ip.version = version; });
    if (family() == Family::kV4)
      for (int ihl = 0; ihl < 5; ++ihl) expect([=](Ip& ip) { ip.ihl = ihl; });
    else
      expect([](Ip& ip) {
        ip.extensions = std::vector<Extension>(9, DestOptions());
      });
  }
}

// ---- what is not about a connection

TEST_F(Icmp, PassesErrorsAboutNoConnection) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    const auto expect_untouched = [&](const Frame& behind,
                                      const Frame& before) {
      ExpectUntouched(
          bench,
          FromRealServerSide(book().dest_router, error, behind, kWholeQuote),
          XLVS_STEP_pass_icmp_no_conn);
      ExpectUntouched(
          bench,
          FromClientSide(book().client_router, error, before, kWholeQuote),
          XLVS_STEP_pass_icmp_no_conn);
    };
    Frame behind = Behind(), before = Before();
    behind.sport++;  // another client's port
    before.dport++;
    expect_untouched(behind, before);
    behind = Behind(), before = Before();
    behind.dport++;  // another service's port
    before.sport++;
    expect_untouched(behind, before);
    behind = Behind(), before = Before();
    for (Frame* frame : {&behind, &before}) {  // another protocol
      frame->payload = Pattern(40);
      frame->ip.protocol =
          delivery.protocol == Protocol::kUdp ? kProtocolTcp : kProtocolUdp;
    }
    expect_untouched(behind, before);
    for (Frame* frame : {&behind, &before}) frame->ip.protocol = 50;
    expect_untouched(behind, before);
    // Of a connection that is over.
    bench.AdvanceSeconds(1000);
    expect_untouched(Behind(), Before());
  }
}

// An error goes to whom it quotes, or it is none.
TEST_F(Icmp, PassesErrorsToOthersThanTheyQuote) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    ExpectUntouched(bench,
                    IcmpErrorFrame(delivery.dest1().addr, book().client2.addr,
                                   error, BuildL3(Behind()), kWholeQuote),
                    XLVS_STEP_pass_icmp);
    ExpectUntouched(bench,
                    IcmpErrorFrame(book().client_router, book().service2.addr,
                                   error, BuildL3(Before()), kWholeQuote),
                    XLVS_STEP_pass_not_ours);
    // Both services are there, but the other is meant.
    bench.AddService(book().service2, delivery.protocol);
    ExpectUntouched(bench,
                    IcmpErrorFrame(book().client_router, book().service2.addr,
                                   error, BuildL3(Before()), kWholeQuote),
                    XLVS_STEP_pass_icmp);
  }
}

TEST_F(Icmp, LeavesWhatIsNoErrorToTheHost) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    for (const uint8_t type : NoErrors(family())) {
      SCOPED_TRACE(type);
      // Even if it looks like an error.
      Frame in = FromClientSide(book().client_router, {.type = type}, Before(),
                                kWholeQuote);
      ExpectUntouched(bench, in, XLVS_STEP_pass_icmp);
      ExpectUntouched(bench,
                      FromRealServerSide(delivery.dest1().addr, {.type = type},
                                         Behind(), kWholeQuote),
                      XLVS_STEP_pass_icmp);
      in.ip.daddr = book().stranger.addr;
      ExpectUntouched(bench, in, XLVS_STEP_pass_not_ours);
    }
    for (size_t bytes = 0; bytes < 1400; bytes += 1 + bytes / 3)
      ExpectUntouched(
          bench,
          EchoFrame(book().client1.addr, book().service1.addr, 1, 2, bytes),
          XLVS_STEP_pass_icmp);
  }
}

TEST_F(Icmp, LeavesFragmentsOfIcmpToTheHost) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    // Last fragments from one byte on.
    for (size_t last = 1; last <= 16; ++last)
      for (const Bytes& fragment :
           Fragments(EchoFrame(book().client1.addr, book().service1.addr, 1, 2,
                               1000 - 8 + last),
                     {1000}))
        ExpectUntouched(bench, fragment, XLVS_STEP_pass_icmp);
    for (const Bytes& fragment : Fragments(
             FromClientSide(book().client_router, PortUnreachable(family()),
                            Before(), kWholeQuote),
             {64}))
      ExpectUntouched(bench, fragment, XLVS_STEP_pass_icmp);
  }
}

TEST_F(Icmp, PassesIcmpShorterThanItsHeader) {
  for (const Delivery& delivery : Masqs()) {
    BeginConnected(delivery);
    const size_t ip_bytes = family() == Family::kV4 ? 20 : 40;
    for (const bool error : {false, true})
      for (size_t bytes = 0; bytes < 8; ++bytes) {
        SCOPED_TRACE(bytes);
        Frame in = error ? FromClientSide(book().client_router,
                                          PortUnreachable(family()), Before(),
                                          kWholeQuote)
                         : EchoFrame(book().client1.addr, book().service1.addr,
                                     1, 2, 0);
        in.ip.total_bytes = ip_bytes + bytes;
        ExpectUntouched(bench, in, XLVS_STEP_pass_truncated);
        Bytes cut = Build(in);
        cut.resize(14 + ip_bytes + bytes);
        ExpectUntouched(bench, cut, XLVS_STEP_pass_truncated);
      }
  }
}

// ---- what is dropped

TEST_F(Icmp, DropsErrorsWhoseChecksumIsWrong) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    for (const size_t payload : {0, 1, 3, 600, 1300})
      for (const uint16_t wrong_by : {1, 0x0100, 0xfffe}) {
        Frame to_client = FromRealServerSide(book().dest_router, error,
                                             Behind(payload), kWholeQuote);
        Frame to_dest = FromClientSide(book().client_router, error,
                                       Before(payload), kWholeQuote);
        to_client.l4_check_wrong_by = to_dest.l4_check_wrong_by = wrong_by;
        ExpectUntouched(bench, to_client, XLVS_STEP_drop_icmp_checksum);
        ExpectUntouched(bench, to_dest, XLVS_STEP_drop_icmp_checksum);
      }
  }
}

TEST_F(Icmp, PassesErrorsAboutNoConnectionWhoseChecksumIsWrong) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame behind = Behind(), before = Before();
    behind.sport++;
    before.dport++;
    for (Frame in :
         {FromRealServerSide(book().dest_router, PortUnreachable(family()),
                             behind, kWholeQuote),
          FromClientSide(book().client_router, PortUnreachable(family()),
                         before, kWholeQuote)}) {
      in.l4_check_wrong_by = 1;
      ExpectUntouched(bench, in, XLVS_STEP_pass_icmp_no_conn);
    }
  }
}

TEST_F(Icmp, DropsErrorsToARealServerThatWasRemoved) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    bench.dests[dest_].state = XLVS_DEST_removed;
    const IcmpError error = PortUnreachable(family());
    ExpectUntouched(
        bench,
        FromClientSide(book().client_router, error, Before(), kWholeQuote),
        XLVS_STEP_drop_dest_removed);
    // From there, still the service's.
    ExpectRun(
        bench,
        FromRealServerSide(book().dest_router, error, Behind(), kWholeQuote),
        XLVS_STEP_tx_error_to_client, AtClient(error, Behind(), kWholeQuote));
  }
}

// RFC 1122, 3.2.2; RFC 4443, 2.4 e.
TEST_F(Icmp, AnswersNoErrorWithAnError) {
  for (const Delivery& delivery : AllDeliveries()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame in = FromClientSide(book().client_router, PortUnreachable(family()),
                              Before(600), kWholeQuote);
    for (const uint8_t ttl : {0, 1}) {
      in.ip.ttl = ttl;
      ExpectUntouched(bench, in, XLVS_STEP_drop_icmp_failed);
    }
    in.ip.ttl = 64;
    bench.SetHop(dest_, {.mtu = 500});
    in.ip.dont_fragment = true;
    ExpectUntouched(bench, in, XLVS_STEP_drop_icmp_failed);
  }
}

TEST_F(Icmp, PassesAnErrorToAClientThatEndsHereOrDoesNotFitUntouched) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    Frame in = FromRealServerSide(book().dest_router, PortUnreachable(family()),
                                  Behind(600), kWholeQuote);
    in.ip.ttl = 1;
    ExpectUntouched(bench, in, XLVS_STEP_pass_reply_ttl);
    in.ip.ttl = 64;
    bench.nexthops[Conn()->life.nexthop].mtu = 500;
    ExpectUntouched(bench, in, XLVS_STEP_pass_too_big);
    Conn()->life.nexthop = 0;
    ExpectUntouched(bench, in, XLVS_STEP_pass_reply_route);
  }
}

// ---- Route and Tunnel

// From behind them, an error is to the client already.
TEST_F(Icmp, LeavesErrorsAboutRouteToTheKernel) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    ExpectUntouched(bench,
                    FromRealServerSide(BookOf(family()).dest_router,
                                       PortUnreachable(family()),
                                       NextPacket(delivery), kWholeQuote),
                    XLVS_STEP_pass_not_ours);
  }
}

TEST_F(Icmp, CarriesEveryErrorToEveryRealServerUnchanged) {
  for (const Delivery& delivery : AllDeliveries()) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    for (const IcmpError& error : AllErrors(family()))
      ExpectDelivered(
          bench, delivery,
          FromClientSide(book().client_router, error, Before(), kWholeQuote),
          kHop1, XLVS_STEP_tx_error_to_dest);
  }
}

// ---- of either direction, cut anywhere

TEST_F(Icmp, PassesAFrameCutAnywhere) {
  for (const Delivery& delivery : Masqs()) {
    SCOPED_TRACE(NameOf(delivery));
    BeginConnected(delivery);
    const IcmpError error = PortUnreachable(family());
    for (const Frame& in :
         {FromRealServerSide(book().dest_router, error, Behind(), kWholeQuote),
          FromClientSide(book().client_router, error, Before(), kWholeQuote)}) {
      const Bytes whole = Build(in);
      for (size_t bytes = 14; bytes < whole.size(); ++bytes)
        ExpectUntouched(bench, Bytes(whole.begin(), whole.begin() + bytes),
                        XLVS_STEP_pass_truncated);
    }
  }
}

}  // namespace
}  // namespace xlvs
