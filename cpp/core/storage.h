// Memory: reference-counted blocks from a pool that keeps what it was given.
//
// Blocks are rounded up to size classes (four per power of two), aligned to 64 bytes and, when
// freed, wait in their class for the next tensor of that size. Giving large blocks back to the
// system between steps costs 2-8x on memory-bound ops (page faults), so that happens only in
// empty_cache() and when the system refuses more.
#pragma once
#include <atomic>
#include <cstddef>
#include <functional>
#include <unordered_map>

#include "core/refcount.h"

namespace lamina {

enum class DeviceType : uint8_t { cpu, cuda };
struct Device {
  DeviceType type = DeviceType::cpu;
  int8_t index = 0;
  bool operator==(const Device& o) const { return type == o.type && index == o.index; }
  bool operator!=(const Device& o) const { return !(*this == o); }
};

struct Storage : RefCounted {
  void* data = nullptr;
  size_t bytes = 0;
  uint32_t version = 0;       // counts writes; shared by all views
  uint32_t data_version = 0;  // counts those through `.data`, which autograd is not to know of
  Device device;
  std::function<void()> owner;  // non-empty: memory belongs to someone else, called on release
  bool writable = true;
  // Others see this memory (NumPy, DLPack, an address given away) and may write it uncounted.
  std::atomic<int> lent{0};           // to how many now
  std::atomic<uint32_t> returned{0};  // how often one of them let go
  void lend() { ++lent; }
  void give_back() { ++returned, --lent; }
  uint64_t serial = 0;  // when a StorageWatch was on as it was made: its number there
  ~Storage();
};
void destroy(Storage* s);
using StorageRef = Ref<Storage>;

// Uninitialised memory for a tensor. Throws ErrorKind::memory saying what was asked and is held.
StorageRef allocate(size_t bytes, Device device = {});
// A tensor over memory owned elsewhere (NumPy, DLPack); release runs when the last view dies.
StorageRef adopt(void* data, size_t bytes, std::function<void()> release, bool writable);

// While one is set for a thread, it knows what memory that thread has made and is still alive.
struct StorageWatch {
  uint64_t made = 0;  // serial of the youngest
  std::unordered_map<uint64_t, Storage*> alive;
};
extern constinit thread_local StorageWatch* storage_watch;

void* pool_allocate(size_t bytes);
void pool_free(void* p, size_t bytes);
struct PoolStats {
  size_t in_use, cached, peak;
};
PoolStats pool_stats();
void empty_cache();

// Scratch for one launch: a piece of the thread's own stack while it is small, which takes no lock,
// else from the same pool. Not to be handed to another thread for release.
void* scratch_take(size_t bytes);  // null: too large, or the stack is full
void scratch_give(void* p, size_t bytes);
class Scratch {
 public:
  explicit Scratch(size_t bytes) : bytes_(bytes) {
    if (!bytes) return;
    p_ = scratch_take(bytes);
    pooled_ = !p_;
    if (pooled_) p_ = pool_allocate(bytes);
  }
  ~Scratch() {
    if (!p_) return;
    pooled_ ? pool_free(p_, bytes_) : scratch_give(p_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T = char>
  T* as() const {
    return static_cast<T*>(p_);
  }

 private:
  size_t bytes_;
  void* p_ = nullptr;
  bool pooled_ = false;
};

}  // namespace lamina
