// Blocks of fibers: the threads of a block on one thread of the CPU (see cuda_runtime.h).
#include "cuda_runtime.h"

#include <ucontext.h>

#include <cfenv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "race.h"

namespace lamina::emulate {

Position* position = nullptr;

namespace {

constexpr size_t kStack = 128 * 1024;

// ---- a switch between stacks -------------------------------------------------------------------
#if defined(__x86_64__)
// Keeps the registers that a call must keep, and the stack they lie on.
extern "C" void lamina_switch(void** save, void* load);
asm(R"(
.text
.globl lamina_switch
.hidden lamina_switch
.type lamina_switch, @function
lamina_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lamina_switch, .-lamina_switch
)");
struct Context {
  void* sp = nullptr;
  void prepare(char* stack, size_t bytes, void (*entry)()) {
    auto top = reinterpret_cast<uintptr_t>(stack + bytes) & ~uintptr_t(63);
    void** at = reinterpret_cast<void**>(top) - 1;  // as after a call: 8 bytes off 16
    *at = nullptr;
    *--at = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--at = nullptr;
    sp = at;
  }
};
void change(Context& from, Context& to) { lamina_switch(&from.sp, to.sp); }
#else
struct Context {
  ucontext_t c;
  void prepare(char* stack, size_t bytes, void (*entry)()) {
    getcontext(&c);
    c.uc_stack.ss_sp = stack;
    c.uc_stack.ss_size = bytes;
    c.uc_link = nullptr;
    makecontext(&c, entry, 0);
  }
};
void change(Context& from, Context& to) { swapcontext(&from.c, &to.c); }
#endif

enum State { kReady, kAtBarrier, kInWarp, kDone };

struct Copy {
  void* to;
  const void* from;
  int valid, group;
};

struct Fiber {
  Context context;
  Position place;
  State state = kDone;
  unsigned mask = 0;             // of the shuffle it waits in
  bool orders = false;           // which is a barrier
  const void* called = nullptr;  // where the barrier is
  uint64_t value[kWords] = {};   // what it gives there
  int words = 0;                 // how many of them
  std::vector<Copy> copies;      // that were not waited for
  int group = 0;                 // of copies made now
  std::unique_ptr<char[]> stack;
};

struct Block {
  Fiber fibers[1024];  // made as they are needed
  int made = 0;
  std::vector<int> order;
  int count = 0, running = 0;
  Context main;
  const std::function<void()>* body = nullptr;
  struct Words {
    uint64_t of[kWords];
  };
  std::vector<Words> slots;  // what threads gave to the shuffle they were in last
  std::vector<char> shared;
};
Block block;
std::mutex one_launch;  // kernels run one at a time

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "emulated CUDA device: %s (block %u,%u,%u)\n", what,
               block.fibers[block.running].place.block.x, block.fibers[block.running].place.block.y,
               block.fibers[block.running].place.block.z);
  std::abort();
}

void yield() { change(block.fibers[block.running].context, block.main); }

void fiber_main() {
  for (;;) {
    (*block.body)();
    block.fibers[block.running].state = kDone;
    yield();
  }
}

void resume(int i) {
  block.running = i;
  position = &block.fibers[i].place;
  race::thread_runs(i);
  change(block.main, block.fibers[i].context);
  race::thread_stops();
}

// The waiting lanes that lane i's shuffle or barrier joins; 0: not all that it names wait in it.
unsigned joined(int first, int i, unsigned exists) {
  const Fiber& f = block.fibers[i];
  const unsigned mask = f.mask & exists;
  for (int k = 0; k < 32; ++k) {
    const Fiber& g = block.fibers[first + k];
    if ((mask >> k & 1) &&
        !(g.state == kInWarp && g.mask == f.mask && g.orders == f.orders && g.words == f.words))
      return 0;
  }
  return mask & 1u << (i - first) ? mask : 0;
}

// Runs the lanes of a warp until each is at the block's barrier or has ended.
void run_warp(int warp) {
  const int first = warp * 32, last = first + 32 < block.count ? first + 32 : block.count;
  const unsigned exists = last - first == 32 ? ~0u : (1u << (last - first)) - 1;
  for (;;) {
    for (int k : block.order) {
      const int i = first + k;
      if (i < last && block.fibers[i].state == kReady) resume(i);
    }
    bool waiting = false, any = false;
    for (int i = first; i < last; ++i) {
      if (block.fibers[i].state != kInWarp) continue;
      waiting = true;
      const unsigned lanes = joined(first, i, exists);
      if (!lanes) continue;
      any = true;
      if (block.fibers[i].orders) race::at_warp_barrier(warp, lanes, block.fibers[i].called);
      for (int k = first; k < last; ++k) {
        Fiber& f = block.fibers[k];
        if (!(lanes >> (k - first) & 1)) continue;
        std::memcpy(block.slots[size_t(k)].of, f.value, size_t(f.words) * sizeof(uint64_t));
        f.state = kReady;
      }
    }
    if (!waiting) return;
    if (!any) stop("a shuffle or vote that not all lanes of its mask reach");
  }
}

void run_block(const Position& place) {
  race::block_begins(place.block.x, place.block.y, place.block.z);
  const dim3 size = place.block_size;
  int i = 0;
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x, ++i) {
        Fiber& f = block.fibers[i];
        f.place = place;
        f.place.thread = {x, y, z};
        f.state = kReady;
        f.copies.clear();
        f.group = 0;
      }
  const int warps = (block.count + 31) / 32;
  const bool backwards = block.order[0] != 0;
  for (;;) {
    for (int w = 0; w < warps; ++w) run_warp(backwards ? warps - 1 - w : w);
    int at_barrier = 0;
    for (int k = 0; k < block.count; ++k) at_barrier += block.fibers[k].state == kAtBarrier;
    if (at_barrier == 0) return;
    if (at_barrier != block.count) stop("__syncthreads that not all threads of the block reach");
    for (int k = 0; k < block.count; ++k) block.fibers[k].state = kReady;
    race::at_barrier(block.fibers[0].called);
  }
}

