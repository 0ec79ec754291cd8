// Pooling over planes: the largest or the mean element of every window of an (H, W) plane.
//
// Layout: planes are dense; a window is the product of a PoolSpan of rows and one of columns, cut
// to the plane, so ordinary, padded, dilated and adaptive pooling are the same loops.
// Outputs whose windows no edge cuts, at one stride, are made by whole vectors: for every tap the
// elements `stride` apart that belong to neighbouring outputs.
// Cost: one pass over the windows; 2x2 windows side by side read two rows at a time, whole vectors
// of them, and keep the place of the maximum in a byte (x once, y and a quarter of y written).
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

// ---- any window --------------------------------------------------------------------------------
// n elements `step` apart.
template <class V>
inline V load_steps(const Scalar<V>* p, int64_t step, int n) {
  if (step == 1) return n == kLanes<V> ? load<V>(p) : load<V>(p, n);
  V a, b;
  if (step == 2) {
    load_two<V>(p, 2 * n - 1, &a, &b);
    return evens(a, b);
  }
  for (int i = 0; i < kLanes<V>; ++i) a[i] = p[(i < n ? i : 0) * step];
  return a;
}

// Columns [from, to) of outputs, one at a time.
template <class T, class I>
void max_columns(const PoolArgs& a, const T* x, T* y, I* index, int64_t from, int64_t to) {
  for (int64_t i = 0; i < a.OH; ++i) {
    const PoolSpan r = a.rows[i];
    for (int64_t j = from; j < to; ++j) {
      const PoolSpan c = a.columns[j];
      int64_t at = r.begin < r.end && c.begin < c.end ? r.begin * a.W + c.begin : -1;
      T best = -__builtin_inf();
      for (int64_t h = r.begin; h < r.end; h += a.row_step)
        for (int64_t w = c.begin; w < c.end; w += a.column_step) {
          const T v = x[h * a.W + w];
          if (v > best || v != v) {
            best = v;
            at = h * a.W + w;
          }
        }
      y[i * a.OW + j] = best;
      if (index) index[i * a.OW + j] = I(at);
    }
  }
}
template <bool places, class T, class I>
void max_plane(const PoolArgs& a, const T* x, T* y, I* index) {
  using V = typename VecOf<T>::V;
  using Place = Scalar<Mask<V>>;
  constexpr int L = kLanes<V>;
  max_columns(a, x, y, index, 0, a.whole_begin);
  max_columns(a, x, y, index, a.whole_end, a.OW);
  Mask<V> lane;
  for (int l = 0; l < L; ++l) lane[l] = Place(l * a.column_stride);
  for (int64_t i = 0; i < a.OH; ++i)
    for (int64_t j = a.whole_begin; j < a.whole_end; j += L) {
      const int n = int(a.whole_end - j < L ? a.whole_end - j : L);
      const PoolSpan r = a.rows[i], c = a.columns[j];
      V best = V{} - T(__builtin_inf());
      Mask<V> at = lane + Place(r.begin * a.W + c.begin);
      if (r.begin >= r.end) at = Mask<V>{} - 1;
      for (int64_t h = r.begin; h < r.end; h += a.row_step)
        for (int64_t w = c.begin; w < c.end; w += a.column_step) {
          const V v = load_steps<V>(x + h * a.W + w, a.column_stride, n);
          const Mask<V> m = (v > best) | (v != v);
          best = select(m, v, best);
          if (places) at = select(m, lane + Place(h * a.W + w), at);
        }
      store(y + i * a.OW + j, best, n);
      if (places)
        for (int l = 0; l < n; ++l) index[i * a.OW + j + l] = I(at[l]);
    }
}
template <class T>
void max_pool(const PoolArgs& a, int64_t begin, int64_t end) {
  const int64_t in = a.H * a.W, out = a.OH * a.OW;
  for (int64_t p = begin; p < end; ++p) {
    const T* const x = static_cast<const T*>(a.x) + p * in;
    T* const y = static_cast<T*>(a.y) + p * out;
    if (!a.index)
      max_plane<false>(a, x, y, static_cast<int32_t*>(nullptr));
    else if (a.index_type == kPoolInt64)
      max_plane<true>(a, x, y, static_cast<int64_t*>(a.index) + p * out);
    else
      max_plane<true>(a, x, y, static_cast<int32_t*>(a.index) + p * out);
  }
}

