// SPDX-License-Identifier: Apache-2.0
//
// IPVS's state machines, every cell: the state after each event in each
// direction, its timeout, and what the dest counts. The tables and the timeouts
// stand here as IPVS's sources have them (ip_vs_proto_tcp.c,
// ip_vs_proto_sctp.c), a second time.
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/packet/delivery.h"

namespace xlvs {
namespace {

// IN and OUT: both sides are seen (Masq); ONLY: what the client sends, where
// replies take another way (Route, Tunnel). "=": stays.

// "any": a segment with none of the four flags.
constexpr absl::string_view kTcpTable = R"(
            NO ES SS SR FW TW CL CW LA LI SA
  IN   syn  SR ES ES SR SR SR SR SR SR SR SR
  IN   fin  CL CW SS TW TW TW CL CW LA LI TW
  IN   ack  ES ES SS ES FW TW CL CW CL LI ES
  IN   rst  CL CL CL SR CL CL CL CL LA LI SR
  IN   any  CL CL CL CL CL CL CL CL CL CL CL
  OUT  syn  SS ES SS SR SS SS SS SS SS LI SR
  OUT  fin  TW FW SS TW FW TW CL TW LA LI TW
  OUT  ack  ES ES SS ES FW TW CL CW LA ES ES
  OUT  rst  CL CL SS CL CL TW CL CL CL CL CL
  OUT  any  CL CL CL CL CL CL CL CL CL CL CL
  ONLY syn  SR ES ES SR SR SR SR SR SR SR SR
  ONLY fin  CL FW SS TW FW TW CL CW LA LI TW
  ONLY ack  ES ES SS ES FW TW CL CW CL LI ES
  ONLY rst  CL CL CL SR CL CL CL CL LA LI CL
  ONLY any  CL CL CL CL CL CL CL CL CL CL CL
)";

constexpr absl::string_view kSctpTable = R"(
                         NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
  IN   data              ES =  =  =  =  =  =  =  =  =  =  =  =  =
  IN   init              I1 IN =  =  =  =  =  =  =  =  =  =  IN IN
  IN   init_ack          CW CW CW =  =  CO =  =  =  =  =  =  =  =
  IN   cookie_echo       CR IN =  CR =  =  =  =  =  =  =  =  =  =
  IN   cookie_ack        ES =  =  =  =  =  =  ES =  =  =  =  =  =
  IN   shutdown          SR =  =  =  =  =  =  =  SR =  =  =  =  =
  IN   shutdown_ack      CL IN =  =  =  =  =  =  =  CL =  CL =  =
  IN   shutdown_complete CL CL CL =  =  =  =  =  =  =  =  CL =  =
  IN   error             CL =  =  =  =  =  =  CL =  =  =  =  =  =
  IN   abort             CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
  OUT  data              ES =  =  =  =  =  =  =  =  =  =  =  =  =
  OUT  init              CW CW CW CW CW =  CW CW =  CW CW CW CW CW
  OUT  init_ack          CS CS CS =  =  =  =  =  =  =  =  =  =  =
  OUT  cookie_echo       CE CE CE CE CE CE CE =  =  =  =  =  =  =
  OUT  cookie_ack        ES ES ES ES ES ES ES ES =  =  =  =  =  =
  OUT  shutdown          SS SS SS SS SS SS SS SS SS =  =  =  =  =
  OUT  shutdown_ack      SA SA SA SA SA =  =  =  =  SA SA =  =  =
  OUT  shutdown_complete CL =  =  =  =  =  =  =  =  =  =  =  =  =
  OUT  error             CL CL CL CL CL =  =  =  =  =  =  =  =  =
  OUT  abort             CL RJ CL CL CL CL CL CL CL CL CL CL CL CL
  ONLY data              ES =  =  =  =  ES =  =  =  =  =  =  =  =
  ONLY init              I1 IN =  IN IN IN =  =  =  =  =  =  IN IN
  ONLY init_ack          CE CE CE CE CE CE =  =  =  =  =  =  =  =
  ONLY cookie_echo       ES ES ES ES ES ES =  =  =  =  =  =  =  =
  ONLY cookie_ack        ES =  =  ES ES =  ES ES =  =  =  =  =  =
  ONLY shutdown          SR =  =  =  =  =  =  =  SR =  =  =  =  =
  ONLY shutdown_ack      CL IN =  =  =  =  =  =  CL CL =  CL =  =
  ONLY shutdown_complete CL CL CL CL CL =  =  =  =  =  CL CL =  =
  ONLY error             CL =  =  =  =  =  =  =  =  =  =  =  =  =
  ONLY abort             CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
)";

