// SPDX-License-Identifier: Apache-2.0
//
// What commands leave in the maps, for packets to go by: maps/*.h says what
// belongs there.
#include <bpf/bpf.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/packet/fixture.h"

namespace xlvs {
namespace {

const IpAddr kVip = IpAddr::FromV4(0xc6336401);  // 198.51.100.1
const IpAddr kAnyV4 = IpAddr::FromV4(0);
constexpr uint32_t kMinute = 60 * XLVS_TICKS_PER_SECOND;

IpAddr Ip(const std::string& text) {
  return Must(IpAddr::Parse(text));
}

ServiceKey TcpKey(uint16_t vport) {
  return {.vaddr = kVip, .vport = vport, .protocol = Protocol::kTcp};
}

ServiceKey MarkKey(uint32_t fwmark, const IpAddr& family = kAnyV4) {
  return {
      .vaddr = family, .vport = 0, .protocol = Protocol::kIp, .fwmark = fwmark};
}

Dest DestAt(const std::string& addr, uint16_t port) {
  Dest dest;
  dest.key = {.daddr = Ip(addr), .dport = port};
  return dest;
}

MarkRule Rule(uint32_t fwmark, const std::string& network, uint32_t prefix_bits,
              uint16_t port_first = 0, uint16_t port_last = 65535) {
  return {.fwmark = fwmark,
          .protocol = Protocol::kTcp,
          .network = Ip(network),
          .prefix_bits = prefix_bits,
          .port_first = port_first,
          .port_last = port_last};
}

std::string MaskText(const xlvs_addr& mask) {
  return IpAddr(mask).ToString();
}

class ConfigurationTest : public PacketTest {
 protected:
  ConfigurationTest()
      : pools_(Map<xlvs_pool>("pools")), marks_(Map<xlvs_mark>("marks")) {
    config_ = OpenAgain();
  }

  // As the next command finds it.
  std::unique_ptr<MapDirector> OpenAgain() {
    return Must(MapDirector::Open(
        bench.instance(), /*for_writing=*/true, {},
        [](const IpAddr&) -> absl::StatusOr<Route> { return Route(); }));
  }

  template <typename T>
  Mapped<T> Map(const char* pin) {
    return Must(bench.instance().MapArray<T>(pin, true));
  }

  const xlvs_pool& PoolOf(const ServiceKey& key) {
    return pools_[RawOf(key).id];
  }

  xlvs_service RawOf(const ServiceKey& key) {
    auto map = Must(HashMap<xlvs_service_key, xlvs_service>::Open(
        Must(bench.instance().OpenPin("services"))));
    for (const auto& [raw, service] : Must(map.Entries()))
      if (IpAddr(raw.vaddr) == key.vaddr && raw.vport == key.vport &&
          raw.l4_proto == static_cast<uint8_t>(key.protocol) &&
          raw.fwmark == key.fwmark)
        return service;
    ADD_FAILURE() << "no such service";
    return {};
  }

  // The id of the dest at this address and port that is not removed.
  uint32_t IdOf(const std::string& addr, uint16_t port) {
    for (uint32_t id = 1; id < bench.dests.size(); ++id)
      if (bench.dests[id].state == XLVS_DEST_available &&
          IpAddr(bench.dests[id].daddr) == Ip(addr) &&
          bench.dests[id].dport == port)
        return id;
    ADD_FAILURE() << "no dest " << addr;
    return 0;
  }

  // A record in the table, where no packet will look for it.
  xlvs_conn& Put(uint32_t bucket, const std::string& caddr, uint16_t cport,
                 uint16_t vport, uint32_t dest, xlvs_conn_state state,
                 uint8_t flags = 0, uint16_t holds = 0,
                 uint32_t lives_ticks = kMinute) {
    xlvs_conn& conn = bench.conns[bucket].conn[0];
    conn.caddr = Ip(caddr).raw();
    conn.ports = {.cport = cport, .vport = vport, .dest = dest};
    conn.life = {.expires_ticks = bench.now() + lives_ticks,
                 .state = state,
                 .flags = flags,
                 .nexthop = holds};
    return conn;
  }

  void SetPersistent(uint32_t dest, int32_t templates) {
    auto counters = bench.CountersByCpu(dest);
    counters[0].persistent = templates;
    const UniqueFd fd = Must(bench.instance().OpenPin("counters"));
    ASSERT_EQ(bpf_map_update_elem(fd.get(), &dest, counters.data(), 0), 0);
  }

  // Whose side of a connection the address is on, as packets see it.
  uint32_t RolesOf(const std::string& addr) {
    const auto locals = Map<xlvs_local>("locals");
    for (uint32_t i = 0; i < locals.size(); ++i)
      if (IpAddr(locals[i].addr) == Ip(addr) && locals[i].port == 0)
        return locals[i].roles;
    return 0;
  }

