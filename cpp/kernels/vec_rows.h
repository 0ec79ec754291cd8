// Parts of a dense row as vectors, the largest element of a row, and sums over it, block by block
// into a double.
#pragma once
#include "kernels/vec_math.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int64_t kSumBlock = 512;

template <class V>
inline V part(const Scalar<V>* p, int64_t n, Scalar<V> fill) {
  return n >= kLanes<V> ? load<V>(p) : load<V>(p, int(n), fill);
}
template <class V>
inline void put(Scalar<V>* p, V v, int64_t n) {
  if (n >= kLanes<V>)
    store(p, v);
  else
    store(p, v, int(n));
}
template <class V>
constexpr Scalar<V> kLowest = -Scalar<V>(__builtin_inf());
template <class V>
inline Scalar<V> log_of(Scalar<V> s) {
  return log(set1<V>(s))[0];
}

// ---- one dense row -----------------------------------------------------------------------------
template <class V>
inline Scalar<V> row_max(const Scalar<V>* x, int64_t n) {
  constexpr int64_t L = kLanes<V>;
  V a = part<V>(x, n, kLowest<V>);
  if (n <= L) return hmax(a);
  V b = a;
  int64_t i = L;
  for (; i + 2 * L <= n; i += 2 * L) {
    a = max(a, load<V>(x + i));
    b = max(b, load<V>(x + i + L));
  }
  for (; i < n; i += L) a = max(a, part<V>(x + i, n - i, kLowest<V>));
  return hmax(max(a, b));
}
// sum over i of f(i, how many), a vector of terms that is 0 in unused lanes.
template <class V, class F>
inline double row_sum(int64_t n, F f) {
  constexpr int64_t L = kLanes<V>;
  double s = 0;
  for (int64_t b = 0; b < n; b += kSumBlock) {
    const int64_t end = n - b < kSumBlock ? n : b + kSumBlock;
    V a = V{}, c = V{};
    int64_t i = b;
    for (; i + 2 * L <= end; i += 2 * L) {
      a = a + f(i, L);
      c = c + f(i + L, L);
    }
    for (; i < end; i += L) a = a + f(i, end - i);
    s += hsum(a + c);
  }
  return s;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
