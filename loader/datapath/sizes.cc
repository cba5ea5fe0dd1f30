// SPDX-License-Identifier: Apache-2.0
#include "loader/datapath/sizes.h"

#include <algorithm>
#include <bit>
#include <random>

#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "maps/clock.h"
#include "maps/conn.h"
#include "maps/pool.h"

namespace xlvs {
namespace {

constexpr uint32_t kDefaultConns = 1'000'000;
constexpr uint32_t kDefaultServices = 4'096;
constexpr uint32_t kDefaultDests = 16'384;
constexpr uint32_t kDefaultHashTables = 1'024;  // 2 KiB each
constexpr uint32_t kDefaultMaglevTables = 64;   // 32 KiB each
constexpr uint32_t kMaxConns = 500'000'000;
constexpr uint32_t kMaxServices = 1'000'000;
constexpr uint32_t kMaxDests = XLVS_CONN_DEST_MASK;
constexpr uint32_t kMaxMaglevTables = 65'536;
// With few CPUs exact counts cost next to nothing; with many, every connection
// would pull the same cache lines around.
constexpr uint32_t kExactCountsCpus = 8;
constexpr uint32_t kManyCpusBatch = 2;
// A round over all buckets takes a second, or longer if that would mean more
// than this at one tick (about 2 ms).
constexpr uint32_t kMaxSweepBuckets = 65'536;

absl::StatusOr<uint32_t> OneOf(absl::string_view name, uint32_t asked,
                               uint32_t standard, uint32_t max) {
  if (asked == 0) return standard;
  if (asked > max)
    return absl::InvalidArgumentError(
        absl::StrCat(name, " ", asked, " is more than ", max));
  return asked;
}

uint64_t Random64() {
  std::random_device device;  // getrandom(2)
  return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace

absl::StatusOr<Sizes> ComputeSizes(const AttachOptions& options,
                                   uint32_t cpus) {
  Sizes sizes;
  XLVS_ASSIGN_OR_RETURN(
      sizes.conns, OneOf("--conns", options.conns, kDefaultConns, kMaxConns));
  XLVS_ASSIGN_OR_RETURN(sizes.services, OneOf("--services", options.services,
                                              kDefaultServices, kMaxServices));
  XLVS_ASSIGN_OR_RETURN(
      sizes.dests, OneOf("--dests", options.dests, kDefaultDests, kMaxDests));
  XLVS_ASSIGN_OR_RETURN(sizes.hash_tables,
                        OneOf("--sh-tables", options.hash_tables,
                              kDefaultHashTables, kMaxServices));
  XLVS_ASSIGN_OR_RETURN(sizes.maglev_tables,
                        OneOf("--mh-tables", options.maglev_tables,
                              kDefaultMaglevTables, kMaxMaglevTables));
  XLVS_ASSIGN_OR_RETURN(
      sizes.config.count_batch,
      OneOf("--count-batch", options.count_batch,
            cpus <= kExactCountsCpus ? 1 : kManyCpusBatch, 1024));
  // Every service needs a chunk for its list, and each change writes a new list
  // before the old one goes: twice what is in use at most. Tables are of one
  // length, so one to spare is enough.
  sizes.slot_chunks =
      2 * (sizes.dests / XLVS_SLOTS_PER_CHUNK + sizes.services) + 64 +
      (sizes.hash_tables + 1) * XLVS_CHUNKS_PER_HASH_TABLE +
      (sizes.maglev_tables + 1) * XLVS_CHUNKS_PER_MAGLEV_TABLE;
  sizes.config.buckets = (sizes.conns + XLVS_CONNS_PER_BUCKET_PLANNED - 1) /
                         XLVS_CONNS_PER_BUCKET_PLANNED;
  // At most an eighth full: a stranger's address is recognised by one probe.
  sizes.config.locals = std::bit_ceil(8 * (sizes.services + sizes.dests));
  sizes.config.dests = sizes.dests + 1;  // id 0 is never assigned
  sizes.config.cpus = cpus;
  sizes.config.sweep_buckets =
      std::clamp<uint32_t>((sizes.config.buckets + XLVS_TICKS_PER_SECOND - 1) /
                               XLVS_TICKS_PER_SECOND,
                           1, kMaxSweepBuckets);
  for (auto& key : sizes.config.hash_key) key = Random64() | 1;
  sizes.config.hash_v4_common = xlvs_hash_v4_common(sizes.config.hash_key);
  return sizes;
}

}  // namespace xlvs
