// Reductions: the inner loops over a run of elements, and over rows of side-by-side outputs.
//
// Layout: a run is dense; columns are dense rows, row_stride apart. Elements are accumulated in
// lanes of their own type over blocks (512 elements of a run, 16 rows of columns); a block's result
// then goes into a double (float32), a compensated double (float64; Neumaier, ZAMM 54, 1974) or an
// int64. So the error of a float32 sum is that of at most 32 additions, whatever its length.
// Moments: deviations from the block's own mean, blocks joined as in Chan, Golub and LeVeque (The
// American Statistician 37, 1983). Cost: one pass; positions and moments read a block twice.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_reduce.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int64_t kRunBlock = 512, kRowBlock = 16;

// One block of a run: four accumulators, joined in a fixed tree.
template <class K>
inline Scalar<typename K::V> block(const Scalar<typename K::V>* x, int64_t n) {
  using V = typename K::V;
  constexpr int64_t L = kLanes<V>;
  V a = splat<V>(K::identity());
  if (n >= 4 * L) {
    V b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * L <= n; i += 4 * L) {
      a = K::step(a, load<V>(x + i));
      b = K::step(b, load<V>(x + i + L));
      c = K::step(c, load<V>(x + i + 2 * L));
      d = K::step(d, load<V>(x + i + 3 * L));
    }
    a = K::meet(K::meet(a, b), K::meet(c, d));
    x += i;
    n -= i;
  }
  for (; n >= L; n -= L, x += L) a = K::step(a, load<V>(x));
  if (n) a = K::step(a, part<V>(x, int(n), K::identity()));
  return fold(a, [](auto p, auto q) { return K::join(p, q); });
}

// Rows [0, rows), rows <= kRowBlock, of up to 4 vectors of columns: partial results to y.
template <class K, int vectors>
inline void column_block(const Scalar<typename K::V>* x, int64_t row_stride, int64_t rows, int last,
                         Scalar<typename K::V>* y) {
  using V = typename K::V;
  constexpr int64_t L = kLanes<V>;
  V a[vectors];
  for (int v = 0; v < vectors; ++v) a[v] = splat<V>(K::identity());
  for (int64_t r = 0; r < rows; ++r, x += row_stride) {
    for (int v = 0; v < vectors - 1; ++v) a[v] = K::step(a[v], load<V>(x + v * L));
    const Scalar<V>* const end = x + (vectors - 1) * L;
    a[vectors - 1] =
        K::step(a[vectors - 1], last == L ? load<V>(end) : part<V>(end, last, K::identity()));
  }
  for (int v = 0; v < vectors; ++v) store(y + v * L, a[v]);
}

template <class K>
struct Simple : K {
  using V = typename K::V;
  using T = Scalar<V>;
  using A = Slot<V>;
  static void run(const void* xv, int64_t n, int64_t, void* acc) {
    const T* x = static_cast<const T*>(xv);
    int64_t most = kRunBlock;
    if constexpr (requires { K::exact; }) most = n;
    for (; n > 0; n -= most, x += most)
      K::take(static_cast<A*>(acc), 1, block<K>(x, n < most ? n : most));
  }
  static void columns(const void* xv, int64_t row_stride, int64_t rows, int64_t n, int64_t,
                      void* accv, int64_t plane) {
    constexpr int64_t L = kLanes<V>;
    const T* const x = static_cast<const T*>(xv);
    A* const acc = static_cast<A*>(accv);
    for (int64_t r = 0; r < rows; r += kRowBlock) {
      const int64_t m = rows - r < kRowBlock ? rows - r : kRowBlock;
      const T* const from = x + r * row_stride;
      for (int64_t j = 0; j < n; j += 4 * L) {
        const int64_t w = n - j < 4 * L ? n - j : 4 * L;
        const int last = int(w % L ? w % L : L);
        T y[4 * L];
        if (w > 3 * L)
          column_block<K, 4>(from + j, row_stride, m, last, y);
        else if (w > 2 * L)
          column_block<K, 3>(from + j, row_stride, m, last, y);
        else if (w > L)
          column_block<K, 2>(from + j, row_stride, m, last, y);
        else
          column_block<K, 1>(from + j, row_stride, m, last, y);
        for (int64_t i = 0; i < w; ++i) K::take(acc + j + i, plane, y[i]);
      }
    }
  }
  static void result(T* y, int64_t*, const A* acc, int64_t plane, const ReduceFinish& f) {
    const A s = K::value(acc, plane);
    if constexpr (kIsFloat<V>) {
      *y = T(f.form == ReduceFinish::quotient ? s / f.p
             : f.form == ReduceFinish::root   ? __builtin_sqrt(s)
                                              : s);
    } else {
      *y = s;
    }
  }
};