  std::vector<std::string> WideNetworks() {
    auto wide = Must(HashMap<xlvs_wide_key, __u32>::Open(
        Must(bench.instance().OpenPin("wide"))));
    std::vector<std::string> networks;
    for (const auto& [key, value] : Must(wide.Entries()))
      networks.push_back(absl::StrCat(IpAddr(xlvs_addr(key.addr)).ToString(),
                                      "/", key.prefix_bits));
    std::sort(networks.begin(), networks.end());
    return networks;
  }

  // "5 203.0.113.0/24 80-90", in their order in the map.
  std::vector<std::string> MarksInMap() {
    std::vector<std::string> texts;
    for (uint32_t i = 0; i < bench.control[0].marks; ++i)
      texts.push_back(
          absl::StrCat(marks_[i].fwmark, " ", IpAddr(marks_[i].addr).ToString(),
                       " ", marks_[i].port_first, "-", marks_[i].port_last));
    return texts;
  }

  uint32_t SettingInMap(uint32_t xlvs_settings::*field) {
    return bench.control[0].set.*field;
  }

  MapDirector& config() { return *config_; }

  Mapped<xlvs_pool> pools_;
  Mapped<xlvs_mark> marks_;
  std::unique_ptr<MapDirector> config_;
};

// ---- persistence

TEST_F(ConfigurationTest, APersistentServiceIsSoInItsPool) {
  const Service service = {.key = TcpKey(80),
                           .scheduler = Scheduler::kRr,
                           .persistent_s = 360,
                           .persist_mask = 0xffffff00};
  Must(config().AddService(service));
  const xlvs_pool& pool = PoolOf(service.key);
  EXPECT_EQ(pool.flags, XLVS_SERVICE_persistent);
  EXPECT_EQ(RawOf(service.key).flags, XLVS_SERVICE_persistent);
  EXPECT_EQ(pool.persist_ticks, 360u * XLVS_TICKS_PER_SECOND);
  EXPECT_EQ(pool.vport, 80u);
  EXPECT_EQ(MaskText(pool.persist_mask),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00");
  EXPECT_EQ(Must(OpenAgain()->FindService(service.key)).service, service);
}

TEST_F(ConfigurationTest, AMaskOfAnIpv6ServiceIsAPrefix) {
  const ServiceKey key = {.vaddr = Ip("2001:db8::1"), .vport = 80};
  const Service service = {.key = key, .persistent_s = 60, .persist_mask = 56};
  Must(config().AddService(service));
  EXPECT_EQ(MaskText(PoolOf(key).persist_mask), "ffff:ffff:ffff:ff00::");
  EXPECT_EQ(Must(OpenAgain()->FindService(key)).service, service);
}

TEST_F(ConfigurationTest, OnePacketAndTheSchedulersFlagsComeBackAsGiven) {
  const Service service = {
      .key = {.vaddr = kVip, .vport = 53, .protocol = Protocol::kUdp},
      .scheduler = Scheduler::kSh,
      .sched_flags = kSchedFlag1 | kSchedFlag2,
      .one_packet = true,
      .persistent_s = 30};
  Must(config().AddService(service));
  EXPECT_EQ(PoolOf(service.key).flags,
            XLVS_SERVICE_persistent | XLVS_SERVICE_one_packet |
                XLVS_SERVICE_sched_1 | XLVS_SERVICE_sched_2);
  EXPECT_EQ(Must(OpenAgain()->FindService(service.key)).service, service);
}

TEST_F(ConfigurationTest, EditingPersistenceKeepsTheListAndThePosition) {
  Service service = {.key = TcpKey(80), .scheduler = Scheduler::kRr};
  Must(config().AddService(service));
  Must(config().AddDest(service.key, DestAt("10.0.0.1", 8080)));
  pools_[RawOf(service.key).id].position.last = 0;
  const xlvs_list list = PoolOf(service.key).list;
  service.persistent_s = 120;
  service.persist_mask = 0xffff0000;
  Must(config().EditService(service));
  EXPECT_EQ(PoolOf(service.key).list.first_chunk, list.first_chunk);
  EXPECT_EQ(PoolOf(service.key).position.last, 0u);
  EXPECT_EQ(PoolOf(service.key).flags, XLVS_SERVICE_persistent);
  EXPECT_EQ(Must(config().FindService(service.key)).service, service);
}

TEST_F(ConfigurationTest, AnotherMaskReleasesConnectionsFromTheirTemplates) {
  Service service = {.key = TcpKey(80), .persistent_s = 120};
  Must(config().AddService(service));
  Must(config().AddDest(service.key, DestAt("10.0.0.1", 8080)));
  Service other = {.key = TcpKey(81), .persistent_s = 120};
  Must(config().AddService(other));
  Must(config().AddDest(other.key, DestAt("10.0.0.2", 8080)));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  const uint32_t other_id = IdOf("10.0.0.2", 8080);
  constexpr uint8_t kHeld = XLVS_CONN_controlled | XLVS_CONN_routed;
  const auto& conn = Put(0, "192.0.2.1", 4000, 80, id,
                         XLVS_CONN_tcp_established, kHeld, /*nexthop=*/7);
  const auto& its_template =
      Put(1, "192.0.2.1", 0, 80, id, XLVS_CONN_template_assured, 0, 3);
  const auto& by_mark_address =
      Put(2, "192.0.2.2", 4000, 80, id | 9u << XLVS_CONN_DEST_BITS,
          XLVS_CONN_udp, kHeld);
  const auto& others =
      Put(3, "192.0.2.1", 4001, 81, other_id, XLVS_CONN_tcp_established, kHeld);
  const auto& others_template =
      Put(4, "192.0.2.1", 0, 81, other_id, XLVS_CONN_template_none, 0, 2);

  service.persistent_s = 240;  // longer: nothing is looked for elsewhere
  Must(config().EditService(service));
  EXPECT_EQ(its_template.life.nexthop, 3);
  service.persist_mask = 0xffffff00;
  Must(config().EditService(service));
  EXPECT_EQ(conn.life.flags, XLVS_CONN_routed | XLVS_CONN_was_controlled);
  EXPECT_EQ(conn.life.nexthop, 7);
  EXPECT_EQ(its_template.life.nexthop, 0);
  EXPECT_EQ(by_mark_address.life.flags, XLVS_CONN_routed);
  EXPECT_EQ(others.life.flags, kHeld);
  EXPECT_EQ(others_template.life.nexthop, 2);
  EXPECT_EQ(PoolOf(service.key).flags, XLVS_SERVICE_persistent);
}

TEST_F(ConfigurationTest, DeletingAPersistentServiceReleasesItsConnections) {
  for (const bool all : {false, true}) {
    Must(config().AddService({.key = TcpKey(80), .persistent_s = 120}));
    Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
    const uint32_t id = IdOf("10.0.0.1", 8080);
    const auto& conn =
        Put(0, "192.0.2.1", 4000, 80, id, XLVS_CONN_udp, XLVS_CONN_controlled);
    const auto& its_template =
        Put(1, "192.0.2.1", 0, 80, id, XLVS_CONN_template_none, 0, 1);
    Must(all ? config().Clear() : config().DeleteService(TcpKey(80)));
    EXPECT_EQ(conn.life.flags, 0);
    EXPECT_EQ(its_template.life.nexthop, 0);
    EXPECT_EQ(bench.control[0].services, 0u);
  }
}

TEST_F(ConfigurationTest, ADeletionCutShortReleasesConnectionsLater) {
  Must(config().AddService({.key = TcpKey(80), .persistent_s = 120}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  const auto& its_template =
      Put(1, "192.0.2.1", 0, 80, id, XLVS_CONN_template_none, 0, 1);
  auto map = Must(HashMap<xlvs_service_key, xlvs_service>::Open(
      Must(bench.instance().OpenPin("services"))));
  Must(map.Erase(Must(map.Entries())[0].first));
  bench.control[0].unfinished = 1;
  OpenAgain();
  EXPECT_EQ(its_template.life.nexthop, 0);
  EXPECT_EQ(bench.dests[id].state, XLVS_DEST_removed);
  EXPECT_EQ(bench.dests[id].service, 0u);
  EXPECT_EQ(bench.control[0].services, 0u);
  EXPECT_EQ(bench.control[0].unfinished, 0u);
}

TEST_F(ConfigurationTest, ARemovedServerStaysWhileTemplatesNameIt) {
  Must(config().AddService({.key = TcpKey(80), .persistent_s = 120}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  SetPersistent(id, 1);
  EXPECT_EQ(Must(config().FindService(TcpKey(80))).dests[0].persistent_conns,
            1);
  Must(config().DeleteDest(TcpKey(80), {Ip("10.0.0.1"), 8080}));
  bench.AdvanceSeconds(3600);
  OpenAgain();
  EXPECT_EQ(bench.dests[id].state, XLVS_DEST_removed);
  SetPersistent(id, 0);
  OpenAgain();
  EXPECT_EQ(bench.dests[id].state, XLVS_DEST_free);
}

// ---- many commands

TEST_F(ConfigurationTest, ABatchPublishesAServicesListOnce) {
  const auto list_of = [&] {
    std::vector<std::string> addrs;
    const xlvs_list list = PoolOf(TcpKey(80)).list;
    const auto slots = Map<xlvs_slots>("slots");
    for (uint32_t i = 0; i < list.count; ++i) {
      const uint32_t id = slots[list.first_chunk + i / XLVS_SLOTS_PER_CHUNK]
                              .slot[i % XLVS_SLOTS_PER_CHUNK]
                              .dest;
      addrs.push_back(IpAddr(bench.dests[id].daddr).ToString());
    }
    return absl::StrJoin(addrs, " ");
  };
  Must(config().AddService({.key = TcpKey(80), .scheduler = Scheduler::kRr}));
  config().BeginBatch();
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 80)));
  EXPECT_EQ(list_of(), "10.0.0.1");
  EXPECT_EQ(bench.control[0].unfinished, 0u);
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.2", 80)));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.3", 80)));
  EXPECT_EQ(list_of(), "10.0.0.1");
  EXPECT_EQ(bench.control[0].unfinished, 1u) << "if it ended here";
  EXPECT_EQ(Must(config().FindService(TcpKey(80))).dests.size(), 3u);
  Must(config().DeleteDest(TcpKey(80), {Ip("10.0.0.2"), 80}));
  EXPECT_EQ(list_of(), "10.0.0.3 10.0.0.1");
  EXPECT_EQ(bench.control[0].unfinished, 0u);
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.4", 80)));
  Must(config().EndBatch());
  EXPECT_EQ(list_of(), "10.0.0.4 10.0.0.3 10.0.0.1");
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.5", 80)));
  EXPECT_EQ(list_of(), "10.0.0.5 10.0.0.4 10.0.0.3 10.0.0.1");
}

TEST_F(ConfigurationTest, ABatchPublishesAServicesListBeforeTheNextService) {
  Must(config().AddService({.key = TcpKey(80)}));
  Must(config().AddService({.key = TcpKey(81)}));
  config().BeginBatch();
  for (const char* addr : {"10.0.0.1", "10.0.0.2", "10.0.0.3"})
    Must(config().AddDest(TcpKey(80), DestAt(addr, 80)));
  Must(config().AddDest(TcpKey(81), DestAt("10.0.0.1", 80)));
  EXPECT_EQ(PoolOf(TcpKey(80)).list.count, 3u);
  Must(config().AddDest(TcpKey(81), DestAt("10.0.0.2", 80)));
  config_.reset();
  config_ = OpenAgain();
  EXPECT_EQ(PoolOf(TcpKey(81)).list.count, 2u);
}

TEST_F(ConfigurationTest, ServersThatWereJustRemovedMakeRoomForOthers) {
  Must(config().AddService({.key = TcpKey(80)}));
  const auto fill = [&](const char* network) {
    for (uint32_t i = 1; i < bench.dests.size(); ++i)
      Must(config().AddDest(TcpKey(80),
                            DestAt(absl::StrCat(network, ".", i), 80)));
  };
  fill("10.0.0");
  EXPECT_TRUE(absl::IsResourceExhausted(
      config().AddDest(TcpKey(80), DestAt("10.0.1.1", 80))));
  Must(config().Clear());
  Must(config().AddService({.key = TcpKey(80)}));
  fill("10.0.1");
}

// ---- thresholds

TEST_F(ConfigurationTest, ThresholdsAreTheDestsAndThePoolKnowsOfThem) {
  Must(config().AddService({.key = TcpKey(80)}));
  Dest dest = DestAt("10.0.0.1", 8080);
  dest.u_threshold = 100;
  dest.l_threshold = 50;
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.2", 8080)));
  EXPECT_EQ(PoolOf(TcpKey(80)).limited, 0u);
  Must(config().AddDest(TcpKey(80), dest));
  const xlvs_dest& record = bench.dests[IdOf("10.0.0.1", 8080)];
  EXPECT_EQ(record.upper, 100u);
  EXPECT_EQ(record.lower, 50u);
  EXPECT_TRUE(record.flags & XLVS_DEST_limited);
  EXPECT_EQ(PoolOf(TcpKey(80)).limited, 1u);
  EXPECT_EQ(Must(OpenAgain()->FindService(TcpKey(80))).dests[0].dest, dest);

  Must(config().EditDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
  EXPECT_FALSE(record.flags & XLVS_DEST_limited);
  EXPECT_EQ(PoolOf(TcpKey(80)).limited, 0u);
  Must(config().EditDest(TcpKey(80), dest));
  EXPECT_EQ(PoolOf(TcpKey(80)).limited, 1u);
  Must(config().DeleteDest(TcpKey(80), dest.key));
  EXPECT_EQ(PoolOf(TcpKey(80)).limited, 0u);
}

TEST_F(ConfigurationTest, AnEditedThresholdGoesByTheConnectionsThatThereAre) {
  Must(config().AddService({.key = TcpKey(80)}));
  Dest dest = DestAt("10.0.0.1", 8080);
  Must(config().AddDest(TcpKey(80), dest));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  auto by_cpu = bench.CountersByCpu(id);
  by_cpu[0].active = by_cpu.back().inactive = 30;
  const UniqueFd counters = Must(bench.instance().OpenPin("counters"));
  ASSERT_EQ(bpf_map_update_elem(counters.get(), &id, by_cpu.data(), 0), 0);
  const auto overloaded_after = [&](uint32_t upper, uint32_t lower) {
    dest.u_threshold = upper;
    dest.l_threshold = lower;
    Must(config().EditDest(TcpKey(80), dest));
    return bench.dests[id].overloaded != 0;
  };
  EXPECT_FALSE(overloaded_after(61, 0));
  EXPECT_TRUE(overloaded_after(60, 0));
  EXPECT_TRUE(overloaded_after(80, 60));
  EXPECT_TRUE(overloaded_after(80, 0));
  EXPECT_FALSE(overloaded_after(81, 0));
  EXPECT_TRUE(overloaded_after(1, 0));
  EXPECT_FALSE(overloaded_after(0, 0));
}

TEST_F(ConfigurationTest, ALowerThresholdAboveTheUpperIsRefused) {
  Must(config().AddService({.key = TcpKey(80)}));
  Dest dest = DestAt("10.0.0.1", 8080);
  dest.u_threshold = 4;
  dest.l_threshold = 5;
  EXPECT_TRUE(absl::IsOutOfRange(config().AddDest(TcpKey(80), dest)));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
  EXPECT_TRUE(absl::IsOutOfRange(config().EditDest(TcpKey(80), dest)));
}

// ---- services by mark

TEST_F(ConfigurationTest, AServiceByMarkMakesNoAddressOurs) {
  Must(config().AddService({.key = MarkKey(5)}));
  Must(config().AddDest(MarkKey(5), DestAt("10.0.0.1", 80)));
  const xlvs_dest& dest = bench.dests[IdOf("10.0.0.1", 80)];
  EXPECT_EQ(dest.fwmark, 5u);
  EXPECT_EQ(IpAddr(dest.vaddr), kAnyV4);
  EXPECT_EQ(dest.l4_proto, 0);
  EXPECT_EQ(RolesOf("0.0.0.0"), 0u);
  EXPECT_EQ(RolesOf("10.0.0.1"), XLVS_LOCAL_dest);
  const auto again = OpenAgain();
  EXPECT_EQ(Must(again->FindService(MarkKey(5))).dests.size(), 1u);
  Must(again->DeleteDest(MarkKey(5), {Ip("10.0.0.1"), 80}));
  Must(again->AddDest(MarkKey(5), DestAt("10.0.0.1", 80)));
  EXPECT_EQ(dest.state, XLVS_DEST_available);
}

TEST_F(ConfigurationTest, MarksOfBothFamiliesAndOthersAreServicesApart) {
  Must(config().AddService({.key = MarkKey(5)}));
  Must(config().AddService({.key = MarkKey(5, IpAddr())}));
  Must(config().AddService({.key = MarkKey(6)}));
  Must(config().AddDest(MarkKey(6), DestAt("10.0.0.1", 80)));
  const auto again = OpenAgain();
  EXPECT_EQ(again->services_in_use(), 3u);
  EXPECT_EQ(Must(again->FindService(MarkKey(5))).dests.size(), 0u);
  EXPECT_EQ(Must(again->FindService(MarkKey(6))).dests.size(), 1u);
}

TEST_F(ConfigurationTest, RulesStandInTheOrderOfTheirAdding) {
  Must(config().AddMark(Rule(5, "203.0.113.1", 32, 80, 90)));
  Must(config().AddMark(Rule(6, "203.0.113.0", 24)));
  Must(config().AddMark(Rule(7, "203.0.113.2", 32, 443, 443)));
  EXPECT_EQ(MarksInMap(), (std::vector<std::string>{"5 203.0.113.1 80-90",
                                                    "6 203.0.113.0 0-65535",
                                                    "7 203.0.113.2 443-443"}));
  EXPECT_EQ(MaskText(marks_[1].mask),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00");
  EXPECT_EQ(marks_[1].l4_proto, 6);
  EXPECT_TRUE(
      absl::IsAlreadyExists(config().AddMark(Rule(6, "203.0.113.0", 24))));

  Must(config().DeleteMark(Rule(6, "203.0.113.0", 24)));
  EXPECT_EQ(MarksInMap(), (std::vector<std::string>{"5 203.0.113.1 80-90",
                                                    "7 203.0.113.2 443-443"}));
  EXPECT_EQ(marks_[2].fwmark, 0u);
  EXPECT_TRUE(
      absl::IsNotFound(config().DeleteMark(Rule(6, "203.0.113.0", 24))));
  EXPECT_EQ(Must(OpenAgain()->Marks()),
            (std::vector<MarkRule>{Rule(5, "203.0.113.1", 32, 80, 90),
                                   Rule(7, "203.0.113.2", 32, 443, 443)}));
}

TEST_F(ConfigurationTest, ARulesAddressesAreOursWhileAnyRuleHasThem) {
  Must(config().AddMark(Rule(5, "203.0.113.4", 30)));
  Must(config().AddMark(Rule(6, "203.0.113.5", 32)));
  EXPECT_EQ(RolesOf("203.0.113.3"), 0u);
  for (const char* addr :
       {"203.0.113.4", "203.0.113.5", "203.0.113.6", "203.0.113.7"})
    EXPECT_EQ(RolesOf(addr), XLVS_LOCAL_virtual) << addr;
  EXPECT_EQ(RolesOf("203.0.113.8"), 0u);
  const auto again = OpenAgain();
  Must(again->ClearMarks(5));
  EXPECT_EQ(RolesOf("203.0.113.4"), 0u);
  EXPECT_EQ(RolesOf("203.0.113.5"), XLVS_LOCAL_virtual);
  EXPECT_EQ(MarksInMap(), std::vector<std::string>{"6 203.0.113.5 0-65535"});
  Must(again->ClearMarks(std::nullopt));
  EXPECT_EQ(RolesOf("203.0.113.5"), 0u);
  EXPECT_EQ(bench.control[0].marks, 0u);
}

TEST_F(ConfigurationTest, ALargeNetworkIsOneEntryHoweverManyRulesNameIt) {
  Must(config().AddMark(Rule(5, "203.0.0.0", 16, 80, 80)));
  Must(config().AddMark(Rule(6, "203.0.0.0", 16, 443, 443)));
  Must(config().AddMark(Rule(7, "2001:db8::", 32)));
  Must(config().AddMark(Rule(8, "2001:db8:1::f00", 120)));
  const std::vector<std::string> both = {"2001:db8::/32", "203.0.0.0/112"};
  EXPECT_EQ(WideNetworks(), both);
  EXPECT_EQ(bench.control[0].wide_marks, 2u);
  EXPECT_EQ(RolesOf("203.0.0.0"), 0u);
  EXPECT_EQ(RolesOf("2001:db8:1::fff"), XLVS_LOCAL_virtual);
  const auto again = OpenAgain();
  Must(again->DeleteMark(Rule(5, "203.0.0.0", 16, 80, 80)));
  EXPECT_EQ(WideNetworks(), both);
  Must(again->DeleteMark(Rule(6, "203.0.0.0", 16, 443, 443)));
  EXPECT_EQ(WideNetworks(), std::vector<std::string>{"2001:db8::/32"});
  EXPECT_EQ(bench.control[0].wide_marks, 1u);
}

TEST_F(ConfigurationTest, ARuleTooManyIsRefusedAndChangesNothing) {
  for (uint32_t i = 0; i < XLVS_MARKS; ++i)
    Must(config().AddMark(Rule(i + 1, "203.0.113.1", 32)));
  const absl::Status full = config().AddMark(Rule(5, "203.0.113.2", 32));
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_EQ(RolesOf("203.0.113.2"), 0u);
  EXPECT_EQ(bench.control[0].marks, XLVS_MARKS);
}

TEST_F(ConfigurationTest, ARuleWithMoreAddressesThanFitIsTakenBackWhole) {
  // The table has 1,024 entries here.
  absl::Status status;
  uint32_t network = 0;
  for (; status.ok() && network < 16; ++network)
    status =
        config().AddMark(Rule(5, absl::StrCat("203.0.", network, ".0"), 24));
  ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(bench.control[0].marks, network - 1);
  for (const int host : {0, 100, 255})
    EXPECT_EQ(RolesOf(absl::StrCat("203.0.", network - 1, ".", host)), 0u);
  EXPECT_EQ(RolesOf("203.0.0.0"), XLVS_LOCAL_virtual);
}

TEST_F(ConfigurationTest, ARuleCutShortIsMendedByTheNextCommand) {
  Must(config().AddMark(Rule(5, "203.0.113.1", 32)));
  Must(config().AddMark(Rule(6, "203.0.0.0", 16)));
  Must(config().AddMark(Rule(7, "203.0.113.3", 32)));
  // As the deletion of the first leaves it half way, with addresses that no
  // rule has, and a network.
  marks_[0] = marks_[1];
  marks_[1].port_first = 1;
  marks_[1].port_last = 0;
  bench.control[0].marks = 0;
  bench.control[0].wide_marks = 9;
  auto wide = Must(HashMap<xlvs_wide_key, __u32>::Open(
      Must(bench.instance().OpenPin("wide"))));
  xlvs_wide_key stray = {};
  stray.prefix_bits = 112;
  stray.addr = Ip("198.18.0.0").raw();
  Must(wide.Put(stray, 0));
  bench.control[0].unfinished = 1;

  const auto again = OpenAgain();
  EXPECT_EQ(MarksInMap(), (std::vector<std::string>{"6 203.0.0.0 0-65535",
                                                    "7 203.0.113.3 0-65535"}));
  EXPECT_EQ(RolesOf("203.0.113.1"), 0u);
  EXPECT_EQ(RolesOf("203.0.113.3"), XLVS_LOCAL_virtual);
  EXPECT_EQ(WideNetworks(), std::vector<std::string>{"203.0.0.0/112"});
  EXPECT_EQ(bench.control[0].wide_marks, 1u);
  Must(again->AddMark(Rule(8, "203.0.113.4", 32)));
  EXPECT_EQ(bench.control[0].marks, 3u);
}

TEST_F(ConfigurationTest, FtpServicesAreCounted) {
  Must(config().AddService({.key = TcpKey(21)}));
  Must(config().AddService({.key = TcpKey(80)}));
  Must(config().AddService({.key = {kVip, 21, Protocol::kUdp}}));
  EXPECT_EQ(bench.control[0].ftp_services, 1u);
  Must(config().DeleteService(TcpKey(21)));
  EXPECT_EQ(bench.control[0].ftp_services, 0u);
}

// ---- settings

TEST_F(ConfigurationTest, SettingsReachThePacketsByTheirName) {
  Must(config().Set("conn_reuse_mode", 2));
  EXPECT_EQ(SettingInMap(&xlvs_settings::conn_reuse_mode), 2u);
  EXPECT_TRUE(absl::IsNotFound(config().Set("no_such_thing", 1)));
  EXPECT_TRUE(absl::IsOutOfRange(config().Set("drop_entry", 4)));
  EXPECT_TRUE(absl::IsOutOfRange(config().Set("am_droprate", 0)));
  EXPECT_EQ(SettingInMap(&xlvs_settings::am_droprate), 10u);
  const auto settings = Must(OpenAgain()->Settings());
  ASSERT_EQ(settings.size(), size_t{XLVS_SETTINGS_COUNT});
  EXPECT_EQ(settings[2].name, "conn_reuse_mode");
  EXPECT_EQ(settings[2].value, 2u);
  EXPECT_EQ(settings[2].standard, 1u);
}

TEST_F(ConfigurationTest, EmbryonicConnectionsMayBeHalfTheTableUnlessTold) {
  // Of 1,000 connections. The fixture has it otherwise.
  for (const char* bound : {"embryonic_max", "service_embryonic_max"})
    Must(config().Set(bound, 0));
  EXPECT_EQ(SettingInMap(&xlvs_settings::embryonic_max), 500u);
  EXPECT_EQ(SettingInMap(&xlvs_settings::service_embryonic_max), 250u);
  Must(config().Set("embryonic_max", 10));
  EXPECT_EQ(SettingInMap(&xlvs_settings::embryonic_max), 10u);
  Must(config().Set("embryonic_max", 0));
  EXPECT_EQ(SettingInMap(&xlvs_settings::embryonic_max), 500u);
  for (const SettingView& setting : Must(config().Settings()))
    if (setting.name == "service_embryonic_max") {
      EXPECT_EQ(setting.value, 250u);
      EXPECT_EQ(setting.standard, 250u);
      EXPECT_TRUE(setting.by_table);
    }
}

TEST_F(ConfigurationTest, ConnectionsOfRemovedServersEndIfSoSet) {
  bench.clock[0].sweeps = 7;
  Must(config().AddService({.key = TcpKey(80)}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 80)));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.2", 80)));
  Must(config().DeleteDest(TcpKey(80), {Ip("10.0.0.1"), 80}));
  EXPECT_EQ(bench.control[0].flush_until_sweep, 0u);
  Must(config().Set("expire_nodest_conn", 1));
  Must(config().DeleteDest(TcpKey(80), {Ip("10.0.0.2"), 80}));
  EXPECT_EQ(bench.control[0].flush_until_sweep, 10u);
  bench.clock[0].sweeps = 20;
  Must(config().DeleteService(TcpKey(80)));
  EXPECT_EQ(bench.control[0].flush_until_sweep, 23u);
}

TEST_F(ConfigurationTest, AServersEmbryonicConnectionsFollowItToANewService) {
  Must(config().AddService({.key = TcpKey(80)}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 80)));
  uint32_t id = IdOf("10.0.0.1", 80);
  auto counters = bench.CountersByCpu(id);
  counters[0].active = counters[0].embryonic = 3;
  const UniqueFd fd = Must(bench.instance().OpenPin("counters"));
  ASSERT_EQ(bpf_map_update_elem(fd.get(), &id, counters.data(), 0), 0);
  Must(config().DeleteService(TcpKey(80)));
  Must(config().AddService({.key = TcpKey(80)}));
  EXPECT_EQ(PoolOf(TcpKey(80)).embryonic, 0);
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 80)));
  EXPECT_EQ(PoolOf(TcpKey(80)).embryonic, 3);
  Must(config().DeleteDest(TcpKey(80), {Ip("10.0.0.1"), 80}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 80)));
  EXPECT_EQ(PoolOf(TcpKey(80)).embryonic, 3);
}

