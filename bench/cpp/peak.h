// What the machine can do, measured in the run that quotes it: multiply-adds per second from
// registers, and bytes per second from memory.
#pragma once
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lamina::bench {

inline double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

// Independent chains of multiply-adds, enough to hide their latency, in vectors of `bytes`.
template <class T, int bytes>
struct Chains {
  static constexpr int kChains = 12, kLanes = bytes / int(sizeof(T));
  typedef T V __attribute__((vector_size(bytes)));
  static constexpr int64_t operations(int64_t steps) { return steps * kChains * kLanes * 2; }
};

#if defined(__x86_64__)
// 256-bit vectors: on CPUs with one 512-bit unit or two 256-bit ones the rates agree; where there
// are two 512-bit units the peak is higher and the shares printed are too high by up to 2.
template <class T>
__attribute__((target("avx2,fma"), noinline)) void multiply_adds(int64_t steps, T* out) {
  using C = Chains<T, 32>;
  typename C::V x[C::kChains], a = {}, b = {};
  a += T(0.999);
  b += T(0.001);
  for (int i = 0; i < C::kChains; ++i) x[i] = a * T(i);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < C::kChains; ++i) {
      if constexpr (sizeof(T) == 4)
        x[i] = typename C::V(_mm256_fmadd_ps(__m256(x[i]), __m256(a), __m256(b)));
      else
        x[i] = typename C::V(_mm256_fmadd_pd(__m256d(x[i]), __m256d(a), __m256d(b)));
    }
  }
  T sum = 0;
  for (int i = 0; i < C::kChains; ++i) sum += x[i][0];
  *static_cast<volatile T*>(out) = sum;  // the work must not look useless
}
template <class T>
__attribute__((target("avx512f"), noinline)) void wide_multiply_adds(int64_t steps, T* out) {
  using C = Chains<T, 64>;
  typename C::V x[C::kChains], a = {}, b = {};
  a += T(0.999);
  b += T(0.001);
  for (int i = 0; i < C::kChains; ++i) x[i] = a * T(i);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < C::kChains; ++i) {
      if constexpr (sizeof(T) == 4)
        x[i] = typename C::V(_mm512_fmadd_ps(__m512(x[i]), __m512(a), __m512(b)));
      else
        x[i] = typename C::V(_mm512_fmadd_pd(__m512d(x[i]), __m512d(a), __m512d(b)));
    }
  }
  T sum = 0;
  for (int i = 0; i < C::kChains; ++i) sum += x[i][0];
  *static_cast<volatile T*>(out) = sum;  // the work must not look useless
}
template <class T>
int64_t timed_steps(int64_t steps, T* out) {
  if (__builtin_cpu_supports("avx512f")) {
    wide_multiply_adds<T>(steps, out);
    return Chains<T, 64>::operations(steps);
  }
  if (__builtin_cpu_supports("fma")) {
    multiply_adds<T>(steps, out);
    return Chains<T, 32>::operations(steps);
  }
  return 0;
}
#endif

// Elsewhere: what the compiler makes of products and sums in 128-bit vectors.
template <class T>
__attribute__((noinline)) int64_t plain_steps(int64_t steps, T* out) {
  using C = Chains<T, 16>;
  typename C::V x[C::kChains], a = {}, b = {};
  a += T(0.999);
  b += T(0.001);
  for (int i = 0; i < C::kChains; ++i) x[i] = a * T(i);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < C::kChains; ++i) x[i] = x[i] * a + b;
  }
  T sum = 0;
  for (int i = 0; i < C::kChains; ++i) sum += x[i][0];
  *static_cast<volatile T*>(out) = sum;  // the work must not look useless
  return C::operations(steps);
}

// The pool's threads all run f(thread) at once; the best of `rounds`, in units of f per second.
template <class F>
double best_rate(int rounds, F f) {
  double best = 0;
  for (int r = 0; r < rounds; ++r) {
    const int threads = num_threads();
    std::vector<double> done(static_cast<size_t>(threads), 0.0);
    const double start = seconds();
    const auto one = [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) done[size_t(i)] = f(int(i));
    };
    using Fn = decltype(one);
    parallel_chunks(
        threads, 1, [](void* ctx, int64_t b, int64_t e) { (*static_cast<const Fn*>(ctx))(b, e); },
        const_cast<void*>(static_cast<const void*>(&one)));
    const double time = seconds() - start;
    double total = 0;
    for (const double d : done) total += d;
    if (total / time > best) best = total / time;
  }
  return best;
}

// Floating-point operations per second of all threads together.
template <class T>
double peak_flops() {
  static std::vector<std::pair<int, double>> known;  // by number of threads
  for (const auto& [threads, rate] : known)
    if (threads == num_threads()) return rate;
  const double rate = best_rate(5, [](int) {
    T out;
#if defined(__x86_64__)
    if (const int64_t n = timed_steps<T>(2'000'000, &out)) return double(n);
#endif
    return double(plain_steps<T>(2'000'000, &out));
  });
  known.emplace_back(num_threads(), rate);
  return rate;
}

// Bytes read per second from memory (256 MB, far more than the caches), all threads together.
inline double memory_bandwidth() {
  static std::vector<std::pair<int, double>> known;
  for (const auto& [threads, rate] : known)
    if (threads == num_threads()) return rate;
  const size_t n = size_t(64) << 20;
  const std::vector<float> data(n, 1.0f);
  const size_t part = n / size_t(num_threads());
  std::vector<float> sums(static_cast<size_t>(num_threads()));  // the work must not look useless
  const double rate = best_rate(3, [&](int thread) {
    const float* p = data.data() + part * size_t(thread);
    typedef float V __attribute__((vector_size(16), aligned(4)));
    V sum[8] = {};
    for (size_t i = 0; i + 32 <= part; i += 32)
      for (int k = 0; k < 8; ++k) sum[k] += *reinterpret_cast<const V*>(p + i + 4 * size_t(k));
    float total = 0;
    for (const V& s : sum) total += s[0] + s[1] + s[2] + s[3];
    *static_cast<volatile float*>(&sums[size_t(thread)]) = total;
    return double(part * sizeof(float));
  });
  known.emplace_back(num_threads(), rate);
  return rate;
}

}  // namespace lamina::bench
