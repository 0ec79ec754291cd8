// The pool of threads: every thread begins with a range of chunks of its own, the same part of
// every region, so that it finds in its caches what it wrote in the last ones (reading what another
// core wrote can be 3 to 6 times slower), and then helps the others. Workers spin, then park.
#include "core/threads.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/error.h"

namespace lamina {
namespace {

void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

double cgroup_cpus() {
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {  // version 2
    char quota[32] = "";
    double period = 0;
    const int got = std::fscanf(f, "%31s %lf", quota, &period);
    std::fclose(f);
    if (got == 2 && std::strcmp(quota, "max") && period > 0) return std::atof(quota) / period;
    return 0;
  }
  double quota = 0, period = 0;  // version 1
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r")) {
    if (std::fscanf(f, "%lf", &quota) != 1) quota = 0;
    std::fclose(f);
  }
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r")) {
    if (std::fscanf(f, "%lf", &period) != 1) period = 0;
    std::fclose(f);
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

// What is left of a thread's range of a region.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

struct Region {
  void (*fn)(void*, int64_t, int64_t);
  void* ctx;
  int64_t n, chunk;
  Share* shares;
  int threads;
  std::mutex error_mutex;
  std::exception_ptr error;

  void divide() {
    const int64_t chunks = (n + chunk - 1) / chunk;
    for (int i = 0; i < threads; ++i) {
      shares[i].next.store(chunks * i / threads * chunk, std::memory_order_relaxed);
      shares[i].end = i + 1 < threads ? chunks * (i + 1) / threads * chunk : n;
    }
  }
  void work(int thread) {
    FlushDenormals flush;
    for (int i = 0; i < threads; ++i) {
      Share& share = shares[thread + i < threads ? thread + i : thread + i - threads];
      for (;;) {
        const int64_t b = share.next.fetch_add(chunk, std::memory_order_relaxed);
        if (b >= share.end) break;
        try {
          fn(ctx, b, b + chunk < share.end ? b + chunk : share.end);
        } catch (...) {
          std::lock_guard<std::mutex> lock(error_mutex);
          if (!error) error = std::current_exception();
          for (int k = 0; k < threads; ++k)
            shares[k].next.store(shares[k].end, std::memory_order_relaxed);
        }
      }
    }
  }
};

thread_local bool t_inside = false;

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads), shares_(new Share[size_t(threads)]) {}

  int threads() const { return threads_; }

  void run(Region& region) {
    start_workers();
    region.shares = shares_.get();
    region.threads = threads_;
    region.divide();
    region_ = &region;
    pending_.store(threads_ - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);  // pairs with a worker about to park
      epoch_.fetch_add(1, std::memory_order_release);
    }
    if (parked_.load(std::memory_order_acquire)) wake_.notify_all();
    t_inside = true;
    region.work(0);
    t_inside = false;
    for (int spins = 0; pending_.load(std::memory_order_acquire) > 0; ++spins) {
      pause_cpu();
      if (spins > 2000) sched_yield();
    }
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      epoch_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
    workers_.clear();
  }

  // In a child after fork the workers are gone; forget them without joining.
  void abandon() {
    for (std::thread& t : workers_) t.detach();
    workers_.clear();
  }

  void resize(int n) {
    stop();
    stopping_ = false;
    threads_ = n;
    shares_.reset(new Share[size_t(n)]);
  }

 private:
  static constexpr int kSpins = 20000;  // about 1 ms of pauses

  void start_workers() {
    while (int(workers_.size()) < threads_ - 1) {
      const uint64_t seen = epoch_.load();
      const int thread = int(workers_.size()) + 1;
      workers_.emplace_back([this, seen, thread] { loop(seen, thread); });
    }
  }

  void loop(uint64_t seen, int thread) {
    t_inside = true;
    for (;;) {
      int spins = 0;
      while (epoch_.load(std::memory_order_acquire) == seen) {
        pause_cpu();
        if (++spins < kSpins) {
          if (spins % 512 == 0) sched_yield();  // another program may want this core
          continue;
        }
        std::unique_lock<std::mutex> lock(mutex_);
        parked_.fetch_add(1, std::memory_order_release);
        wake_.wait(lock, [&] { return epoch_.load(std::memory_order_acquire) != seen; });
        parked_.fetch_sub(1, std::memory_order_release);
      }
      ++seen;
      if (stopping_) return;
      region_->work(thread);
      pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  int threads_;
  std::unique_ptr<Share[]> shares_;
  std::vector<std::thread> workers_;
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int> pending_{0}, parked_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  Region* region_ = nullptr;
  bool stopping_ = false;
};

Pool* g_pool = nullptr;
std::mutex g_use;  // one region at a time; other callers run serially
bool g_exiting = false;

Pool& pool() {
  if (!g_pool) {
    g_pool = new Pool(default_num_threads());
    std::atexit([] {
      g_exiting = true;
      std::lock_guard<std::mutex> lock(g_use);
      g_pool->resize(1);
    });
    // The lock is held across fork so the child never inherits a region half-way; the child's
    // pool starts afresh (the old object's condition variable may be mid-wait, so it is leaked).
    pthread_atfork([] { g_use.lock(); }, [] { g_use.unlock(); },
                   [] {
                     const int n = g_pool->threads();
                     g_pool->abandon();
                     g_pool = new Pool(n);
                     g_use.unlock();
                   });
  }
  return *g_pool;
}

}  // namespace

int default_num_threads() {
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                       : int(sysconf(_SC_NPROCESSORS_ONLN));
  const double quota = cgroup_cpus();
  if (quota > 0 && quota < n) n = int(std::ceil(quota));
  if (const char* asked = std::getenv("LAMINA_THREADS")) {
    const int want = std::atoi(asked);
    if (want > 0) n = want < kMaxThreads ? want : kMaxThreads;
  }
  return n < 1 ? 1 : n;
}

int num_threads() { return pool().threads(); }

void set_num_threads(int n) {
  check(n >= 1 && n <= kMaxThreads, ErrorKind::value, "set_num_threads: expected 1 to ",
        kMaxThreads, " threads, got ", n);
  std::lock_guard<std::mutex> lock(g_use);
  if (pool().threads() != n) pool().resize(n);
}

void parallel_chunks(int64_t n, int64_t chunk, void (*fn)(void*, int64_t, int64_t), void* ctx) {
  if (n <= 0) return;
  if (t_inside || g_exiting || n <= chunk || num_threads() == 1 || !g_use.try_lock()) {
    for (int64_t b = 0; b < n; b += chunk) fn(ctx, b, b + chunk < n ? b + chunk : n);
    return;
  }
  std::lock_guard<std::mutex> lock(g_use, std::adopt_lock);
  Region region{fn, ctx, n, chunk, nullptr, 0, {}, nullptr};
  pool().run(region);
  if (region.error) std::rethrow_exception(region.error);
}

}  // namespace lamina
