// The device's run time: the pool of its memory, streams and events, copies, reports.
//
// The pool keeps what it was given, by device, stream and size class (four per power of two), as
// the core's does. A block goes back to the stream it was taken on, so that work in the order of
// the stream makes its next use safe without waiting; only when the device has no more is
// everything waited for and given back.
#include "runtime.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph.h"
#include "table.h"

namespace lamina::cuda {
namespace {

const HostTable* host = nullptr;
std::string trouble;
int devices = 0;

constexpr size_t kSmallest = 512;

size_t rounded(size_t bytes) {  // up to one of four sizes per doubling
  if (bytes <= kSmallest) return kSmallest;
  const int top = 63 - __builtin_clzll(bytes - 1);
  const size_t quarter = size_t(1) << (top - 2);
  return (bytes + quarter - 1) / quarter * quarter;
}

struct Pool {
  std::mutex mutex;
  std::map<std::pair<cudaStream_t, size_t>, std::vector<void*>> free;
  std::unordered_map<void*, cudaStream_t> stream_of;  // of blocks in use
  uint64_t in_use = 0, peak = 0, reserved = 0, peak_reserved = 0;
  Report* report = nullptr;         // as the host addresses it
  Report* report_device = nullptr;  // as kernels do
};
Pool& pool(int device) {
  static Pool* pools = new Pool[64];
  return pools[device];
}

thread_local std::unordered_map<int, cudaStream_t> streams;

void give_back(Pool& p) {  // the caller holds the lock
  check(cudaDeviceSynchronize(), "empty_cache");
  for (auto& [key, blocks] : p.free)
    for (void* b : blocks) {
      cudaFree(b);
      p.reserved -= key.second;
    }
  p.free.clear();
}

std::string human(uint64_t bytes) {
  char text[64];
  if (bytes >= 1 << 30)
    std::snprintf(text, sizeof text, "%.2f GiB", double(bytes) / double(1 << 30));
  else if (bytes >= 1 << 20)
    std::snprintf(text, sizeof text, "%.1f MiB", double(bytes) / double(1 << 20));
  else
    std::snprintf(text, sizeof text, "%llu bytes", static_cast<unsigned long long>(bytes));
  return text;
}

}  // namespace

void fail(Kind kind, const char* format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  std::vsnprintf(text, sizeof text, format, list);
  va_end(list);
  host->fail(int(kind), text);
  std::abort();
}
void check(cudaError_t e, const char* what) {
  if (e != cudaSuccess) {
    cudaGetLastError();
    fail(kRuntime, "%s: the CUDA device reports: %s", what, cudaGetErrorString(e));
  }
}

OnDevice::OnDevice(int device) : now(device) {
  cudaGetDevice(&before);
  if (device != before) check(cudaSetDevice(device), "cudaSetDevice");
}
OnDevice::~OnDevice() {
  if (now != before) cudaSetDevice(before);
}

// The stream in use, also while another one is captured for a graph.
static cudaStream_t stream_in_use(int device) {
  return streams.empty() ? nullptr : streams[device];
}
cudaStream_t current_stream(int device) {
  cudaStream_t captured;
  return graph_stream(device, &captured) ? captured : stream_in_use(device);
}

void* allocate(int device, size_t bytes) {
  const OnDevice on(device);
  const size_t size = rounded(bytes);
  if (void* const kept = graph_allocate(device, size)) return kept;
  Pool& p = pool(device);
  std::lock_guard<std::mutex> lock(p.mutex);
  const cudaStream_t stream = current_stream(device);
  void* block = nullptr;
  auto it = p.free.find({stream, size});
  if (it != p.free.end() && !it->second.empty()) {
    block = it->second.back();
    it->second.pop_back();
  } else {
    cudaError_t e = cudaMalloc(&block, size);
    if (e == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      uint64_t largest = 0;
      for (const auto& [key, blocks] : p.free)
        if (!blocks.empty() && key.second > largest) largest = key.second;
      give_back(p);
      e = cudaMalloc(&block, size);
      if (e == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        size_t free = 0, total = 0;
        cudaMemGetInfo(&free, &total);
        fail(kMemory,
             "cuda: out of memory on cuda:%d: %s asked, %s of %s free, %s in use by tensors (the "
             "largest block that was cached had %s); use a smaller batch or free tensors",
             device, human(bytes).c_str(), human(free).c_str(), human(total).c_str(),
             human(p.in_use).c_str(), human(largest).c_str());
      }
    }
    check(e, "cudaMalloc");
    p.reserved += size;
    if (p.reserved > p.peak_reserved) p.peak_reserved = p.reserved;
  }
  p.in_use += size;
  if (p.in_use > p.peak) p.peak = p.in_use;
  if (stream) p.stream_of[block] = stream;
  return block;
}

void release(int device, void* block, size_t bytes) {
  const size_t size = rounded(bytes);
  if (graph_release(device, block, size)) return;
  Pool& p = pool(device);
  std::lock_guard<std::mutex> lock(p.mutex);
  cudaStream_t stream = nullptr;
  if (const auto it = p.stream_of.find(block); it != p.stream_of.end()) {
    stream = it->second;
    p.stream_of.erase(it);
  }
  p.in_use -= size;
  p.free[{stream, size}].push_back(block);
}

Report* report_of(int device) {
  Pool& p = pool(device);
  std::lock_guard<std::mutex> lock(p.mutex);
  if (!p.report) {
    const OnDevice on(device);
    void *mine = nullptr, *theirs = nullptr;
    check(cudaHostAlloc(&mine, sizeof(Report), cudaHostAllocMapped), "cudaHostAlloc");
    check(cudaHostGetDevicePointer(&theirs, mine, 0), "cudaHostGetDevicePointer");
    std::memset(mine, 0, sizeof(Report));
    p.report = static_cast<Report*>(mine);
    p.report_device = static_cast<Report*>(theirs);
  }
  return p.report_device;
}

// The device is idle when this is called.
void raise_reports(int device) {
  Report found{};
  {
    Pool& p = pool(device);
    std::lock_guard<std::mutex> lock(p.mutex);
    if (!p.report || !*static_cast<volatile int*>(&p.report->taken)) return;
    found = *p.report;
    std::memset(p.report, 0, sizeof(Report));
  }
  char text[512];
  std::snprintf(text, sizeof text, found.text, found.value, found.bound);
  fail(Kind(found.kind),
       "%s%s%s (found when the device was synchronised; the tensors computed "
       "since are not to be used)",
       found.op, *found.op ? ": " : "", text);
}

namespace {

int t_count() { return devices; }
const char* t_why() { return trouble.c_str(); }
void t_properties(int device, DeviceProperties* out) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device), "get_device_properties");
  *out = {};
  std::snprintf(out->name, sizeof out->name, "%s", p.name);
  out->major = p.major;
  out->minor = p.minor;
  out->multiprocessors = p.multiProcessorCount;
  out->warp_size = p.warpSize;
  out->threads_per_block = p.maxThreadsPerBlock;
  out->threads_per_multiprocessor = p.maxThreadsPerMultiProcessor;
  out->bus_bits = p.memoryBusWidth;
  out->memory = p.totalGlobalMem;
  out->shared_per_block = p.sharedMemPerBlock;
  out->l2_bytes = uint64_t(p.l2CacheSize);
  cudaDeviceGetAttribute(&out->clock_khz, cudaDevAttrClockRate, device);
  cudaDeviceGetAttribute(&out->memory_clock_khz, cudaDevAttrMemoryClockRate, device);