// f(place in the plane, output number) for every output of plane p; -1: its window is all padding.
template <class F>
void each_place(const PoolArgs& a, int64_t p, F f) {
  const int64_t out = a.OH * a.OW;
  if (a.index_type == kPoolQuad) {
    const int64_t row = (a.OW + kPoolQuadRow - 1) / kPoolQuadRow * kPoolQuadRow;
    const uint8_t* const code = static_cast<const uint8_t*>(a.index) + p * a.OH * row;
    for (int64_t i = 0; i < a.OH; ++i)
      for (int64_t j = 0; j < a.OW; ++j) {
        const int k = code[i * row + j];
        f((2 * i + k / 2) * a.W + 2 * j + k % 2, i * a.OW + j);
      }
  } else if (a.index_type == kPoolInt64) {
    const int64_t* const index = static_cast<const int64_t*>(a.index) + p * out;
    for (int64_t k = 0; k < out; ++k) f(index[k], k);
  } else {
    const int32_t* const index = static_cast<const int32_t*>(a.index) + p * out;
    for (int64_t k = 0; k < out; ++k) f(int64_t(index[k]), k);
  }
}
template <class T>
void max_scatter(const PoolArgs& a, int64_t begin, int64_t end) {
  const int64_t in = a.H * a.W, out = a.OH * a.OW;
  for (int64_t p = begin; p < end; ++p) {
    const T* const g = static_cast<const T*>(a.x) + p * out;
    T* const y = static_cast<T*>(a.y) + p * in;
    __builtin_memset(y, 0, size_t(in) * sizeof(T));
    const T* const maxima = a.maxima ? static_cast<const T*>(a.maxima) + p * out : nullptr;
    each_place(a, p, [&](int64_t at, int64_t k) {
      if (at >= 0 && (!maxima || maxima[k] > 0)) y[at] += g[k];
    });
  }
}
template <class T>
void max_gather(const PoolArgs& a, int64_t begin, int64_t end) {
  const int64_t in = a.H * a.W, out = a.OH * a.OW;
  for (int64_t p = begin; p < end; ++p) {
    const T* const x = static_cast<const T*>(a.x) + p * in;
    T* const y = static_cast<T*>(a.y) + p * out;
    each_place(a, p, [&](int64_t at, int64_t k) { y[k] = at >= 0 ? x[at] : T(0); });
  }
}