void choose_order() {
  block.order.resize(32);
  const char* wish = std::getenv("LAMINA_EMULATE_ORDER");
  for (int i = 0; i < 32; ++i) {
    const bool reverse = wish && std::strcmp(wish, "reverse") == 0;
    const bool shuffled = wish && std::strcmp(wish, "shuffled") == 0;
    block.order[size_t(i)] = reverse ? 31 - i : shuffled ? (i * 11 + 5) % 32 : i;
  }
}

}  // namespace

bool run(dim3 grid, dim3 size, size_t shared_bytes, const std::function<void()>& body) {
  std::lock_guard<std::mutex> lock(one_launch);
  std::fenv_t host;  // which may count denormals as 0; a device does not
  std::fegetenv(&host);
  std::fesetenv(FE_DFL_ENV);
  open_memory();
  choose_order();
  block.count = int(size.x * size.y * size.z);
  block.body = &body;
  block.slots.assign(size_t(block.count), {});
  // What a block finds in shared memory is garbage: NaN.
  block.shared.assign(shared_bytes + 64, char(0xff));
  while (block.made < block.count) {
    Fiber& f = block.fibers[block.made++];
    f.stack.reset(new char[kStack]);
    f.context.prepare(f.stack.get(), kStack, fiber_main);
  }
  const char* const shared = static_cast<const char*>(dynamic_shared());
  race::launch_begins(block.count, device_memory(), {shared, shared + shared_bytes},
                      {reinterpret_cast<char*>(&block), reinterpret_cast<char*>(&block + 1)});
  Position place{{0, 0, 0}, {0, 0, 0}, size, grid};
  for (place.block.z = 0; place.block.z < grid.z; ++place.block.z)
    for (place.block.y = 0; place.block.y < grid.y; ++place.block.y)
      for (place.block.x = 0; place.block.x < grid.x; ++place.block.x) run_block(place);
  close_memory();
  std::fesetenv(&host);
  return race::launch_ends();
}

void barrier() {
  block.fibers[block.running].state = kAtBarrier;
  block.fibers[block.running].called = __builtin_return_address(0);
  yield();
}

int lane() { return block.running % 32; }

uint64_t exchange(unsigned mask, uint64_t value, int from, bool orders) {
  Fiber& f = block.fibers[block.running];
  const int mine = block.running, first = mine - mine % 32;
  f.mask = mask;
  f.value[0] = value;
  f.words = 1;
  f.orders = orders;
  f.called = __builtin_return_address(0);
  f.state = kInWarp;
  yield();
  const int source = from < 0 ? mine : first + from;
  const uint64_t got = source < block.count ? block.slots[size_t(source)].of[0] : value;
  return got;  // slots change only when every lane of the warp has gone on and stopped again
}

int compare_and_swap(int* p, int expected, int value) {
  race::changes(p, sizeof *p);
  const int old = *p;
  if (old == expected) *p = value;
  return old;
}
int fetch_and_add(int* p, int value) {
  race::changes(p, sizeof *p);
  const int old = *p;
  *p += value;
  return old;
}
float fetch_and_set(float* p, float value) {
  race::changes(p, sizeof *p);
  const float old = *p;
  *p = value;
  return old;
}

unsigned vote(unsigned mask, bool predicate) {
  exchange(mask, predicate, -1);
  const int first = block.running - block.running % 32;
  unsigned votes = 0;
  for (int i = 0; i < 32 && first + i < block.count; ++i)
    if ((mask >> i & 1) && block.slots[size_t(first + i)].of[0]) votes |= 1u << i;
  return votes;
}

void exchange_all(const uint64_t* words, int n) {
  Fiber& f = block.fibers[block.running];
  std::memcpy(f.value, words, size_t(n) * 8);
  f.words = n;
  f.mask = ~0u;
  f.orders = false;
  f.state = kInWarp;
  yield();
}
const uint64_t* given_by(int lane) {
  return block.slots[size_t(block.running - block.running % 32 + lane)].of;
}

void copy_later(void* to, const void* from, int valid) {
  if ((reinterpret_cast<uintptr_t>(to) | (valid ? reinterpret_cast<uintptr_t>(from) : 0)) % 16)
    stop("an asynchronous copy from or to an address that is no multiple of 16");
  Fiber& f = block.fibers[block.running];
  f.copies.push_back({to, from, valid, f.group});
  race::reads(from, size_t(valid));  // and again when it is made: it may be at any time between
  race::writes(to, 16);
}
void copies_close() { ++block.fibers[block.running].group; }
void copies_wait(int pending) {
  Fiber& f = block.fibers[block.running];
  size_t kept = 0;
  for (const Copy& c : f.copies)
    if (c.group >= f.group - pending) {
      f.copies[kept++] = c;
    } else {
      race::reads(c.from, size_t(c.valid));
      race::writes(c.to, 16);
      std::memset(c.to, 0, 16);
      if (c.valid) std::memcpy(c.to, c.from, size_t(c.valid));
    }
  f.copies.resize(kept);
}

void* dynamic_shared() {
  return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(block.shared.data()) + 63) &
                                 ~uintptr_t(63));
}

}  // namespace lamina::emulate