#ifdef LAMINA_EMULATED
  out->emulated = true;
#endif
}
void t_memory(int device, DeviceMemory* out) {
  const OnDevice on(device);
  Pool& p = pool(device);
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "mem_get_info");
  std::lock_guard<std::mutex> lock(p.mutex);
  *out = {p.in_use, p.peak, p.reserved, p.peak_reserved, free, total};
}
void t_reset_peak(int device) {
  Pool& p = pool(device);
  std::lock_guard<std::mutex> lock(p.mutex);
  p.peak = p.in_use;
  p.peak_reserved = p.reserved;
}
void t_empty_cache(int device) {
  const OnDevice on(device);
  Pool& p = pool(device);
  std::lock_guard<std::mutex> lock(p.mutex);
  give_back(p);
}
void* t_host_allocate(size_t bytes) {
  void* p = nullptr;
  check(cudaHostAlloc(&p, bytes ? bytes : 1, cudaHostAllocDefault), "pin_memory");
  return p;
}
void t_host_release(void* p) { cudaFreeHost(p); }
bool page_locked(const void* host) {
  cudaPointerAttributes a{};
  if (cudaPointerGetAttributes(&a, host) == cudaSuccess) return a.type == cudaMemoryTypeHost;
  cudaGetLastError();
  return false;
}
void t_copy(void* to, int to_device, const void* from, int from_device, size_t bytes, bool wait) {
  const int device = from_device >= 0 ? from_device : to_device;
  const bool between = from_device >= 0 && to_device >= 0 && from_device != to_device;
  if (between) {  // whose stream does not know of this one: what it still does there comes first
    const OnDevice there(to_device);
    check(cudaStreamSynchronize(stream_in_use(to_device)), "copy");
  }
  const OnDevice on(device);
  const cudaStream_t s = stream_in_use(device);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, s), "copy");
  // Pageable memory has been read by now, page-locked memory has not.
  const bool host_source = wait && from_device < 0 && page_locked(from);
  if (between || host_source || (to_device < 0 && wait)) check(cudaStreamSynchronize(s), "copy");
  if (to_device < 0 && wait) raise_reports(device);
}
void t_synchronize(int device) {
  const OnDevice on(device);
  check(cudaDeviceSynchronize(), "synchronize");
  raise_reports(device);
}