template <class T>
T divisor(const PoolArgs& a, const PoolSpan& r, const PoolSpan& c) {
  return T(a.divisor ? a.divisor : r.count * c.count);
}
template <class T>
T sum_run(const T* x, int64_t n) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  if (n < L) {
    T s = 0;
    for (int64_t i = 0; i < n; ++i) s += x[i];
    return s;
  }
  V s = load<V>(x);
  int64_t i = L;
  for (; i + L <= n; i += L) s = s + load<V>(x + i);
  if (i < n) s = s + load<V>(x + i, int(n - i));
  return hsum(s);
}
template <class T>
void mean_columns(const PoolArgs& a, const T* x, T* y, int64_t from, int64_t to) {
  for (int64_t i = 0; i < a.OH; ++i)
    for (int64_t j = from; j < to; ++j) {
      const PoolSpan r = a.rows[i], c = a.columns[j];
      const int64_t n = c.end > c.begin ? c.end - c.begin : 0;
      T s = 0;
      if (n == a.W)  // whole rows lie together
        s = r.end > r.begin ? sum_run(x + r.begin * a.W, (r.end - r.begin) * a.W) : T(0);
      else
        for (int64_t h = r.begin; h < r.end; ++h) s += sum_run(x + h * a.W + c.begin, n);
      y[i * a.OW + j] = s / divisor<T>(a, r, c);
    }
}
template <class T>
void mean_pool(const PoolArgs& a, int64_t begin, int64_t end) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t in = a.H * a.W, out = a.OH * a.OW;
  const bool narrow = a.whole_begin < a.whole_end &&
                      a.columns[a.whole_begin].end - a.columns[a.whole_begin].begin < L;
  const int64_t whole_begin = narrow ? a.whole_begin : a.OW,
                whole_end = narrow ? a.whole_end : a.OW;
  for (int64_t p = begin; p < end; ++p) {
    const T* const x = static_cast<const T*>(a.x) + p * in;
    T* const y = static_cast<T*>(a.y) + p * out;
    mean_columns(a, x, y, 0, whole_begin);
    mean_columns(a, x, y, whole_end, a.OW);
    for (int64_t i = 0; i < a.OH; ++i)
      for (int64_t j = whole_begin; j < whole_end; j += L) {
        const int n = int(whole_end - j < L ? whole_end - j : L);
        const PoolSpan r = a.rows[i], c = a.columns[j];
        V sum{};
        for (int64_t h = r.begin; h < r.end; ++h) {
          V row{};
          for (int64_t w = c.begin; w < c.end; ++w)
            row = row + load_steps<V>(x + h * a.W + w, a.column_stride, n);
          sum = sum + row;
        }
        store(y + i * a.OW + j, sum / divisor<T>(a, r, c), n);
      }
  }
}
template <class T>
void mean_grad(const PoolArgs& a, int64_t begin, int64_t end) {
  const int64_t in = a.H * a.W, out = a.OH * a.OW;
  for (int64_t p = begin; p < end; ++p) {
    const T* const g = static_cast<const T*>(a.x) + p * out;
    T* const y = static_cast<T*>(a.y) + p * in;
    __builtin_memset(y, 0, size_t(in) * sizeof(T));
    for (int64_t i = 0; i < a.OH; ++i)
      for (int64_t j = 0; j < a.OW; ++j) {
        const PoolSpan r = a.rows[i], c = a.columns[j];
        const T v = g[i * a.OW + j] / divisor<T>(a, r, c);
        for (int64_t h = r.begin; h < r.end; ++h)
          for (int64_t w = c.begin; w < c.end; ++w) y[h * a.W + w] += v;
      }
  }
}

// ---- 2x2 windows side by side ------------------------------------------------------------------
// 2n <= 2 * lanes elements of a row, as evens and odds.
template <class V>
inline void load_pairs(const Scalar<V>* p, int n, V* even, V* odd) {
  V a, b;
  load_two<V>(p, 2 * n, &a, &b);
  *even = evens(a, b);
  *odd = odds(a, b);
}
template <class V>
inline void store_pairs(Scalar<V>* p, int n, V even, V odd) {
  store_two<V>(p, 2 * n, zip_low(even, odd), zip_high(even, odd));
}
typedef uint8_t Codes64 __attribute__((vector_size(LAMINA_VEC_BYTES / 8), aligned(1)));
inline void store_codes(uint8_t* p, I32 c) { store_bytes(p, c); }
inline void store_codes(uint8_t* p, I64 c) {
  *reinterpret_cast<Codes64*>(p) = __builtin_convertvector(c, Codes64);
}
inline void load_codes(const uint8_t* p, I32* c) { *c = load_bytes(p); }
inline void load_codes(const uint8_t* p, I64* c) {
  *c = __builtin_convertvector(*reinterpret_cast<const Codes64*>(p), I64);
}