struct StateFacts {
  xlvs_conn_state state;
  uint32_t timeout_s;
  bool active;
};
using Facts = std::map<std::string, StateFacts>;

const Facts kTcpStates = {
    {"NO", {XLVS_CONN_tcp_none, 2, false}},
    {"ES", {XLVS_CONN_tcp_established, 900, true}},
    {"SS", {XLVS_CONN_tcp_syn_sent, 120, true}},
    {"SR", {XLVS_CONN_tcp_syn_recv, 60, true}},
    {"FW", {XLVS_CONN_tcp_fin_wait, 120, false}},
    {"TW", {XLVS_CONN_tcp_time_wait, 120, false}},
    {"CL", {XLVS_CONN_tcp_close, 10, false}},
    {"CW", {XLVS_CONN_tcp_close_wait, 60, false}},
    {"LA", {XLVS_CONN_tcp_last_ack, 30, false}},
    {"LI", {XLVS_CONN_tcp_listen, 120, false}},
    {"SA", {XLVS_CONN_tcp_synack, 120, true}},
};

const Facts kSctpStates = {
    {"NO", {XLVS_CONN_sctp_none, 2, false}},
    {"I1", {XLVS_CONN_sctp_init1, 4, false}},
    {"IN", {XLVS_CONN_sctp_init, 61, false}},
    {"CS", {XLVS_CONN_sctp_cookie_sent, 61, false}},
    {"CR", {XLVS_CONN_sctp_cookie_replied, 61, false}},
    {"CW", {XLVS_CONN_sctp_cookie_wait, 61, false}},
    {"CO", {XLVS_CONN_sctp_cookie, 61, false}},
    {"CE", {XLVS_CONN_sctp_cookie_echoed, 61, false}},
    {"ES", {XLVS_CONN_sctp_established, 900, true}},
    {"SS", {XLVS_CONN_sctp_shutdown_sent, 61, false}},
    {"SR", {XLVS_CONN_sctp_shutdown_received, 61, false}},
    {"SA", {XLVS_CONN_sctp_shutdown_ack_sent, 61, false}},
    {"RJ", {XLVS_CONN_sctp_rejected, 4, false}},
    {"CL", {XLVS_CONN_sctp_closed, 61, false}},
};

struct Cell {
  std::string direction, event, from, to;
};

std::vector<Cell> Cells(absl::string_view table) {
  std::vector<Cell> cells;
  std::vector<std::string> columns;
  for (const absl::string_view line : absl::StrSplit(table, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) continue;
    if (columns.empty()) {
      columns = words;
      continue;
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string& to = words.at(i + 2);
      cells.push_back(
          {words[0], words[1], columns[i], to == "=" ? columns[i] : to});
    }
  }
  return cells;
}

// "IN ack ES" -> "ES".
using Table = std::map<std::string, std::string>;
Table TableOf(absl::string_view text) {
  Table table;
  for (const Cell& cell : Cells(text))
    table[absl::StrCat(cell.direction, " ", cell.event, " ", cell.from)] =
        cell.to;
  return table;
}

uint8_t FlagsOf(const std::string& event) {
  return std::map<std::string, uint8_t>{{"syn", kSyn},
                                        {"fin", kFin | kAck},
                                        {"ack", kAck},
                                        {"rst", kRst},
                                        {"any", 0}}
      .at(event);
}

// The event of a segment, by its flags.
std::string EventOf(uint8_t flags) {
  if (flags & kRst) return "rst";
  if (flags & kSyn) return "syn";
  if (flags & kFin) return "fin";
  if (flags & kAck) return "ack";
  return "any";
}

const std::map<std::string, uint8_t> kChunkOf = {
    {"data", kSctpData},
    {"init", kSctpInit},
    {"init_ack", kSctpInitAck},
    {"cookie_echo", kSctpCookieEcho},
    {"cookie_ack", kSctpCookieAck},
    {"shutdown", kSctpShutdown},
    {"shutdown_ack", kSctpShutdownAck},
    {"shutdown_complete", kSctpShutdownComplete},
    {"error", kSctpError},
    {"abort", kSctpAbort},
};

// Whatever has no row of its own is data.
std::string EventOfChunk(uint8_t type) {
  for (const auto& [event, chunk] : kChunkOf)
    if (chunk == type) return event;
  return "data";
}

