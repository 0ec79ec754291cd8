// The pool: four size classes per power of two, freed blocks wait in their class. Of small ones
// each thread keeps some at hand, for the pool's lock would be the dearest part of a small call.
#include "core/storage.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/device.h"
#include "core/error.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace lamina {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kPage = size_t(2) << 20;  // a huge page, which blocks of 2 MB and more start on
constexpr int kClasses = 192;
constexpr size_t kHuge = size_t(1) << 46;  // beyond any address space we can be given

// Class c holds blocks of class_bytes(c): 64, 80, 96, 112, 128, 160, ... (four per doubling).
int size_class(size_t bytes) {
  if (bytes <= kAlign) return 0;
  const int top = 63 - __builtin_clzll(bytes - 1);  // 2^top <= bytes - 1
  const size_t quarter = size_t(1) << (top - 2);
  const int step = int((bytes - 1 - (size_t(1) << top)) / quarter);  // 0..3
  return (top - 6) * 4 + step + 1;
}

size_t class_bytes(int c) {
  if (c == 0) return kAlign;
  const int top = (c - 1) / 4 + 6, step = (c - 1) % 4;
  const size_t raw = (size_t(1) << top) + (size_t(step) + 1) * (size_t(1) << (top - 2));
  return (raw + kAlign - 1) / kAlign * kAlign;
}

// Memory for a class, null when there is none. Huge pages save a fault per 4 kB when a block is
// first written and most misses of the TLB later.
void* new_block(size_t size) {
  if (size < kPage) return std::aligned_alloc(kAlign, size);
  void* block = std::aligned_alloc(kPage, (size + kPage - 1) / kPage * kPage);
#if defined(__linux__)
  if (block) madvise(block, size, MADV_HUGEPAGE);  // advice: whether it is taken does not matter
#endif
  return block;
}

// What one thread keeps at hand. Only that thread touches the blocks; `taken` is read by others.
struct Hand {
  static constexpr int kClasses = 25, kBlocks = 16;  // up to 4 kB
  void* block[kClasses][kBlocks];
  uint8_t count[kClasses] = {};
  // Bytes in use that the pool counts as waiting; less than 0 where it is the other way round.
  std::atomic<int64_t> taken{0};

  void* take(int c, size_t size) {
    if (c >= kClasses || !count[c]) return nullptr;
    count_taken(int64_t(size));
    return block[c][--count[c]];
  }
  bool give(int c, size_t size, void* p) {
    if (c >= kClasses || count[c] == kBlocks) return false;
    count_taken(-int64_t(size));
    block[c][count[c]++] = p;
    return true;
  }
  void count_taken(int64_t bytes) {  // there is one writer
    taken.store(taken.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }
};

struct Pool {
  std::mutex mutex;
  std::vector<void*> free[kClasses];
  std::vector<Hand*> hands;
  PoolStats stats{};

  // With what the hands took and gave. The peak is looked at here and when the lock is held anyway:
  // what a thread takes out of its hand alone raises it later.
  PoolStats now() {
    PoolStats s = stats;
    for (const Hand* h : hands) {
      const int64_t n = h->taken.load(std::memory_order_relaxed);
      s.in_use += size_t(n);
      s.cached -= size_t(n);
    }
    s.peak = stats.peak = s.in_use > stats.peak ? s.in_use : stats.peak;
    return s;
  }
  void empty(Hand& h) {  // into the classes; the lock is held
    for (int c = 0; c < Hand::kClasses; ++c)
      while (h.count[c]) free[c].push_back(h.block[c][--h.count[c]]);
    stats.in_use += size_t(h.taken.load(std::memory_order_relaxed));
    stats.cached -= size_t(h.taken.load(std::memory_order_relaxed));
    h.taken.store(0, std::memory_order_relaxed);
  }
};

Pool& pool() {
  static Pool* p = new Pool;  // never destroyed: tensors may outlive static destructors
  return *p;
}

constinit thread_local Hand* t_hand = nullptr;
constinit thread_local bool t_ending = false;  // what is freed from then on goes to the pool

struct HandOwner {  // on the heap, so that a fork's child may forget the other threads'
  HandOwner() {
    t_hand = new Hand;
    std::lock_guard<std::mutex> lock(pool().mutex);
    pool().hands.push_back(t_hand);
  }
  ~HandOwner() {
    Hand* const h = t_hand;
    t_hand = nullptr;
    t_ending = true;
    Pool& p = pool();
    {
      std::lock_guard<std::mutex> lock(p.mutex);
      p.empty(*h);
      p.hands.erase(std::find(p.hands.begin(), p.hands.end(), h));
    }
    delete h;
  }
};

// Null at the thread's end.
Hand* hand() {
  if (__builtin_expect(!t_hand && !t_ending, 0)) thread_local const HandOwner owner;
  return t_hand;
}

// In a build with AddressSanitizer: of a block handed out only its first `bytes` bytes may be
// touched, of one waiting in its class none, and what was never written reads as NaN (-1).
#ifdef __SANITIZE_ADDRESS__
void* open_block(void* block, size_t bytes, size_t size) {
  ASAN_UNPOISON_MEMORY_REGION(block, bytes);
  std::memset(block, 0xff, bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + bytes, size - bytes);
  return block;
}
void close_block(void* block, size_t size) { ASAN_POISON_MEMORY_REGION(block, size); }
void return_block(void* block, size_t size) {
  ASAN_UNPOISON_MEMORY_REGION(block, size);
  std::free(block);
}
#else
void* open_block(void* block, size_t, size_t) { return block; }
void close_block(void*, size_t) {}
void return_block(void* block, size_t) { std::free(block); }
#endif

}  // namespace