// f(x row pair, output row, codes row, n) over every vector of outputs of every plane.
template <class T, class F>
void each_quad(const PoolArgs& a, int64_t begin, int64_t end, F f) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const int64_t row = (a.OW + kPoolQuadRow - 1) / kPoolQuadRow * kPoolQuadRow;
  for (int64_t p = begin; p < end; ++p)
    for (int64_t i = 0; i < a.OH; ++i)
      for (int64_t j = 0; j < a.OW; j += L)
        f(p * a.H * a.W + 2 * i * a.W + 2 * j, (p * a.OH + i) * a.OW + j, (p * a.OH + i) * row + j,
          int(a.OW - j < L ? a.OW - j : L));
}
template <class T>
void max_quad(const PoolArgs& a, int64_t begin, int64_t end) {
  using V = typename VecOf<T>::V;
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  uint8_t* const code = static_cast<uint8_t*>(a.index);
  each_quad<T>(a, begin, end, [&](int64_t from, int64_t to, int64_t place, int n) {
    V best, v1, v2, v3;
    load_pairs(x + from, n, &best, &v1);
    load_pairs(x + from + a.W, n, &v2, &v3);
    Mask<V> at = {}, m = (v1 > best) | (v1 != v1);
    best = select(m, v1, best);
    at = at - m;  // a mask is -1
    m = (v2 > best) | (v2 != v2);
    best = select(m, v2, best);
    at = select(m, Mask<V>{} + 2, at);
    m = (v3 > best) | (v3 != v3);
    best = select(m, v3, best);
    at = select(m, Mask<V>{} + 3, at);
    if (n == kLanes<V>)
      store(y + to, best);
    else
      store(y + to, best, n);
    if (code) store_codes(code + place, at);
  });
}
// Rows and columns that no window covers.
template <class T>
void clear_rest(const PoolArgs& a, int64_t begin, int64_t end) {
  if (a.H == 2 * a.OH && a.W == 2 * a.OW) return;
  for (int64_t p = begin; p < end; ++p) {
    T* const y = static_cast<T*>(a.y) + p * a.H * a.W;
    for (int64_t h = 0; h < a.H; ++h)
      for (int64_t w = h < 2 * a.OH ? 2 * a.OW : 0; w < a.W; ++w) y[h * a.W + w] = 0;
  }
}
template <class T>
void max_quad_scatter(const PoolArgs& a, int64_t begin, int64_t end) {
  using V = typename VecOf<T>::V;
  const T* const g = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  const T* const maxima = static_cast<const T*>(a.maxima);
  const uint8_t* const code = static_cast<const uint8_t*>(a.index);
  clear_rest<T>(a, begin, end);
  each_quad<T>(a, begin, end, [&](int64_t to, int64_t from, int64_t place, int n) {
    const V zero = {};
    V v = n == kLanes<V> ? load<V>(g + from) : load<V>(g + from, n);
    if (maxima) {
      const V m = n == kLanes<V> ? load<V>(maxima + from) : load<V>(maxima + from, n);
      v = select(m > zero, v, zero);
    }
    Mask<V> at;
    load_codes(code + place, &at);
    store_pairs(y + to, n, select(at == 0, v, zero), select(at == 1, v, zero));
    store_pairs(y + to + a.W, n, select(at == 2, v, zero), select(at == 3, v, zero));
  });
}
template <class T>
void mean_quad(const PoolArgs& a, int64_t begin, int64_t end) {
  using V = typename VecOf<T>::V;
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  const T d = T(a.divisor ? a.divisor : 4);
  each_quad<T>(a, begin, end, [&](int64_t from, int64_t to, int64_t, int n) {
    V v0, v1, v2, v3;
    load_pairs(x + from, n, &v0, &v1);
    load_pairs(x + from + a.W, n, &v2, &v3);
    const V s = ((v0 + v1) + (v2 + v3)) / d;
    if (n == kLanes<V>)
      store(y + to, s);
    else
      store(y + to, s, n);
  });
}
template <class T>
void mean_quad_grad(const PoolArgs& a, int64_t begin, int64_t end) {
  using V = typename VecOf<T>::V;
  const T* const g = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  const T d = T(a.divisor ? a.divisor : 4);
  clear_rest<T>(a, begin, end);
  each_quad<T>(a, begin, end, [&](int64_t to, int64_t from, int64_t, int n) {
    const V v = (n == kLanes<V> ? load<V>(g + from) : load<V>(g + from, n)) / d;
    store_pairs(y + to, n, v, v);
    store_pairs(y + to + a.W, n, v, v);
  });
}

template <class T>
void fill(PoolKernels& k, int t) {
  k.max[t] = max_pool<T>;
  k.max_scatter[t] = max_scatter<T>;
  k.max_gather[t] = max_gather<T>;
  k.mean[t] = mean_pool<T>;
  k.mean_grad[t] = mean_grad<T>;
  k.max_quad[t] = max_quad<T>;
  k.max_quad_scatter[t] = max_quad_scatter<T>;
  k.mean_quad[t] = mean_quad<T>;
  k.mean_quad_grad[t] = mean_quad_grad<T>;
}

}  // namespace

void fill_pool(Kernels& k) {
  fill<float>(k.pool, kF32);
  fill<double>(k.pool, kF64);
}

}  // namespace lamina::LAMINA_ISA
