// SPDX-License-Identifier: Apache-2.0
#include "tools/simulate.d/overflow.h"

#include <netinet/in.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>

#include "tools/simulate.d/place.h"

namespace xlvs::simulate {
namespace {

struct Client {
  uint32_t addr;
  uint16_t port;
};
using Flows = Client (*)(uint32_t flow, std::mt19937_64& random);

struct Pattern {
  const char* name;
  Flows flows;
};
constexpr Pattern kPatterns[] = {
    {"random addresses and ports",
     [](uint32_t, std::mt19937_64& random) {
       const uint64_t bits = random();
       return Client{static_cast<uint32_t>(bits),
                     static_cast<uint16_t>(bits >> 32)};
     }},
    {"neighbouring addresses, 4 ports each",
     [](uint32_t flow, std::mt19937_64&) {
       return Client{0x0a000000 + flow / 4,
                     static_cast<uint16_t>(1024 + flow % 4)};
     }},
    {"few addresses, 60,000 ports each",
     [](uint32_t flow, std::mt19937_64&) {
       return Client{0x0a000001 + flow / 60'000,
                     static_cast<uint16_t>(1024 + flow % 60'000)};
     }},
};

xlvs_addr V4Mapped(uint32_t addr) {
  xlvs_addr mapped = {};
  mapped.byte[10] = mapped.byte[11] = 0xff;
  const uint32_t addr_be = htonl(addr);
  std::memcpy(&mapped.byte[12], &addr_be, sizeof(addr_be));
  return mapped;
}

class Table {
 public:
  explicit Table(std::mt19937_64& random) : groups_(kTableBuckets) {
    config_.buckets = kTableBuckets;
    for (auto& key : config_.hash_key) key = random() | 1;
  }
  void Insert(Client client) {
    const xlvs_addr caddr = V4Mapped(client.addr);
    const simulated_place place =
        simulated_place_of(&config_, &caddr, client.port, IPPROTO_TCP);
    auto& groups = groups_[place.bucket];
    for (uint32_t i = 0; i < XLVS_GROUPS_PER_BUCKET; ++i) {
      uint8_t& used = groups[(place.home + i) % XLVS_GROUPS_PER_BUCKET];
      if (used == XLVS_CONNS_PER_GROUP) continue;
      ++used;
      ++placed_;
      if (i > 0) ++outside_;
      return;
    }
    ++refused_;
    full_.resize(kTableBuckets);
    if (!full_[place.bucket]) ++full_buckets_;
    full_[place.bucket] = true;
  }
  void AddTo(Overflow& sum) const {
    sum.refused += static_cast<double>(refused_) / (placed_ + refused_);
    sum.full_buckets += static_cast<double>(full_buckets_) / kTableBuckets;
    sum.outside_home += static_cast<double>(outside_) / placed_;
  }

 private:
  xlvs_config config_ = {};
  std::vector<std::array<uint8_t, XLVS_GROUPS_PER_BUCKET>> groups_;
  std::vector<bool> full_;
  uint64_t placed_ = 0, outside_ = 0, refused_ = 0, full_buckets_ = 0;
};

}  // namespace

std::vector<double> Loads() {
  std::vector<double> loads;
  for (int percent = 30; percent <= 100; percent += 5) {
    loads.push_back(percent / 100.0);
    if (percent == 40)
      loads.push_back(static_cast<double>(XLVS_CONNS_PER_BUCKET_PLANNED) /
                      XLVS_CONNS_PER_BUCKET);
  }
  return loads;
}

std::vector<Overflow> SimulateOverflow(uint32_t keys) {
  constexpr uint32_t kSlots = kTableBuckets * XLVS_CONNS_PER_BUCKET;
  const std::vector<double> loads = Loads();
  std::vector<Overflow> results;
  std::mt19937_64 random(1);
  for (const Pattern& pattern : kPatterns) {
    std::vector<Overflow> sums(loads.size());
    for (uint32_t key = 0; key < keys; ++key) {
      Table table(random);
      uint32_t flow = 0;
      for (size_t i = 0; i < loads.size(); ++i) {
        for (; flow < loads[i] * kSlots; ++flow)
          table.Insert(pattern.flows(flow, random));
        table.AddTo(sums[i]);
      }
    }
    for (size_t i = 0; i < loads.size(); ++i)
      results.push_back({.flows = pattern.name,
                         .load = loads[i],
                         .refused = sums[i].refused / keys,
                         .full_buckets = sums[i].full_buckets / keys,
                         .outside_home = sums[i].outside_home / keys});
  }
  return results;
}

Theory TheoryOf(double load) {
  const double mean = load * XLVS_CONNS_PER_BUCKET;
  Theory theory = {.load = load, .refused = 0, .full_buckets = 0};
  for (int n = XLVS_CONNS_PER_BUCKET + 1; n < 10 * XLVS_CONNS_PER_BUCKET; ++n) {
    const double p = std::exp(n * std::log(mean) - mean - std::lgamma(n + 1));
    theory.full_buckets += p;
    theory.refused += p * (n - XLVS_CONNS_PER_BUCKET) / mean;
  }
  return theory;
}

}  // namespace xlvs::simulate