// ---- count, mean, sum of squared deviations ----------------------------------------------------
template <class V_>
struct Moments {
  using V = V_;
  using T = Scalar<V>;
  using A = double;
  static constexpr int planes = 3;
  static void start(A* acc, int64_t plane) { acc[0] = acc[plane] = acc[2 * plane] = 0; }
  static void join(A* acc, int64_t plane, double n, double mean, double square) {
    const double total = acc[0] + n, d = mean - acc[plane];
    if (n == 0) return;
    acc[2 * plane] += square + d * d * (acc[0] * n / total);
    acc[plane] += d * (n / total);
    acc[0] = total;
  }
  static void merge(A* acc, int64_t plane, const A* b, int64_t bplane) {
    join(acc, plane, b[0], b[bplane], b[2 * bplane]);
  }
  // d = sum(x - m), s = sum((x - m)^2) about any m near the mean give both exactly enough.
  static void take(A* acc, int64_t plane, double n, double m, double d, double s) {
    join(acc, plane, n, m + d / n, s - d * d / n);
  }
  static void run(const void* xv, int64_t n, int64_t, void* acc) {
    const T* x = static_cast<const T*>(xv);
    constexpr int64_t L = kLanes<V>;
    for (; n > 0; n -= kRunBlock, x += kRunBlock) {
      const int64_t w = n < kRunBlock ? n : kRunBlock;
      const T m = T(block<Summing<V>>(x, w) / T(w));
      const V mean = splat<V>(m);
      V d = V{}, s = V{}, d1 = V{}, s1 = V{};
      int64_t i = 0;
      for (; i + 2 * L <= w; i += 2 * L) {
        const V e = load<V>(x + i) - mean, e1 = load<V>(x + i + L) - mean;
        d = d + e;
        s = fma(e, e, s);
        d1 = d1 + e1;
        s1 = fma(e1, e1, s1);
      }
      for (; i < w; i += L) {
        const V e = (w - i >= L ? load<V>(x + i) : part<V>(x + i, int(w - i), m)) - mean;
        d1 = d1 + e;
        s1 = fma(e, e, s1);
      }
      take(static_cast<A*>(acc), 1, double(w), m, hsum(d + d1), hsum(s + s1));
    }
  }
  static void columns(const void* xv, int64_t row_stride, int64_t rows, int64_t n, int64_t,
                      void* accv, int64_t plane) {
    constexpr int64_t L = kLanes<V>;
    const T* const x = static_cast<const T*>(xv);
    A* const acc = static_cast<A*>(accv);
    for (int64_t r = 0; r < rows; r += kRowBlock) {
      const int64_t m = rows - r < kRowBlock ? rows - r : kRowBlock;
      for (int64_t j = 0; j < n; j += L) {
        const int w = int(n - j < L ? n - j : L);
        const T* const from = x + r * row_stride + j;
        auto row = [&](int64_t k) {
          return w == L ? load<V>(from + k * row_stride) : part<V>(from + k * row_stride, w, 0);
        };
        V sum = V{}, d = V{}, s = V{};
        for (int64_t k = 0; k < m; ++k) sum = sum + row(k);
        const V mean = sum / splat<V>(T(m));
        for (int64_t k = 0; k < m; ++k) {
          const V e = row(k) - mean;
          d = d + e;
          s = fma(e, e, s);
        }
        T mt[L], dt[L], st[L];
        store(mt, mean);
        store(dt, d);
        store(st, s);
        for (int i = 0; i < w; ++i) take(acc + j + i, plane, double(m), mt[i], dt[i], st[i]);
      }
    }
  }
  static void result(T* y, int64_t*, const A* acc, int64_t plane, const ReduceFinish& f) {
    if (f.form == ReduceFinish::value) {
      *y = T(acc[0] == 0 ? __builtin_nan("") : acc[plane]);
      return;
    }
    const double left = acc[0] - f.p, v = acc[2 * plane] / (left > 0 ? left : 0);
    *y = T(acc[0] == 0                         ? __builtin_nan("")
           : f.form == ReduceFinish::deviation ? __builtin_sqrt(v)
                                               : v);
  }
};