// A connection of client1 by one way, put into any state.
class StateTable : public DeliveryTest {
 protected:
  const Facts& States() const {
    return delivery_.protocol == Protocol::kTcp ? kTcpStates : kSctpStates;
  }
  std::string StateNow() {
    const xlvs_conn* conn = Conn();
    if (conn == nullptr) return "-";
    for (const auto& [name, facts] : States())
      if (facts.state == conn->life.state) return name;
    return absl::StrCat("state ", conn->life.state);
  }
  // As if the connection's own packets had brought it there.
  void Force(const std::string& name) {
    if (Conn() == nullptr) bench.Run(FirstPacket(delivery_));
    const StateFacts& to = States().at(name);
    ASSERT_NE(Conn(), nullptr);
    xlvs_conn_life& life = Conn()->life;
    life.state = to.state;
    life.flags = (life.flags & ~XLVS_CONN_inactive) |
                 (to.active ? 0 : XLVS_CONN_inactive);
    life.expires_ticks = bench.now() + 13;
  }
  Frame Packet(const std::string& event, bool reply) {
    Frame frame = reply ? ReplyPacket(delivery_) : NextPacket(delivery_);
    if (delivery_.protocol == Protocol::kTcp)
      frame.tcp.flags = FlagsOf(event);
    else
      frame.sctp.chunks = {{.type = kChunkOf.at(event), .value = Pattern(12)}};
    return frame;
  }

  void ExpectCell(const Cell& cell, const std::string& to_name) {
    SCOPED_TRACE(
        absl::StrCat(cell.direction, " ", cell.event, " in ", cell.from));
    Force(cell.from);
    const xlvs_counters before = bench.CountersOf(dest_);
    const xlvs_load load_before = bench.loads[dest_];
    bench.Run(Packet(cell.event, cell.direction == "OUT"));

    const StateFacts& from = States().at(cell.from);
    const StateFacts& to = States().at(to_name);
    const xlvs_conn* conn = Conn();
    ASSERT_NE(conn, nullptr);
    EXPECT_EQ(StateNow(), to_name);
    EXPECT_EQ(conn->life.expires_ticks,
              bench.now() + to.timeout_s * XLVS_TICKS_PER_SECOND);
    EXPECT_EQ(conn->life.flags & XLVS_CONN_inactive,
              to.active ? 0u : XLVS_CONN_inactive);
    const int flipped = to.active - from.active;
    const xlvs_counters after = bench.CountersOf(dest_);
    EXPECT_EQ(after.active - before.active, flipped);
    EXPECT_EQ(after.inactive - before.inactive, -flipped);
    EXPECT_EQ(bench.loads[dest_].active - load_before.active, flipped);
    EXPECT_EQ(bench.loads[dest_].inactive - load_before.inactive, -flipped);
    bench.AdvanceSeconds(1000);
  }

  // Every cell in the directions that the connection knows.
  void ExpectTable(absl::string_view text) {
    const Table table = TableOf(text);
    for (const Cell& cell : Cells(text)) {
      if ((cell.direction == "ONLY") == delivery_.is_masq()) continue;
      // There a connection begins anew (conn_reuse_mode 1).
      const bool anew =
          cell.direction != "OUT" &&
          ((cell.event == "syn" && (cell.from == "TW" || cell.from == "CL")) ||
           (cell.event == "init" && cell.from == "CL"));
      ExpectCell(cell, anew ? table.at(absl::StrCat(cell.direction, " ",
                                                    cell.event, " NO"))
                            : cell.to);
    }
  }
};

TEST_F(StateTable, IsAsLargeAsIpvss) {
  EXPECT_EQ(Cells(kTcpTable).size(), 3u * 5 * 11);
  EXPECT_EQ(Cells(kSctpTable).size(), 3u * 10 * 14);
}

TEST_F(StateTable, TcpByEveryWay) {
  for (const Family family : kFamilies)
    for (const Delivery& delivery : FewDeliveries(family)) {
      SCOPED_TRACE(NameOf(delivery));
      Begin(delivery);
      ExpectTable(kTcpTable);
    }
}

TEST_F(StateTable, SctpByEveryWay) {
  for (const Family family : kFamilies)
    for (const Delivery& delivery : FewDeliveries(family, Protocol::kSctp)) {
      SCOPED_TRACE(NameOf(delivery));
      Begin(delivery);
      ExpectTable(kSctpTable);
    }
}

