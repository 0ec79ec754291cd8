// Memory, streams and events of the emulated device (see cuda_runtime.h).
//
// The memory of a device is a reserved range of addresses, readable and writable only while kernels
// on this device and copies run. Work is done as it is issued, so streams are always idle and
// events already past; but for copies from page-locked memory, which are made at the last moment:
// when other work is issued, or somebody waits.
#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "graph.h"

struct lamina_emulated_event {
  std::chrono::steady_clock::time_point when;
};

namespace lamina::emulate {
namespace {

constexpr size_t kAlign = 512;
constexpr int kDevices = 2;

size_t memory_bytes() {
  const char* mib = std::getenv("LAMINA_EMULATE_MEMORY");
  return (mib ? size_t(std::atoll(mib)) : 1024) << 20;
}

struct sigaction g_before;
struct {
  char *begin, *end;
} g_memory[kDevices];

// Says what it means that host code faulted on device memory, then fails as before.
void on_fault(int signal, siginfo_t* info, void*) {
  char* const at = static_cast<char*>(info->si_addr);
  for (const auto& m : g_memory) {
    if (at < m.begin || at >= m.end) continue;
    const char text[] =
        "emulated CUDA device: host code, or a kernel on another device, touched device memory, "
        "from:\n";
    if (write(2, text, sizeof text - 1) > 0) {
      void* frames[40];
      backtrace_symbols_fd(frames, backtrace(frames, 40), 2);
    }
  }
  sigaction(signal, &g_before, nullptr);  // the access is tried again, and fails
}

struct Arena {
  char* base = nullptr;
  size_t bytes = memory_bytes(), used = 0, top = 0;  // top: pages above it were never given out
  std::map<size_t, size_t> taken;                    // offset -> size
  int open = 0;
  std::mutex mutex;

  explicit Arena(int device) {
    void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    base = p == MAP_FAILED ? nullptr : static_cast<char*>(p);
    if (!base) return;
    g_memory[device] = {base, base + bytes};
    if (device) return;
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &g_before);
  }
  void protect() {
    if (top) mprotect(base, top, open ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
  cudaError_t take(void** out, size_t n) {
    std::lock_guard<std::mutex> lock(mutex);
    n = (n + kAlign - 1) / kAlign * kAlign;
    size_t at = 0;  // the first gap that is large enough
    for (const auto& [offset, size] : taken) {
      if (offset - at >= n) break;
      at = offset + size;
    }
    if (!base || at + n > bytes) return cudaErrorMemoryAllocation;
    taken[at] = n;
    used += n;
    if (at + n > top) top = (at + n + 4095) / 4096 * 4096;
    ++open;
    protect();
    std::memset(base + at, 0xff, n);  // what was never written reads as NaN
    --open;
    protect();
    *out = base + at;
    return cudaSuccess;
  }
  cudaError_t give(void* p) {
    std::lock_guard<std::mutex> lock(mutex);
    const auto it = taken.find(size_t(static_cast<char*>(p) - base));
    if (it == taken.end()) return cudaErrorInvalidValue;
    used -= it->second;
    taken.erase(it);
    return cudaSuccess;
  }
};
Arena& arena(int device) {
  static Arena* const all[kDevices] = {new Arena(0), new Arena(1)};
  return *all[device];
}
thread_local int device_now = 0;
Arena& arena() { return arena(device_now); }
Arena* arena_of(const void* p) {
  for (int d = 0; d < kDevices; ++d)
    if (p >= g_memory[d].begin && p < g_memory[d].end) return &arena(d);
  return nullptr;
}
void open(Arena& a) {
  std::lock_guard<std::mutex> lock(a.mutex);
  if (a.open++ == 0) a.protect();
}
void close(Arena& a) {
  std::lock_guard<std::mutex> lock(a.mutex);
  if (--a.open == 0) a.protect();
}

struct Locked {  // page-locked memory, and the copies from it that are still to be made
  std::recursive_mutex mutex;
  std::map<const char*, size_t> blocks;
  std::vector<std::function<void()>> copies;
  bool has(const void* p) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    const char* const at = static_cast<const char*>(p);
    auto it = blocks.upper_bound(at);
    return it != blocks.begin() && at < (--it)->first + it->second;
  }
};
Locked& locked() {
  static Locked* const l = new Locked;
  return *l;
}
void copy_now(void* to, const void* from, size_t bytes) {
  Arena *const a = arena_of(to), *const b = arena_of(from);
  if (a) open(*a);
  if (b) open(*b);
  std::memmove(to, from, bytes);
  if (b) close(*b);
  if (a) close(*a);
}

}  // namespace

void make_copies() {
  Locked& l = locked();
  std::lock_guard<std::recursive_mutex> lock(l.mutex);
  for (const auto& copy : l.copies) copy();
  l.copies.clear();
}
void open_memory() { open(arena()); }
Range device_memory() { return {arena().base, arena().base + arena().bytes}; }
void close_memory() { close(arena()); }

}  // namespace lamina::emulate

using namespace lamina::emulate;

const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaSuccess                      ? "no error"
         : e == cudaErrorMemoryAllocation      ? "out of memory"
         : e == cudaErrorLaunchFailure         ? "a race (above, on standard error)"
         : e == cudaErrorInvalidConfiguration  ? "invalid configuration argument"
         : e == cudaErrorInvalidResourceHandle ? "invalid resource handle"
         : e == cudaErrorStreamCaptureUnsupported
             ? "operation not permitted when stream is capturing"
             : "invalid argument";
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* n) {
  *n = kDevices;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {"emulated CUDA device", arena().bytes, 48 << 10, 0, 0, 1, 32, 1024, 1024, 0, 0};
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidValue;
  device_now = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = device_now;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = arena().bytes;
  *free = arena().bytes - arena().used;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** p, size_t bytes) { return arena().take(p, bytes); }
cudaError_t cudaFree(void* p) {
  make_copies();
  Arena* const a = arena_of(p);
  return a ? a->give(p) : p ? cudaErrorInvalidValue : cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  *p = std::malloc(bytes ? bytes : 1);
  if (!*p) return cudaErrorMemoryAllocation;
  std::lock_guard<std::recursive_mutex> lock(locked().mutex);
  locked().blocks[static_cast<char*>(*p)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  make_copies();
  {
    std::lock_guard<std::recursive_mutex> lock(locked().mutex);
    locked().blocks.erase(static_cast<char*>(p));
  }
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t s) {
  if (!(s && s->capture) && locked().has(from) && arena_of(to)) {
    make_copies();
    std::lock_guard<std::recursive_mutex> lock(locked().mutex);
    locked().copies.push_back([=] { copy_now(to, from, bytes); });
    return cudaSuccess;
  }
  issue(s, [=] { copy_now(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t s) {
  issue(s, [=] {
    open_memory();
    std::memset(p, value, bytes);  // of the current device: the stream is
    close_memory();
  });
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  a->type = arena_of(p)       ? cudaMemoryTypeDevice
            : locked().has(p) ? cudaMemoryTypeHost
                              : cudaMemoryTypeUnregistered;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  make_copies();
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned, int) {
  *s = new lamina_emulated_stream{};
  (*s)->device = device_now;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  delete s;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  make_copies();
  return s && s->capture ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  make_copies();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new lamina_emulated_event{};
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) {
  e->when = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  make_copies();
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t) {
  make_copies();
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  *ms = std::chrono::duration<float, std::milli>(to->when - from->when).count();
  return cudaSuccess;
}
