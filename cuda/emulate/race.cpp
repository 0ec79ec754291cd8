// Races of the emulated device's threads. The kernels are compiled with -fsanitize=thread, which
// makes every access to memory a call of a function named __tsan_*; they are defined here, by the
// rules of CUDA, in place of ThreadSanitizer's.
//
// Two accesses to a byte, one of them a write and not both atomic, are a race unless one is ordered
// before the other: by being the same thread's, by __syncthreads between them (threads of a block),
// or by __syncwarp that both lanes take part in (directly or by way of other lanes). Shuffles,
// votes, matrix instructions and atomics order nothing, and nothing orders two blocks of a launch.
// Shared memory that a block reads must have been written by that block, and what it writes of its
// variables there must fit 48 kB beside what the launch gives it.
//
// An epoch is what a thread does between two barriers. It has a number, that of no other epoch of
// any launch, and every byte keeps the epochs of its last write and of up to four reads since: the
// last, and the last of another lane, warp and block than those. A lane's clock counts its epochs;
// `seen` says up to which epoch of each other lane it is ordered after.
#ifdef LAMINA_RACES
#include "race.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda_runtime.h"

extern "C" __attribute__((visibility("hidden"))) char __bss_start[], _end[];

namespace lamina::emulate::race {
namespace {

struct Cell {  // of a byte; places are instructions, counted from the library's beginning
  uint32_t write, write_at, read, read_at, lane, warp, block;
  uint32_t atomic;
};
struct Memory {
  Range at{};
  bool shared = false;
  Cell* cells = nullptr;
  size_t room = 0;
  void cover(Range r, bool is_shared) {
    at = r;
    shared = is_shared;
    const size_t wanted = size_t(r.end - r.begin) * sizeof(Cell);
    if (wanted <= room) return;
    if (cells) munmap(cells, room);
    void* p = mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      std::fprintf(stderr, "emulated CUDA device: no memory to look for races\n");
      std::abort();
    }
    cells = static_cast<Cell*>(p);
    room = wanted;
  }
  void forget() {
    if (cells) madvise(cells, room, MADV_DONTNEED);
  }
  bool has(const char* p) const { return p >= at.begin && p < at.end; }
};
struct Epoch {  // of the block that runs
  int thread;
  uint32_t barriers, clock;
};
struct Thread {
  uint32_t epoch = 0;  // 0: it has not touched memory in it
  uint32_t clock = 1;
  uint32_t seen[32] = {};
};

constexpr size_t kSharedMost = 48 << 10;  // of a block that asks for no more
Memory global, fixed, dynamic;
Range own{};
std::vector<Thread> threads;
std::vector<Epoch> epochs;
std::vector<std::pair<uint32_t, uint3>> blocks;  // of the launch, by their first epoch
size_t held = 0;  // bytes of its own variables in shared memory that the block has written
uint32_t next_epoch = 1, launch_first = 1, block_first = 1, barriers = 0;
bool clean = true;
std::set<std::pair<uint32_t, uint32_t>> told;
__attribute__((tls_model("initial-exec"))) thread_local int running = -1;

const char* library() {
  static Dl_info info{};
  if (!info.dli_fname) dladdr(reinterpret_cast<void*>(&launch_begins), &info);
  return static_cast<const char*>(info.dli_fbase);
}
uint32_t place_of(const void* pc) { return uint32_t(static_cast<const char*>(pc) - library()); }

// "name at file:line" of each function that was inlined there.
std::string source_of(uint32_t place) {
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(&launch_begins), &info);
  char command[1024], line[1024];
  std::snprintf(command, sizeof command, "addr2line -Cfpise '%s' %#x 2>/dev/null", info.dli_fname,
                place - 1);
  std::string text;
  if (FILE* pipe = popen(command, "r")) {
    while (std::fgets(line, sizeof line, pipe)) text += std::string("    ") + line;
    pclose(pipe);
  }
  return text.empty() ? "    ?\n" : text;
}

// Whether LAMINA_RACES_WITHOUT=file:line names the barrier, which then orders nothing.
bool left_out(const void* pc) {
  static const char* const wish = std::getenv("LAMINA_RACES_WITHOUT");
  if (!wish) return false;
  static std::map<uint32_t, bool> known;
  const uint32_t place = place_of(pc);
  const auto it = known.find(place);
  if (it != known.end()) return it->second;
  const std::string where = source_of(place), name = std::string(" at ") + wish;
  const size_t at = where.find(name);
  return known[place] = at != std::string::npos && !std::isdigit(where[at + name.size()]);
}