void* pool_allocate(size_t bytes) {
  check(bytes < kHuge, ErrorKind::memory, "memory: cannot allocate ", bytes,
        " bytes; the requested shape is too large");
  const int c = size_class(bytes);
  const size_t size = class_bytes(c);
  if (Hand* const h = hand())
    if (void* const block = h->take(c, size)) return open_block(block, bytes, size);
  Pool& p = pool();
  {
    std::lock_guard<std::mutex> lock(p.mutex);
    p.stats.in_use += size;
    p.now();
    if (!p.free[c].empty()) {
      void* block = p.free[c].back();
      p.free[c].pop_back();
      p.stats.cached -= size;
      return open_block(block, bytes, size);
    }
  }
  void* block = new_block(size);
  if (!block) {
    empty_cache();
    block = new_block(size);
  }
  if (!block) {
    std::lock_guard<std::mutex> lock(p.mutex);
    p.stats.in_use -= size;
    fail(ErrorKind::memory, "memory: cannot allocate ", bytes, " bytes (", p.stats.in_use,
         " bytes are in use); use a smaller batch or free tensors");
  }
  return open_block(block, bytes, size);
}

void pool_free(void* block, size_t bytes) {
  const int c = size_class(bytes);
  const size_t size = class_bytes(c);
  close_block(block, size);
  if (Hand* const h = hand())
    if (h->give(c, size, block)) return;
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.stats.in_use -= size;
  p.stats.cached += size;
  p.free[c].push_back(block);
}

void empty_cache() {
  Pool& p = pool();
  Hand* const h = hand();
  std::lock_guard<std::mutex> lock(p.mutex);
  if (h) p.empty(*h);  // what other threads have at hand is theirs
  for (int c = 0; c < kClasses; ++c) {
    for (void* block : p.free[c]) return_block(block, class_bytes(c));
    p.stats.cached -= p.free[c].size() * class_bytes(c);
    p.free[c].clear();
  }
}

PoolStats pool_stats() {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  return p.now();
}

constinit thread_local StorageWatch* storage_watch = nullptr;

// A storage that the thread's watch, if any, has noted.
static StorageRef new_storage() {
  StorageRef s(new Storage);
  if (storage_watch) {
    s->serial = ++storage_watch->made;
    storage_watch->alive[s->serial] = s.get();
  }
  return s;
}

Storage::~Storage() {
  if (serial && storage_watch) storage_watch->alive.erase(serial);
  if (owner)
    owner();
  else if (__builtin_expect(device.type != DeviceType::cpu, 0))
    device_table().release(device.index, data, bytes);
  else if (data)
    pool_free(data, bytes);
}
void destroy(Storage* s) { delete s; }

StorageRef allocate(size_t bytes, Device device) {
  StorageRef s = new_storage();
  if (!bytes) bytes = 1;
  if (__builtin_expect(device.type != DeviceType::cpu, 0))
    s->data = device_table("allocate", device).allocate(device.index, bytes);
  else
    s->data = pool_allocate(bytes);
  s->bytes = bytes;
  s->device = device;
  return s;
}

StorageRef adopt(void* data, size_t bytes, std::function<void()> release, bool writable) {
  StorageRef s = new_storage();
  s->data = data;
  s->bytes = bytes;
  s->lent = release ? 1 : 0;
  s->owner = release ? std::move(release) : [] {};
  s->writable = writable;
  return s;
}

}  // namespace lamina
