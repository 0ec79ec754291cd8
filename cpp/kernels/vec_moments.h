// Sums over runs of memory, for the norms: lanes add up to kFlush vectors, then go to a double, so
// the error does not grow with the number of elements. The order of additions depends on the sizes
// only.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// Vectors added before the lanes are collected: 4 sums of 32 terms each, error below 32 rounding
// units of the partial sum, and collecting them costs little beside 128 vectors of work.
constexpr int kFlush = 128;

// Two sums over the elements of several runs: f(i, n, &a, &b) gives the two terms of the vector
// that starts at element i and holds n elements (n = kLanes but at the end of a run); lanes from n
// on must give 0.
template <class V>
struct TwoSums {
  double first = 0, second = 0;
  V a[4] = {}, b[4] = {};
  int held = 0;

  void flush() {
    first += double(hsum((a[0] + a[1]) + (a[2] + a[3])));
    second += double(hsum((b[0] + b[1]) + (b[2] + b[3])));
    for (int k = 0; k < 4; ++k) a[k] = b[k] = V{};
    held = 0;
  }
  template <class F>
  void run(int64_t size, F f) {
    constexpr int L = kLanes<V>;
    int64_t i = 0;
    while (i + 4 * L <= size) {
      const int64_t vectors = (size - i) / L, room = (kFlush - held) & ~3;
      const int64_t now = (vectors < room ? vectors : room) & ~int64_t(3);
      V s0 = a[0], s1 = a[1], s2 = a[2], s3 = a[3], t0 = b[0], t1 = b[1], t2 = b[2], t3 = b[3];
      for (const int64_t end = i + now * L; i < end; i += 4 * L) {
        V p, q;
        f(i, L, &p, &q);
        s0 += p, t0 += q;
        f(i + L, L, &p, &q);
        s1 += p, t1 += q;
        f(i + 2 * L, L, &p, &q);
        s2 += p, t2 += q;
        f(i + 3 * L, L, &p, &q);
        s3 += p, t3 += q;
      }
      a[0] = s0, a[1] = s1, a[2] = s2, a[3] = s3, b[0] = t0, b[1] = t1, b[2] = t2, b[3] = t3;
      held += int(now);
      if (held > kFlush - 4) flush();
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k, i += L) {  // unrolled, so that the sums may stay in registers
      if (i >= size) break;
      V p, q;
      f(i, size - i < L ? int(size - i) : L, &p, &q);
      a[k] += p, b[k] += q, ++held;
    }
    if (held > kFlush - 8) flush();
  }
};

// The sum of f(i, n) over the vectors of one run.
template <class V, class F>
inline double one_sum(int64_t size, F f) {
  constexpr int L = kLanes<V>;
  double total = 0;
  for (int64_t at = 0; at < size; at += kFlush * L) {
    const int64_t end = at + kFlush * L < size ? at + kFlush * L : size;
    V s0{}, s1{}, s2{}, s3{};
    int64_t i = at;
    for (; i + 4 * L <= end; i += 4 * L) {
      s0 += f(i, L);
      s1 += f(i + L, L);
      s2 += f(i + 2 * L, L);
      s3 += f(i + 3 * L, L);
    }
    for (; i < end; i += L) s0 += f(i, end - i < L ? int(end - i) : L);
    total += double(hsum((s0 + s1) + (s2 + s3)));
  }
  return total;
}

// All of it when n is the number of lanes, the first n elements otherwise.
template <class V>
inline V load_some(const Scalar<V>* p, int n, Scalar<V> fill = 0) {
  return n == kLanes<V> ? load<V>(p) : load<V>(p, n, fill);
}
template <class V>
inline void store_some(Scalar<V>* p, V v, int n) {
  n == kLanes<V> ? store(p, v) : store(p, v, n);
}

// Samples a shift is the mean of: it is then within sigma / sqrt(kSamples) of the mean, so that at
// most 1 / kSamples of the sum of squares cancels. Spread evenly, as neighbours are alike.
constexpr int kSamples = 16;
// The shift as a multiple of a rounding unit of the largest sample, so that x - shift is exact:
// otherwise its rounding, the same for all x of a binade, is an error of the mean.
template <class X>
inline X coarse(X shift, X largest) {
  const X big = largest * 12;
  return (shift + big) - big;
}

// Mean and population variance of n elements in `runs` runs of `size`, `step` apart: sums of
// d = x - shift and d^2 in one pass, shift the mean of some elements, so that nothing cancels
// (Chan, Golub and LeVeque, The American Statistician 37 (1983)).
struct Moments {
  double mean, variance;
};
template <class V>
inline Moments moments(const Scalar<V>* x, int64_t runs, int64_t size, int64_t step) {
  using T = Scalar<V>;
  const int few = size < kLanes<V> ? int(size) : kLanes<V>;
  const int64_t all = runs * size / few, samples = all < kSamples ? all : kSamples;
  const int64_t apart = all / samples * few, down = apart / size, across = apart - down * size;
  V sampled{}, top{};
  for (int64_t k = 0, r = 0, i = 0; k < samples; ++k) {
    const V some = load_some<V>(x + r * step + (i < size - few ? i : size - few), few);
    sampled += some;
    top = max(top, abs(some));
    r += down, i += across;
    if (i >= size) i -= size, ++r;
  }
  const T shift = coarse(hsum(sampled) / T(samples * few), hmax(top));
  const V s = set1<V>(shift);
  TwoSums<V> sums;
  for (int64_t r = 0; r < runs; ++r) {
    const T* const p = x + r * step;
    sums.run(size, [&](int64_t i, int n, V* a, V* b) {
      const V d = load_some<V>(p + i, n, shift) - s;
      *a = d;
      *b = d * d;
    });
  }
  sums.flush();
  const double n = double(runs) * double(size), d = sums.first / n;
  const double variance = sums.second / n - d * d;
  return {double(shift) + d, variance > 0 ? variance : variance == variance ? 0 : variance};
}

// f(i, n) over the vectors of a run.
template <class V, class F>
inline void each_vector(int64_t size, F f) {
  constexpr int L = kLanes<V>;
  int64_t i = 0;
  for (; i + L <= size; i += L) f(i, L);
  if (i < size) f(i, int(size - i));
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