TEST_F(StateTable, UdpHasOneState) {
  for (const Delivery& delivery : DeliveriesOf(Protocol::kUdp)) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (int i = 0; i < 3; ++i) {
      bench.Run(NextPacket(delivery));
      if (i == 2 && delivery.is_masq()) bench.Run(ReplyPacket(delivery));
      ASSERT_NE(Conn(), nullptr);
      EXPECT_EQ(Conn()->life.state, XLVS_CONN_udp);
      EXPECT_EQ(Conn()->life.expires_ticks,
                bench.now() + 300 * XLVS_TICKS_PER_SECOND);
      EXPECT_EQ(bench.Counts(dest_), "0/1");
      bench.AdvanceSeconds(100);
    }
  }
}

TEST_F(StateTable, TakesTheFirstOfRstSynFinAckForTheEvent) {
  const Table next = TableOf(kTcpTable);
  for (const Delivery& delivery : FewDeliveries(Family::kV4)) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    for (const char* from : {"ES", "SR", "FW", "LA"})
      for (int flags = 0; flags < 256; ++flags) {
        SCOPED_TRACE(absl::StrCat("flags ", flags, " in ", from));
        const std::string cell = absl::StrCat(" ", EventOf(flags), " ", from);
        Force(from);
        Frame frame = NextPacket(delivery);
        frame.tcp.flags = flags;
        bench.Run(frame);
        EXPECT_EQ(StateNow(),
                  next.at((delivery.is_masq() ? "IN" : "ONLY") + cell));
        if (!delivery.is_masq()) continue;
        Force(from);
        frame = ReplyPacket(delivery);
        frame.tcp.flags = flags;
        bench.Run(frame);
        EXPECT_EQ(StateNow(), next.at("OUT" + cell));
      }
  }
}

// Behind IPv6 extension headers, too (which Linux 6.12 gets wrong).
TEST_F(StateTable, FindsTheFlagsBehindExtensionHeaders) {
  for (const Delivery& delivery : FewDeliveries(Family::kV6)) {
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    Frame frame = FirstPacket(delivery);
    frame.ip.extensions = {HopByHopOptions(), DestOptions(Bytes(14))};
    bench.Run(frame);
    EXPECT_EQ(StateNow(), "SR");
    frame.tcp.flags = kAck;
    bench.Run(frame);
    EXPECT_EQ(StateNow(), "ES");
  }
}

// ---- SCTP: the event of a packet

class SctpEvent : public StateTable {
 protected:
  // The state after `chunks` in `from`.
  std::string After(const std::string& from,
                    const std::vector<SctpChunk>& chunks) {
    Force(from);
    bench.Run(SctpFrame(delivery_.client1(), delivery_.service1(), chunks));
    return StateNow();
  }
};

TEST_F(SctpEvent, IsThatOfTheFirstChunk) {
  const Table next = TableOf(kSctpTable);
  for (const Delivery& delivery : FewDeliveries(Family::kV4, Protocol::kSctp)) {
    Begin(delivery);
    const char* direction = delivery.is_masq() ? "IN" : "ONLY";
    for (const char* from : {"I1", "CE", "ES", "SS"})
      for (int type = 0; type < 256; ++type) {
        SCOPED_TRACE(absl::StrCat("chunk ", type, " in ", from));
        const std::string& to = next.at(
            absl::StrCat(direction, " ", EventOfChunk(type), " ", from));
        EXPECT_EQ(After(from, {{.type = static_cast<uint8_t>(type)}}), to);
        // What follows does not matter, but see below.
        EXPECT_EQ(After(from, {{.type = static_cast<uint8_t>(type)},
                               {.type = kSctpShutdown}}),
                  to);
      }
  }
}

TEST_F(SctpEvent, IsAnAbortBehindACookie) {
  Begin({.protocol = Protocol::kSctp});
  for (const uint8_t cookie : {kSctpCookieEcho, kSctpCookieAck})
    for (const size_t bytes : {0, 1, 2, 3, 4, 5, 100, 255, 256, 1000, 1400}) {
      SCOPED_TRACE(bytes);
      const SctpChunk first = {.type = cookie, .value = Pattern(bytes)};
      EXPECT_EQ(After("ES", {first, {.type = kSctpAbort}}), "CL");
      EXPECT_EQ(After("ES", {first, {.type = kSctpData}}), "ES");
      EXPECT_EQ(After("ES", {first}), "ES");
      // Only of the second.
      EXPECT_EQ(After("ES", {first, {.type = kSctpData}, {.type = kSctpAbort}}),
                "ES");
    }
  // Not behind others.
  EXPECT_EQ(After("ES", {{.type = kSctpData}, {.type = kSctpAbort}}), "ES");
}

