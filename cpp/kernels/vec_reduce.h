// What reductions accumulate, one struct per kind: Summing, Squares, Product, Extreme. Each says
// how a lane takes an element (step), how two lanes meet (meet, join), and how a block's result
// goes into the accumulator that is kept per output (start, take, merge, value): a double, a
// compensated double (float64 sums), or an integer modulo 2^64.
#pragma once
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
struct SlotOf {
  using A = double;
};
template <>
struct SlotOf<I64> {
  using A = int64_t;
};
template <class V>
using Slot = typename SlotOf<V>::A;

template <class V>
constexpr bool kIsFloat = !__is_same(V, I64);

template <class V>
inline V part(const Scalar<V>* p, int n, Scalar<V> fill) {
  if constexpr (kIsFloat<V>) return load<V>(p, n, fill);
  V v;
  for (int i = 0; i < kLanes<V>; ++i) v[i] = i < n ? p[i] : fill;
  return v;
}
template <class V>
inline V splat(Scalar<V> s) {
  return set1<V>(s);
}
// Integers modulo 2^64.
template <class T>
inline T plus(T a, T b) {
  return a + b;
}
inline int64_t plus(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
inline I64 plus(I64 a, I64 b) { return I64(U64(a) + U64(b)); }
template <class T>
inline T times(T a, T b) {
  return a * b;
}
inline int64_t times(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
inline I64 times(I64 a, I64 b) { return I64(U64(a) * U64(b)); }

template <class T>
inline bool is_nan(T x) {
  return x != x;
}

// s += x, the rounding error kept in c.
inline void add_compensated(double& s, double& c, double x) {
  const double t = s + x;
  c += __builtin_fabs(s) >= __builtin_fabs(x) ? (s - t) + x : (x - t) + s;
  s = t;
}
inline double compensated(double s, double c) {
  const double t = s + c;
  return t - t == 0 ? t : s;  // an infinite sum has no error term
}

// ---- kinds with one vector accumulator ---------------------------------------------------------
template <class V_>
struct Summing {
  using V = V_;
  using T = Scalar<V>;
  using A = Slot<V>;
  static constexpr int planes = __is_same(V, F64) ? 2 : 1;
  static T identity() { return 0; }
  static T join(T a, T b) { return plus(a, b); }
  static V step(V a, V x) { return plus(a, x); }
  static V meet(V a, V b) { return plus(a, b); }
  static void start(A* acc, int64_t plane) {
    acc[0] = 0;
    if constexpr (planes == 2) acc[plane] = 0;
  }
  static void take(A* acc, int64_t plane, T x) {
    if constexpr (planes == 2)
      add_compensated(acc[0], acc[plane], x);
    else
      acc[0] = plus(acc[0], A(x));
  }
  static void merge(A* acc, int64_t plane, const A* b, int64_t bplane) {
    if constexpr (planes == 2) {
      add_compensated(acc[0], acc[plane], b[0]);
      acc[plane] += b[bplane];
    } else {
      acc[0] = plus(acc[0], b[0]);
    }
  }
  static A value(const A* acc, int64_t plane) {
    if constexpr (planes == 2) return compensated(acc[0], acc[plane]);
    return acc[0];
  }
};
template <class V>
struct Squares : Summing<V> {
  static V step(V a, V x) {
    if constexpr (kIsFloat<V>)
      return fma(x, x, a);
    else
      return plus(a, times(x, x));
  }
};
template <class V_>
struct Product {
  using V = V_;
  using T = Scalar<V>;
  using A = Slot<V>;
  static constexpr int planes = 1;
  static T identity() { return 1; }
  static T join(T a, T b) { return times(a, b); }
  static V step(V a, V x) { return times(a, x); }
  static V meet(V a, V b) { return times(a, b); }
  static void start(A* acc, int64_t) { acc[0] = 1; }
  static void take(A* acc, int64_t, T x) { acc[0] = times(acc[0], A(x)); }
  static void merge(A* acc, int64_t, const A* b, int64_t) { acc[0] = times(acc[0], b[0]); }
  static A value(const A* acc, int64_t) { return acc[0]; }
};
// largest = false: the same for the smallest.
template <class V_, bool largest>
struct Extreme {
  using V = V_;
  using T = Scalar<V>;
  using A = Slot<V>;
  static constexpr int planes = 1;
  static constexpr bool exact = true;  // in any order, over any length
  static T identity() {
    if constexpr (kIsFloat<V>)
      return largest ? -T(__builtin_inf()) : T(__builtin_inf());
    else
      return largest ? INT64_MIN : INT64_MAX;
  }
  template <class X>
  static bool better(X x, X than) {
    return (largest ? x > than : x < than) || (is_nan(x) && !is_nan(than));
  }
  template <class X>
  static X join(X a, X b) {
    return (largest ? b > a : b < a) || is_nan(b) ? b : a;
  }
  static V step(V a, V x) {
    const auto m = largest ? x > a : x < a;
    if constexpr (kIsFloat<V>)
      return select(m | (x != x), x, a);
    else
      return select(m, x, a);
  }
  static V meet(V a, V b) { return step(a, b); }
  static void start(A* acc, int64_t) { acc[0] = A(identity()); }
  static void take(A* acc, int64_t, T x) { acc[0] = join(acc[0], A(x)); }
  static void merge(A* acc, int64_t, const A* b, int64_t) { acc[0] = join(acc[0], b[0]); }
  static A value(const A* acc, int64_t) { return acc[0]; }
};

}  // namespace
}  // namespace lamina::LAMINA_ISA
