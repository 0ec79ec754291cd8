// The thread pool: fork-join over index ranges.
//
// Workers spin for about a millisecond after a region before they park (waking a parked thread
// costs 10-100 microseconds), number min(affinity, cgroup quota, LAMINA_THREADS), flush denormals,
// and are started again in a child after fork. The caller takes part in the work.
#pragma once
#include <cstdint>
#include <type_traits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lamina {

// Denormal floats cost 30-100x in some kernels and mean nothing in training: they count as zero
// inside every launch and every worker, and the caller's setting is restored afterwards.
struct FlushDenormals {
#if defined(__x86_64__)
  unsigned before = _mm_getcsr();
  FlushDenormals() { _mm_setcsr(before | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
  uint64_t before;
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before));
    asm volatile("msr fpcr, %0" ::"r"(before | (uint64_t(1) << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(before)); }
#endif
};

constexpr int kMaxThreads = 256;
int num_threads();
void set_num_threads(int n);  // 1 to kMaxThreads
int default_num_threads();    // from affinity, the cgroup's quota and LAMINA_THREADS

// Calls fn(ctx, begin, end) over [0, n) in pieces of `chunk` (a property of the work, never of the
// number of threads). Exceptions from fn are rethrown on the caller. Nested calls run serially.
void parallel_chunks(int64_t n, int64_t chunk, void (*fn)(void*, int64_t, int64_t), void* ctx);

// Work cheaper than this is not worth a second thread (measured: fork-join plus cache traffic).
constexpr double kSerialNanoseconds = 8000;

// fn(begin, end) over rows that cost about `ns_per_row` nanoseconds each on one thread. The only
// place with a grain size: pieces of at least ~4 microseconds, at most 4 per thread.
template <class F>
void parallel_rows(int64_t rows, double ns_per_row, F&& fn) {
  if (rows <= 0) return;
  if (rows == 1 || rows * ns_per_row < kSerialNanoseconds || num_threads() == 1) {
    fn(int64_t(0), rows);
    return;
  }
  const int64_t pieces = int64_t(num_threads()) * 4;
  int64_t chunk = (rows + pieces - 1) / pieces;
  const int64_t least = int64_t(4000 / (ns_per_row > 0.01 ? ns_per_row : 0.01)) + 1;
  if (chunk < least) chunk = least;
  using Fn = std::remove_reference_t<F>;
  parallel_chunks(
      rows, chunk, [](void* ctx, int64_t b, int64_t e) { (*static_cast<Fn*>(ctx))(b, e); },
      const_cast<void*>(static_cast<const void*>(&fn)));
}

}  // namespace lamina