// ---- listing connections

std::string Text(const ConnView& conn) {
  return absl::StrCat(Name(conn.protocol), " ", conn.expires_in_s, "s ",
                      std::string(conn.state), " ", conn.caddr.ToString(), " ",
                      conn.cport, " > ", conn.vaddr.ToString(), " ", conn.vport,
                      " > ", conn.daddr.ToString(), " ", conn.dport);
}

class ListTest : public ConfigurationTest {
 protected:
  std::string ListOf(const xlvs_conn& conn) {
    const auto views = Must(config().Conns());
    xlvs_conn& record = const_cast<xlvs_conn&>(conn);
    record.life = {};
    return views.size() == 1 ? Text(views[0])
                             : absl::StrCat(views.size(), " connections");
  }
};

TEST_F(ListTest, ATemplateIsListedWithItsServersPort) {
  Must(config().AddService({.key = TcpKey(80), .persistent_s = 120}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  EXPECT_EQ(ListOf(Put(0, "192.0.2.0", 0, 80, id, XLVS_CONN_template_none)),
            "tcp 60s NONE 192.0.2.0 0 > 198.51.100.1 80 > 10.0.0.1 8080");
  EXPECT_EQ(ListOf(Put(0, "192.0.2.0", 0, 80, id, XLVS_CONN_template_assured)),
            "tcp 60s ASSURED 192.0.2.0 0 > 198.51.100.1 80 > 10.0.0.1 8080");
  EXPECT_EQ(ListOf(Put(0, "192.0.2.0", 0, 80, id, XLVS_CONN_template_none,
                       XLVS_CONN_stale)),
            "tcp 60s NONE 192.0.2.0 0 > 198.51.100.1 65535 > 10.0.0.1 65535");
}

TEST_F(ListTest, ATemplateOfAServiceForAnyPortHasNoPorts) {
  Must(config().AddService({.key = TcpKey(0), .persistent_s = 120}));
  Must(config().AddDest(TcpKey(0), DestAt("10.0.0.1", 8080)));
  EXPECT_EQ(ListOf(Put(0, "192.0.2.0", 0, 0, IdOf("10.0.0.1", 8080),
                       XLVS_CONN_template_none)),
            "tcp 60s NONE 192.0.2.0 0 > 198.51.100.1 0 > 10.0.0.1 0");
}

TEST_F(ListTest, ATemplateOfAServiceByMarkHasTheMarkForAnAddress) {
  for (const IpAddr& family : {kAnyV4, IpAddr()}) {
    const char* dest = family.is_v4() ? "10.0.0.1" : "2001:db8::d";
    Must(config().AddService({.key = MarkKey(5, family), .persistent_s = 120}));
    Must(config().AddDest(MarkKey(5, family), DestAt(dest, 0)));
    EXPECT_EQ(
        ListOf(Put(0, dest, 0, 0, IdOf(dest, 0), XLVS_CONN_template_assured)),
        absl::StrCat("ip 60s ASSURED ", dest, " 0 > ",
                     family.is_v4() ? "0.0.0.5" : "0:5::", " 0 > ", dest,
                     " 0"));
  }
}

TEST_F(ListTest, ATemplateIsListedAsLongAsItHoldsConnections) {
  Must(config().AddService({.key = TcpKey(80), .persistent_s = 120}));
  Must(config().AddDest(TcpKey(80), DestAt("10.0.0.1", 8080)));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  const auto over = static_cast<uint32_t>(-5);
  EXPECT_EQ(ListOf(Put(0, "192.0.2.0", 0, 80, id, XLVS_CONN_template_none, 0,
                       /*holds=*/0, over)),
            "0 connections");
  EXPECT_EQ(ListOf(Put(0, "192.0.2.0", 0, 80, id, XLVS_CONN_template_none, 0,
                       /*holds=*/1, over)),
            "tcp 0s NONE 192.0.2.0 0 > 198.51.100.1 80 > 10.0.0.1 8080");
}

TEST_F(ListTest, AConnectionByMarkIsListedWithTheAddressThatItCameTo) {
  Must(config().AddService({.key = MarkKey(5)}));
  Must(config().AddDest(MarkKey(5), DestAt("10.0.0.1", 8080)));
  const uint32_t id = IdOf("10.0.0.1", 8080);
  const uint32_t index = 3 * XLVS_VADDRS_PER_BUCKET + 2;
  xlvs_vaddr_bucket bucket = {};
  bucket.entry[2] = {.addr = Ip("203.0.113.9").raw(), .refs = 1, .pad0 = 0};
  const UniqueFd fd = Must(bench.instance().OpenPin("vaddrs"));
  const uint32_t at = 3;
  ASSERT_EQ(bpf_map_update_elem(fd.get(), &at, &bucket, 0), 0);
  EXPECT_EQ(ListOf(Put(0, "192.0.2.1", 4000, 80,
                       id | index << XLVS_CONN_DEST_BITS, XLVS_CONN_udp)),
            "udp 60s UDP 192.0.2.1 4000 > 203.0.113.9 80 > 10.0.0.1 8080");
  EXPECT_EQ(
      ListOf(Put(0, "192.0.2.1", 4000, 80, id | index << XLVS_CONN_DEST_BITS,
                 XLVS_CONN_sctp_cookie)),
      "sctp 60s COOKIE 192.0.2.1 4000 > 203.0.113.9 80 > 10.0.0.1 8080");
}

TEST_F(ListTest, SomeConnectionsKeepTheirPort) {
  Must(config().AddService({.key = TcpKey(21), .persistent_s = 120}));
  Must(config().AddDest(TcpKey(21), DestAt("10.0.0.1", 2121)));
  const uint32_t id = IdOf("10.0.0.1", 2121);
  EXPECT_EQ(
      ListOf(Put(0, "192.0.2.1", 4000, 21, id, XLVS_CONN_tcp_established)),
      "tcp 60s ESTABLISHED 192.0.2.1 4000 > 198.51.100.1 21 > 10.0.0.1 "
      "2121");
  EXPECT_EQ(ListOf(Put(0, "192.0.2.1", 4001, 35000, id,
                       XLVS_CONN_tcp_established, XLVS_CONN_keeps_port)),
            "tcp 60s ESTABLISHED 192.0.2.1 4001 > 198.51.100.1 35000 > "
            "10.0.0.1 35000");
}

}  // namespace
}  // namespace xlvs