// A length that says less than its own header, or more than there is, is not
// followed.
TEST_F(SctpEvent, DoesNotFollowALengthThatCannotBe) {
  Begin({.protocol = Protocol::kSctp});
  // As if aborts were wherever one looks.
  const Bytes aborts(64, kSctpAbort);
  for (int bytes : {0, 1, 2, 3, 100, 2000, 2048, 2052, 0x7fff, 0xffff}) {
    SCOPED_TRACE(bytes);
    EXPECT_EQ(After("ES", {{.type = kSctpCookieEcho,
                            .value = aborts,
                            .length_bytes = static_cast<uint16_t>(bytes)}}),
              "ES");
  }
  // The same where all of it is there.
  SctpChunk jumbo = {.type = kSctpCookieEcho, .value = Bytes(4000, kSctpAbort)};
  EXPECT_EQ(After("ES", {jumbo}), "ES");
}

TEST_F(SctpEvent, BeginsAConnectionOnlyIfInit) {
  for (const Delivery& delivery : FewDeliveries(Family::kV4, Protocol::kSctp)) {
    Begin(delivery);
    for (int type = 0; type < 256; ++type) {
      SCOPED_TRACE(type);
      Frame in = FirstPacket(delivery);
      in.sctp.chunks[0].type = type;
      if (type == kSctpInit)
        ExpectDelivered(bench, delivery, in);
      else
        ExpectUntouched(bench, in, XLVS_STEP_pass_no_conn);
      if (type == kSctpInit) {
        EXPECT_EQ(StateNow(), "I1");
        EXPECT_EQ(bench.Counts(dest_), "0/1");
        Conn()->life.expires_ticks = bench.now();
      }
    }
  }
}

// ---- walks

struct Step {
  bool reply;
  const char* chunk;
  const char* state;
  const char* counts;
};

TEST_F(SctpEvent, WalksThroughAnAssociation) {
  const std::vector<Step> masq = {{false, "init", "I1", "0/1"},
                                  {true, "init_ack", "CS", "0/1"},
                                  {false, "cookie_echo", "CR", "0/1"},
                                  {true, "cookie_ack", "ES", "1/0"},
                                  {false, "data", "ES", "1/0"},
                                  {true, "data", "ES", "1/0"},
                                  {false, "shutdown", "SR", "0/1"},
                                  {true, "shutdown_ack", "SA", "0/1"},
                                  {false, "shutdown_complete", "CL", "0/1"}};
  const std::vector<Step> one_way = {{false, "init", "I1", "0/1"},
                                     {false, "cookie_echo", "ES", "1/0"},
                                     {false, "data", "ES", "1/0"},
                                     {false, "shutdown", "SR", "0/1"},
                                     {false, "shutdown_complete", "CL", "0/1"}};
  for (const Family family : kFamilies)
    for (const Delivery& delivery : FewDeliveries(family, Protocol::kSctp)) {
      SCOPED_TRACE(NameOf(delivery));
      Begin(delivery);
      for (const Step& step : delivery.is_masq() ? masq : one_way) {
        SCOPED_TRACE(step.chunk);
        bench.Run(Packet(step.chunk, step.reply));
        EXPECT_EQ(StateNow(), step.state);
        EXPECT_EQ(bench.Counts(dest_), step.counts);
      }
    }
}

// Of Route and Tunnel, TCP (seen on a kernel's IPVS).
TEST_F(StateTable, WalksThroughAOneSidedConnection) {
  for (const Delivery& delivery : FewDeliveries(Family::kV4)) {
    if (delivery.is_masq()) continue;
    SCOPED_TRACE(NameOf(delivery));
    Begin(delivery);
    const std::pair<const char*, const char*> steps[] = {
        {"syn", "SR 1/0"}, {"ack", "ES 1/0"}, {"fin", "FW 0/1"},
        {"ack", "FW 0/1"}, {"syn", "SR 1/0"}, {"rst", "SR 1/0"}};
    for (const auto& [event, after] : steps) {
      bench.Run(Packet(event, false));
      EXPECT_EQ(absl::StrCat(StateNow(), " ", bench.Counts(dest_)), after);
    }
  }
}

}  // namespace
}  // namespace xlvs