// ---- an extreme and where it is ----------------------------------------------------------------
template <class V_, bool largest>
struct Position {
  using V = V_;
  using T = Scalar<V>;
  using A = Slot<V>;
  using E = Extreme<V, largest>;
  static constexpr int planes = 2;
  static void start(A* acc, int64_t plane) {
    acc[0] = A(E::identity());
    acc[plane] = 0;
  }
  static void take(A* acc, int64_t plane, A x, A at) {
    if (!E::better(x, acc[0])) return;
    acc[0] = x;
    acc[plane] = at;
  }
  static void merge(A* acc, int64_t plane, const A* b, int64_t bplane) {
    take(acc, plane, b[0], b[bplane]);
  }
  static void run(const void* xv, int64_t n, int64_t position, void* accv) {
    const T* x = static_cast<const T*>(xv);
    A* const acc = static_cast<A*>(accv);
    for (; n > 0; n -= kRunBlock, x += kRunBlock, position += kRunBlock) {
      const T best = block<E>(x, n < kRunBlock ? n : kRunBlock);
      if (!E::better(A(best), acc[0])) continue;
      int64_t i = 0;
      if (is_nan(best))
        while (!is_nan(x[i])) ++i;
      else
        while (x[i] != best) ++i;
      acc[0] = A(best);
      acc[1] = A(position + i);
    }
  }
  static void columns(const void* xv, int64_t row_stride, int64_t rows, int64_t n, int64_t position,
                      void* accv, int64_t plane) {
    constexpr int64_t L = kLanes<V>;
    const T* const x = static_cast<const T*>(xv);
    A* const acc = static_cast<A*>(accv);
    for (int64_t r = 0; r < rows; r += kRowBlock) {
      const int64_t m = rows - r < kRowBlock ? rows - r : kRowBlock;
      for (int64_t j = 0; j < n; j += L) {
        const int w = int(n - j < L ? n - j : L);
        const T* from = x + r * row_stride + j;
        V a = part<V>(from, w, 0);
        Mask<V> at = Mask<V>{};
        for (int64_t k = 1; k < m; ++k) {
          from += row_stride;
          const V v = w == L ? load<V>(from) : part<V>(from, w, 0);
          Mask<V> take_it = largest ? v > a : v < a;
          if constexpr (kIsFloat<V>) take_it |= (v != v) & (a == a);
          a = select(take_it, v, a);
          at = select(take_it, Mask<V>{} + Scalar<Mask<V>>(k), at);
        }
        for (int i = 0; i < w; ++i) take(acc + j + i, plane, A(a[i]), A(position + r + at[i]));
      }
    }
  }
  static void result(T* y, int64_t* index, const A* acc, int64_t plane, const ReduceFinish&) {
    if (y) *y = T(acc[0]);
    *index = int64_t(acc[plane]);
  }
};

// ---- the table's functions ---------------------------------------------------------------------
template <class K>
void start(void* acc, int64_t plane, int64_t n) {
  using A = typename K::A;
  for (int64_t i = 0; i < n; ++i) K::start(static_cast<A*>(acc) + i, plane);
}
template <class K>
void merge(void* acc, int64_t plane, const void* later, int64_t later_plane, int64_t n) {
  using A = typename K::A;
  for (int64_t i = 0; i < n; ++i)
    K::merge(static_cast<A*>(acc) + i, plane, static_cast<const A*>(later) + i, later_plane);
}
template <class K>
void finish(void* y, int64_t* index, int64_t stride, const void* acc, int64_t plane, int64_t n,
            const ReduceFinish& f) {
  using T = typename K::T;
  for (int64_t i = 0; i < n; ++i)
    K::result(y ? static_cast<T*>(y) + i * stride : nullptr, index ? index + i * stride : nullptr,
              static_cast<const typename K::A*>(acc) + i, plane, f);
}
template <class K>
void rows(const void* xv, int64_t row_stride, int64_t count, int64_t n, void* y, int64_t* index,
          int64_t stride, const ReduceFinish& f) {
  using T = typename K::T;
  const T* x = static_cast<const T*>(xv);
  for (int64_t i = 0; i < count; ++i, x += row_stride) {
    typename K::A acc[kReducePlanes];
    K::start(acc, 1);
    K::run(x, n, 0, acc);
    K::result(y ? static_cast<T*>(y) + i * stride : nullptr, index ? index + i * stride : nullptr,
              acc, 1, f);
  }
}
template <class K>
ReduceFns functions() {
  return {K::planes, start<K>, K::run, K::columns, merge<K>, finish<K>, rows<K>};
}
template <class V>
void fill_kinds(Kernels& k, int compute) {
  auto at = [&](ReduceKind kind) -> ReduceFns& { return k.reduce.f[kind][compute]; };
  at(kReduceSum) = functions<Simple<Summing<V>>>();
  at(kReduceProd) = functions<Simple<Product<V>>>();
  at(kReduceMax) = functions<Simple<Extreme<V, true>>>();
  at(kReduceMin) = functions<Simple<Extreme<V, false>>>();
  at(kReduceArgMax) = functions<Position<V, true>>();
  at(kReduceArgMin) = functions<Position<V, false>>();
  if constexpr (kIsFloat<V>) {
    at(kReduceSquare) = functions<Simple<Squares<V>>>();
    at(kReduceMoments) = functions<Moments<V>>();
  }
}

}  // namespace

void fill_reduce(Kernels& k) {
  fill_kinds<F32>(k, kF32);
  fill_kinds<F64>(k, kF64);
  fill_kinds<I64>(k, kI64);
}

}  // namespace lamina::LAMINA_ISA
