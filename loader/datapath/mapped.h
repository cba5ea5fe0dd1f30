// SPDX-License-Identifier: Apache-2.0
//
// Typed views of maps.
//
// Mapped<T>: a mappable array in this process's memory. Single words are
// stored so that packets on other CPUs see the old or the new.
//
// HashMap<K, V>: a hash map, entry by entry. Both refuse a map whose sizes are
// not those of the types.
#ifndef XLVS_LOADER_DATAPATH_MAPPED_H_
#define XLVS_LOADER_DATAPATH_MAPPED_H_

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "loader/base/status.h"
#include "loader/base/unique_fd.h"
#include "maps/addr.h"

namespace xlvs {

// INTERNAL if the kernel's map has other sizes than the types say. 0 = any.
absl::StatusOr<bpf_map_info> CheckedMapInfo(int fd, uint32_t key_bytes,
                                            uint32_t value_bytes);

template <typename T>
class Mapped {
 public:
  // Takes the descriptor, which must be open for reading and writing.
  static absl::StatusOr<Mapped> Map(UniqueFd fd, bool writable) {
    XLVS_ASSIGN_OR_RETURN(const bpf_map_info info,
                          CheckedMapInfo(fd.get(), 4, sizeof(T)));
    Mapped mapped;
    mapped.count_ = info.max_entries;
    // An element takes up a multiple of 8 bytes; all our types do anyway.
    static_assert(sizeof(T) % 8 == 0);
    mapped.bytes_ = static_cast<size_t>(info.max_entries) * sizeof(T);
    void* at = mmap(nullptr, mapped.bytes_,
                    writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                    fd.get(), 0);
    if (at == MAP_FAILED)
      return ErrnoStatus(errno, absl::StrCat("map ", info.name));
    mapped.data_ = static_cast<T*>(at);
    mapped.fd_ = std::move(fd);
    return mapped;
  }

  Mapped() = default;
  Mapped(Mapped&& other) noexcept { *this = std::move(other); }
  Mapped& operator=(Mapped&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(count_, other.count_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Mapped() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }

  T& operator[](size_t index) { return data_[index]; }
  const T& operator[](size_t index) const { return data_[index]; }
  uint32_t size() const { return count_; }
  int fd() const { return fd_.get(); }

 private:
  T* data_ = nullptr;
  size_t bytes_ = 0;
  uint32_t count_ = 0;
  UniqueFd fd_;
};

// Stores and loads of whole words that packets read or write at the same time.
// A release store comes after everything that this thread stored before.
template <typename T>
void StoreWord(T& to, const T& value) {
  using Word =
      std::conditional_t<sizeof(T) == 8, uint64_t,
                         std::conditional_t<sizeof(T) == 4, uint32_t, uint8_t>>;
  static_assert(sizeof(T) == sizeof(Word));
  std::atomic_ref<Word>(reinterpret_cast<Word&>(to))
      .store(std::bit_cast<Word>(value), std::memory_order_release);
}

// Of an address: who reads it may see half of the new one. Of IPv4 addresses
// the halves differ in one word only.
inline void StoreHalves(xlvs_addr& to, const xlvs_addr& value) {
  using Halves = std::array<uint64_t, 2>;
  auto& target = reinterpret_cast<Halves&>(to);
  const auto halves = std::bit_cast<Halves>(value);
  for (size_t i = 0; i < halves.size(); ++i) StoreWord(target[i], halves[i]);
}

template <typename T>
T LoadWord(const T& from) {
  using Word =
      std::conditional_t<sizeof(T) == 8, uint64_t,
                         std::conditional_t<sizeof(T) == 4, uint32_t, uint8_t>>;
  static_assert(sizeof(T) == sizeof(Word));
  return std::bit_cast<T>(
      std::atomic_ref<Word>(reinterpret_cast<Word&>(const_cast<T&>(from)))
          .load(std::memory_order_acquire));
}

// Replaces `old` by `value` if it is still there; else `old` becomes what is.
template <typename T>
bool CompareAndSwapWord(T& at, T& old, const T& value) {
  static_assert(sizeof(T) == 8);
  uint64_t seen = std::bit_cast<uint64_t>(old);
  if (std::atomic_ref<uint64_t>(reinterpret_cast<uint64_t&>(at))
          .compare_exchange_strong(seen, std::bit_cast<uint64_t>(value)))
    return true;
  old = std::bit_cast<T>(seen);
  return false;
}

// To a word that packets add to.
inline void AddToWord(int32_t& at, int32_t value) {
  std::atomic_ref<int32_t>(at).fetch_add(value);
}

template <typename Key, typename Value>
class HashMap {
 public:
  static absl::StatusOr<HashMap> Open(UniqueFd fd) {
    const auto info = CheckedMapInfo(fd.get(), sizeof(Key), sizeof(Value));
    if (!info.ok()) return info.status();
    HashMap map;
    map.fd_ = std::move(fd);
    map.max_entries_ = info->max_entries;
    return map;
  }

  // ALREADY_EXISTS, RESOURCE_EXHAUSTED.
  absl::Status Insert(const Key& key, const Value& value) {
    return Update(key, value, BPF_NOEXIST);
  }
  // New or not.
  absl::Status Put(const Key& key, const Value& value) {
    return Update(key, value, BPF_ANY);
  }
  // NOT_FOUND.
  absl::Status Replace(const Key& key, const Value& value) {
    return Update(key, value, BPF_EXIST);
  }
  absl::Status Erase(const Key& key) {
    if (bpf_map_delete_elem(fd_.get(), &key) != 0)
      return ErrnoStatus(errno, "delete map entry");
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::pair<Key, Value>>> Entries() const {
    std::vector<std::pair<Key, Value>> entries;
    if (ReadAtOnce(entries)) return entries;
    entries.clear();
    Key key;
    const Key* previous = nullptr;
    while (bpf_map_get_next_key(fd_.get(), previous, &key) == 0) {
      Value value;
      if (bpf_map_lookup_elem(fd_.get(), &key, &value) == 0)
        entries.emplace_back(key, value);
      previous = &key;
    }
    if (errno != ENOENT) return ErrnoStatus(errno, "read map");
    return entries;
  }
  uint32_t max_entries() const { return max_entries_; }

 private:
  // All of it by few system calls, if the kernel does that for this map and
  // nobody changes it meanwhile.
  bool ReadAtOnce(std::vector<std::pair<Key, Value>>& entries) const {
    std::vector<Key> keys(max_entries_);
    std::vector<Value> values(max_entries_);
    // Where to go on: of a hash map a number, of others a key.
    union {
      uint32_t bucket;
      Key key;
    } position;
    uint32_t count = max_entries_;
    const int error =
        bpf_map_lookup_batch(fd_.get(), nullptr, &position, keys.data(),
                             values.data(), &count, nullptr);
    // There is no more.
    if (error == 0 || errno != ENOENT) return false;
    entries.reserve(count);
    for (uint32_t i = 0; i < count; ++i)
      entries.emplace_back(keys[i], values[i]);
    return true;
  }

  absl::Status Update(const Key& key, const Value& value, uint64_t flags) {
    if (bpf_map_update_elem(fd_.get(), &key, &value, flags) != 0)
      return ErrnoStatus(errno, "write map entry");
    return absl::OkStatus();
  }

  UniqueFd fd_;
  uint32_t max_entries_ = 0;
};

}  // namespace xlvs

#endif  // XLVS_LOADER_DATAPATH_MAPPED_H_