void describe(char* text, size_t n, uint32_t epoch) {
  if (epoch < block_first) {
    auto it = std::upper_bound(blocks.begin(), blocks.end(), epoch,
                               [](uint32_t e, const auto& b) { return e < b.first; });
    const uint3 b = (--it)->second;
    std::snprintf(text, n, "block %u,%u,%u", b.x, b.y, b.z);
  } else {
    const Epoch& e = epochs[epoch - block_first];
    std::snprintf(text, n, "thread %d after %u barriers", e.thread, e.barriers);
  }
}
void tell(const char* what, const char* before, const Memory& memory, const char* p, uint32_t pc,
          uint32_t other, uint32_t other_pc) {
  clean = false;
  if (told.size() >= 50 || !told.insert({pc, other_pc}).second) return;
  const uint3 b = blocks.back().second;
  char who[96] = "nobody";
  if (other) describe(who, sizeof who, other);
  std::fprintf(stderr,
               "emulated CUDA device: %s of %s memory %p by thread %d of block %u,%u,%u after %u "
               "barriers, at\n%s  %s %s%s%s",
               what, memory.shared ? "shared" : "global", static_cast<const void*>(p), running, b.x,
               b.y, b.z, barriers, source_of(pc).c_str(), before, who, other_pc ? ", at\n" : "\n",
               other_pc ? source_of(other_pc).c_str() : "");
}

uint32_t epoch_now() {
  Thread& t = threads[size_t(running)];
  if (!t.epoch) {
    t.epoch = next_epoch++;
    epochs.push_back({running, barriers, t.clock});
  }
  return t.epoch;
}
// Whether what was done in epoch e comes before what the running thread does now.
bool ordered(uint32_t e, const Memory& memory) {
  if (e < launch_first) return true;
  if (e < block_first) return memory.shared;  // another block
  const Epoch& then = epochs[e - block_first];
  if (then.thread == running || then.barriers < barriers) return true;
  return then.thread / 32 == running / 32 &&
         threads[size_t(running)].seen[then.thread % 32] >= then.clock;
}

enum Kind { kRead, kWrite, kAtomic };
template <Kind kind>
void byte(const Memory& memory, const char* p, uint32_t me, uint32_t pc) {
  Cell& c = memory.cells[p - memory.at.begin];
  const bool old_write = c.write < (memory.shared ? block_first : launch_first);
  if (kind != kWrite && memory.shared && old_write)
    tell("a read", "of what was written by", memory, p, pc, 0, 0);
  if (c.write != me && !old_write && !(kind == kAtomic && c.atomic) && !ordered(c.write, memory))
    tell(kind == kRead ? "a read" : "a write", "not ordered after the write by", memory, p, pc,
         c.write, c.write_at);
  if (kind != kRead) {
    if (&memory == &fixed && old_write &&
        ++held + size_t(dynamic.at.end - dynamic.at.begin) == kSharedMost + 1)
      tell("a write", "the last byte of 48 kB was written by", memory, p, pc, 0, 0);
    const uint32_t reads[4] = {c.read, c.lane, c.warp, c.block};
    for (const uint32_t r : reads)
      if (r && r != me && !ordered(r, memory)) {
        tell("a write", "not ordered after the read by", memory, p, pc, r,
             r == c.read ? c.read_at : 0);
        break;
      }
    c = {me, pc, 0, 0, 0, 0, 0, kind == kAtomic};
    return;
  }
  if (c.read == me) return;
  if (c.read < block_first) {
    if (c.read >= launch_first) c.block = c.read;
    c.lane = c.warp = 0;
  } else {
    const int then = epochs[c.read - block_first].thread;
    if (then / 32 != running / 32) {
      c.warp = c.read;
      c.lane = 0;
    } else if (then != running) {
      c.lane = c.read;
    }
  }
  c.read = me;
  c.read_at = pc;
}

template <Kind kind>
inline void access(const void* address, size_t bytes, const void* caller) {
  if (running < 0) return;
  const char* const p = static_cast<const char*>(address);
  const Memory* memory = &global;
  if (!global.has(p)) {
    memory = &dynamic;
    if (!dynamic.has(p)) {
      memory = &fixed;
      if (!fixed.has(p) || (p >= own.begin && p < own.end) ||
          address == static_cast<const void*>(&position))
        return;
    }
  }
  const uint32_t me = epoch_now(), pc = place_of(caller);
  for (size_t i = 0; i < bytes; ++i) byte<kind>(*memory, p + i, me, pc);
}

}  // namespace