cudaStream_t stream_of(void* s) { return static_cast<cudaStream_t>(s); }
cudaEvent_t event_of(void* e) { return static_cast<cudaEvent_t>(e); }
void* t_stream_create(int device, int priority) {
  const OnDevice on(device);
  cudaStream_t s = nullptr;
  check(cudaStreamCreateWithPriority(&s, cudaStreamNonBlocking, priority), "Stream");
  return s;
}
void t_stream_destroy(int device, void* s) {
  const OnDevice on(device);
  cudaStreamSynchronize(stream_of(s));
  {  // what waits for this stream may be used on any other now
    Pool& p = pool(device);
    std::lock_guard<std::mutex> lock(p.mutex);
    for (auto& [key, blocks] : p.free)
      if (key.first == stream_of(s)) {
        auto& home = p.free[{nullptr, key.second}];
        home.insert(home.end(), blocks.begin(), blocks.end());
        blocks.clear();
      }
    for (auto it = p.stream_of.begin(); it != p.stream_of.end();)
      it = it->second == stream_of(s) ? p.stream_of.erase(it) : std::next(it);
  }
  cudaStreamDestroy(stream_of(s));
}
void t_stream_synchronize(int device, void* s) {
  const OnDevice on(device);
  check(cudaStreamSynchronize(stream_of(s)), "Stream.synchronize");
  raise_reports(device);
}
bool t_stream_idle(int device, void* s) {
  const OnDevice on(device);
  return cudaStreamQuery(stream_of(s)) == cudaSuccess;
}
void* t_stream_current(int device) { return stream_in_use(device); }
void t_stream_use(int device, void* s) { streams[device] = stream_of(s); }
void t_stream_wait(int device, void* s, void* e) {
  const OnDevice on(device);
  check(cudaStreamWaitEvent(stream_of(s), event_of(e), 0), "Stream.wait_event");
}
void* t_event_create(int device, bool timing) {
  const OnDevice on(device);
  cudaEvent_t e = nullptr;
  check(cudaEventCreateWithFlags(&e, timing ? cudaEventDefault : cudaEventDisableTiming), "Event");
  return e;
}
void t_event_destroy(int, void* e) { cudaEventDestroy(event_of(e)); }
void t_event_record(int device, void* e, void* s) {
  const OnDevice on(device);
  check(cudaEventRecord(event_of(e), stream_of(s)), "Event.record");
}
void t_event_synchronize(int device, void* e) {
  check(cudaEventSynchronize(event_of(e)), "Event.synchronize");
  const OnDevice on(device);
}
bool t_event_done(int, void* e) { return cudaEventQuery(event_of(e)) == cudaSuccess; }
float t_event_elapsed(int, void* from, void* to) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, event_of(from), event_of(to)), "Event.elapsed_time");
  return ms;
}

void t_launch(const DeviceKernel& kernel, const DeviceCall& call) {
  const OnDevice on(call.device);  // a default stream is that of the current one
  kernel.launch(call);
}

const DeviceTable kTable{kDeviceVersion,
                         t_count,
                         t_why,
                         t_properties,
                         allocate,
                         release,
                         t_memory,
                         t_reset_peak,
                         t_empty_cache,
                         t_host_allocate,
                         t_host_release,
                         t_copy,
                         t_synchronize,
                         t_stream_create,
                         t_stream_destroy,
                         t_stream_synchronize,
                         t_stream_idle,
                         t_stream_current,
                         t_stream_use,
                         t_stream_wait,
                         t_event_create,
                         t_event_destroy,
                         t_event_record,
                         t_event_synchronize,
                         t_event_done,
                         t_event_elapsed,
                         graph_begin,
                         graph_call,
                         graph_end,
                         graph_refresh,
                         graph_launch,
                         graph_destroy,
                         find_launch,
                         t_launch,
                         launch_names};

}  // namespace

extern "C" __attribute__((visibility("default"))) const DeviceTable* lamina_device(
    const HostTable* h) {
  if (h->version != kDeviceVersion) return nullptr;
  host = h;
  const cudaError_t e = cudaGetDeviceCount(&devices);
  if (e != cudaSuccess || devices == 0) {
    devices = 0;
    int driver = 0;
    cudaDriverGetVersion(&driver);
    cudaGetLastError();
    trouble = std::string("no NVIDIA GPU can be used (") +
              (driver == 0        ? "there is no NVIDIA driver"
               : e != cudaSuccess ? cudaGetErrorString(e)
                                  : "the driver lists none") +
              ")";
  }
  if (devices > 64) devices = 64;
  return &kTable;
}

}  // namespace lamina::cuda