void launch_begins(int n, Range of_global, Range of_dynamic, Range of_emulator) {
  if (next_epoch > 1u << 31) {  // numbers start again
    for (Memory* m : {&global, &fixed, &dynamic}) m->forget();
    next_epoch = 1;
  }
  global.cover(of_global, false);
  dynamic.cover(of_dynamic, true);
  fixed.cover({__bss_start, _end}, true);
  own = of_emulator;
  threads.assign(size_t(n), {});
  blocks.clear();
  launch_first = next_epoch;
  clean = true;
}
bool launch_ends() { return clean; }
void block_begins(unsigned x, unsigned y, unsigned z) {
  block_first = next_epoch;
  blocks.push_back({next_epoch, {x, y, z}});
  epochs.clear();
  barriers = 0;
  held = 0;
  for (Thread& t : threads) t = {};
}
void thread_runs(int thread) { running = thread; }
void thread_stops() { running = -1; }
void at_barrier(const void* place) {
  if (left_out(place)) return;
  ++barriers;
  for (Thread& t : threads) t.epoch = 0;
}
void at_warp_barrier(int warp, unsigned lanes, const void* place) {
  if (left_out(place)) return;
  Thread* const t = threads.data() + warp * 32;
  uint32_t all[32] = {};
  for (int i = 0; i < 32; ++i)
    if (lanes >> i & 1) {
      for (int k = 0; k < 32; ++k) all[k] = std::max(all[k], t[i].seen[k]);
      all[i] = std::max(all[i], t[i].clock);
    }
  for (int i = 0; i < 32; ++i)
    if (lanes >> i & 1) {
      std::memcpy(t[i].seen, all, sizeof all);
      ++t[i].clock;
      t[i].epoch = 0;
    }
}
void reads(const void* p, size_t n) { access<kRead>(p, n, __builtin_return_address(0)); }
void writes(const void* p, size_t n) { access<kWrite>(p, n, __builtin_return_address(0)); }
void changes(const void* p, size_t n) { access<kAtomic>(p, n, __builtin_return_address(0)); }

}  // namespace lamina::emulate::race

// What the compiler calls.
#define LAMINA_CALLED extern "C" __attribute__((visibility("hidden"))) void
#define LAMINA_ACCESS(n)                                                                       \
  LAMINA_CALLED __tsan_read##n(void* p) {                                                      \
    lamina::emulate::race::access<lamina::emulate::race::kRead>(p, n,                          \
                                                                __builtin_return_address(0));  \
  }                                                                                            \
  LAMINA_CALLED __tsan_write##n(void* p) {                                                     \
    lamina::emulate::race::access<lamina::emulate::race::kWrite>(p, n,                         \
                                                                 __builtin_return_address(0)); \
  }                                                                                            \
  LAMINA_CALLED __tsan_unaligned_read##n(void* p) __attribute__((alias("__tsan_read" #n)));    \
  LAMINA_CALLED __tsan_unaligned_write##n(void* p) __attribute__((alias("__tsan_write" #n)));
LAMINA_ACCESS(1)
LAMINA_ACCESS(2)
LAMINA_ACCESS(4)
LAMINA_ACCESS(8)
LAMINA_ACCESS(16)
LAMINA_CALLED __tsan_read_range(void* p, size_t n) {
  lamina::emulate::race::access<lamina::emulate::race::kRead>(p, n, __builtin_return_address(0));
}
LAMINA_CALLED __tsan_write_range(void* p, size_t n) {
  lamina::emulate::race::access<lamina::emulate::race::kWrite>(p, n, __builtin_return_address(0));
}
// Host code only: whether a variable of a function has been made.
extern "C" __attribute__((visibility("hidden"))) unsigned char __tsan_atomic8_load(
    const volatile unsigned char* p, int) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
// clang's, in place of the C library's
extern "C" __attribute__((visibility("hidden"))) void* __tsan_memset(void* p, int v, size_t n) {
  __tsan_write_range(p, n);
  return std::memset(p, v, n);
}
extern "C" __attribute__((visibility("hidden"))) void* __tsan_memmove(void* p, const void* from,
                                                                      size_t n) {
  __tsan_read_range(const_cast<void*>(from), n);
  __tsan_write_range(p, n);
  return std::memmove(p, from, n);
}
extern "C" __attribute__((visibility("hidden"))) void* __tsan_memcpy(void* p, const void* from,
                                                                     size_t n) {
  return __tsan_memmove(p, from, n);
}
LAMINA_CALLED __tsan_init() {}
LAMINA_CALLED __tsan_func_entry(void*) {}
LAMINA_CALLED __tsan_func_exit() {}
LAMINA_CALLED __tsan_vptr_update(void**, void*) {}
LAMINA_CALLED __tsan_vptr_read(void**) {}
#endif
