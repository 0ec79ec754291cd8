// softmax, log_softmax, their gradients, and cross-entropy with its gradient.
//
//   softmax       y = exp(x - m) / s,  m = max x,  s = sum exp(x - m)      gx = y (g - sum g y)
//   log_softmax   y = (x - m) - log s                                      gx = g - exp(y) sum g
//   logsumexp     y = m + log s                                            gx = g exp(x - y)
//   cross-entropy loss = sum_c q_c (log s + m - x_c)                       gx = g (Q exp(x - m) / s
//   - q)
//     q_c = (1 - e) w_t [c = t] + e w_c / N,  Q = sum_c q_c, e the label smoothing
//
// Layout: (P, N, S) dense. S = 1: a row at a time, lanes along the row; a row of 10 classes is one
// masked vector. S > 1: lanes across columns. Cost: the row is read from memory once and stays in
// cache for the second reading; sums go block by block into a double.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec_math.h"
#include "kernels/vec_rows.h"
#include "kernels/vec_stream.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
inline double row_exp_sum(const Scalar<V>* x, int64_t n, Scalar<V> m) {
  return row_sum<V>(n, [&](int64_t i, int64_t w) {
    return exp_below(part<V>(x + i, w, kLowest<V>) - set1<V>(m));
  });
}

constexpr int64_t kRowBuffer = 4096;  // elements of a row that wait on the stack

template <class V, int kind, bool past>
void row(const Scalar<V>* x, const Scalar<V>* g, Scalar<V>* y, int64_t n) {
  using T = Scalar<V>;
  constexpr int64_t L = kLanes<V>;
  if constexpr (kind == kSoftmaxValue) {
    if (n <= L) {  // in one register
      const V v = part<V>(x, n, kLowest<V>), e = exp_below(v - set1<V>(hmax(v)));
      put(y, e * set1<V>(1 / hsum(e)), n);
      return;
    }
    alignas(64) T buffer[past ? kRowBuffer : 1];
    T* const es = past && n <= kRowBuffer ? buffer : y;
    const T m = row_max<V>(x, n);
    const double s = row_sum<V>(n, [&](int64_t i, int64_t w) {
      const V e = exp_below(part<V>(x + i, w, kLowest<V>) - set1<V>(m));
      put(es + i, e, w);
      return e;
    });
    const V scale = set1<V>(T(1 / s));
    const auto scaled = [&](int64_t i, int64_t w) { return part<V>(es + i, w, 0) * scale; };
    if (es == y)
      write_row<false, V>(y, n, scaled);
    else
      write_row<past, V>(y, n, scaled);
  } else if constexpr (kind == kLogSoftmaxValue) {
    const T m = row_max<V>(x, n), l = log_of<V>(T(row_exp_sum<V>(x, n, m)));
    write_row<past, V>(y, n, [&](int64_t i, int64_t w) {
      return (part<V>(x + i, w, 0) - set1<V>(m)) - set1<V>(l);
    });
  } else if constexpr (kind == kSoftmaxGrad) {
    const V d = set1<V>(T(row_sum<V>(
        n, [&](int64_t i, int64_t w) { return part<V>(x + i, w, 0) * part<V>(g + i, w, 0); })));
    write_row<past, V>(y, n, [&](int64_t i, int64_t w) {
      return part<V>(x + i, w, 0) * (part<V>(g + i, w, 0) - d);
    });
  } else {
    const V d =
        set1<V>(T(row_sum<V>(n, [&](int64_t i, int64_t w) { return part<V>(g + i, w, 0); })));
    write_row<past, V>(y, n, [&](int64_t i, int64_t w) {
      return fnma(exp_below(part<V>(x + i, w, 0)), d, part<V>(g + i, w, 0));
    });
  }
}

// ---- one vector of columns, rows S apart -------------------------------------------------------
// sum over rows of f(r), 32 rows at a time.
template <class V, class F>
inline V column_sum(int64_t n, F f) {
  V s = V{};
  for (int64_t b = 0; b < n; b += 32) {
    const int64_t end = n - b < 32 ? n : b + 32;
    V a = V{};
    for (int64_t r = b; r < end; ++r) a = a + f(r);
    s = s + a;
  }
  return s;
}
template <class V>
inline V column_max(const Scalar<V>* x, int64_t n, int64_t S, int64_t w) {
  V m = part<V>(x, w, 0);
  for (int64_t r = 1; r < n; ++r) m = max(m, part<V>(x + r * S, w, 0));
  return m;
}
template <class V, int kind>
void column(const Scalar<V>* x, const Scalar<V>* g, Scalar<V>* y, int64_t n, int64_t S, int64_t w) {
  if constexpr (kind == kSoftmaxValue) {
    const V m = column_max<V>(x, n, S, w);
    const V s = column_sum<V>(n, [&](int64_t r) {
      const V e = exp_below(part<V>(x + r * S, w, 0) - m);
      put(y + r * S, e, w);
      return e;
    });
    const V scale = set1<V>(1) / s;
    for (int64_t r = 0; r < n; ++r) put(y + r * S, part<V>(y + r * S, w, 0) * scale, w);
  } else if constexpr (kind == kLogSoftmaxValue) {
    const V m = column_max<V>(x, n, S, w);
    const V l =
        log(column_sum<V>(n, [&](int64_t r) { return exp_below(part<V>(x + r * S, w, 0) - m); }));
    for (int64_t r = 0; r < n; ++r) put(y + r * S, (part<V>(x + r * S, w, 0) - m) - l, w);
  } else if constexpr (kind == kSoftmaxGrad) {
    const V d = column_sum<V>(
        n, [&](int64_t r) { return part<V>(x + r * S, w, 0) * part<V>(g + r * S, w, 0); });
    for (int64_t r = 0; r < n; ++r)
      put(y + r * S, part<V>(x + r * S, w, 0) * (part<V>(g + r * S, w, 0) - d), w);
  } else {
    const V d = column_sum<V>(n, [&](int64_t r) { return part<V>(g + r * S, w, 0); });
    for (int64_t r = 0; r < n; ++r)
      put(y + r * S, fnma(exp_below(part<V>(x + r * S, w, 0)), d, part<V>(g + r * S, w, 0)), w);
  }
}

// f(start of the columns in (P, N, S), row number of the first, how many) for every vector of
// units.
template <class V, class F>
inline void tiles(int64_t N, int64_t S, int64_t begin, int64_t end, F f) {
  const int64_t count = (S + kSoftmaxTile - 1) / kSoftmaxTile;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t p = u / count, from = u % count * kSoftmaxTile;
    const int64_t to = S - from < kSoftmaxTile ? S : from + kSoftmaxTile;
    for (int64_t j = from; j < to; j += kLanes<V>)
      f(p * N * S + j, p * S + j, to - j < kLanes<V> ? to - j : kLanes<V>);
  }
}
// Rows so far apart that their elements of one column share a few sets of the caches: some columns
// at a time are worked on in a dense copy. The same numbers as without.
constexpr int64_t kDenseBytes = 1 << 16;
template <class V>
inline bool crowded(int64_t N, int64_t S) {
  return N > 256 && S * int64_t(sizeof(Scalar<V>)) % 1024 == 0 &&
         N * int64_t(sizeof(V)) <= kDenseBytes;
}
template <class V, int kind>
void dense_columns(const SoftmaxArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  constexpr int64_t L = kLanes<V>, room = kDenseBytes / int64_t(sizeof(T));
  constexpr bool grad = kind == kSoftmaxGrad || kind == kLogSoftmaxGrad;
  const T *const x = static_cast<const T*>(a.x), *const g = static_cast<const T*>(a.g);
  alignas(64) T xs[room], gs[grad ? room : 1];
  const int64_t most = room / (a.N * L), W = (most < 4 ? most : 4) * L;
  const int64_t count = (a.S + kSoftmaxTile - 1) / kSoftmaxTile;
  for (int64_t u = begin; u < end;) {  // all tiles of one p together
    const int64_t p = u / count, next = (p + 1) * count < end ? (p + 1) * count : end;
    const int64_t to = (next - p * count) * kSoftmaxTile;  // S is a multiple of a tile
    for (int64_t j = (u - p * count) * kSoftmaxTile; j < to; j += W) {
      const int64_t w = to - j < W ? to - j : W, at = p * a.N * a.S + j;
      for (int64_t r = 0; r < a.N; ++r)
        for (int64_t i = 0; i < w; i += L) {
          store(xs + r * W + i, load<V>(x + at + r * a.S + i));
          if constexpr (grad) store(gs + r * W + i, load<V>(g + at + r * a.S + i));
        }
      for (int64_t i = 0; i < w; i += L)
        column<V, kind>(xs + i, gs + (grad ? i : 0), xs + i, a.N, W, L);
      T* const y = static_cast<T*>(a.y) + at;
      for (int64_t r = 0; r < a.N; ++r)
        for (int64_t i = 0; i < w; i += L) store(y + r * a.S + i, load<V>(xs + r * W + i));
    }
    u = next;
  }
}
template <class V, int kind>
void softmax(const SoftmaxArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T *const x = static_cast<const T*>(a.x), *const g = static_cast<const T*>(a.g);
  T* const y = static_cast<T*>(a.y);
  if (a.S == 1) {
    const int64_t n = a.N;
    if (!a.past) {
      for (int64_t r = begin; r < end; ++r) row<V, kind, false>(x + r * n, g + r * n, y + r * n, n);
      return;
    }
    for (int64_t r = begin; r < end; ++r) row<V, kind, true>(x + r * n, g + r * n, y + r * n, n);
    streamed();
    return;
  }
  if (crowded<V>(a.N, a.S)) return dense_columns<V, kind>(a, begin, end);
  tiles<V>(a.N, a.S, begin, end, [&](int64_t at, int64_t, int64_t w) {
    column<V, kind>(x + at, g + at, y + at, a.N, a.S, w);
  });
}

// ---- log-sum-exp --------------------------------------------------------------------------------
// m + log s; an infinite m is the result itself, NaN among the x wins.
template <class V>
struct LogSum {
  V m, base;
  explicit LogSum(V m) : m(m), base(select(m - m == V{}, m, V{})) {}
  V term(V x) const { return exp_below(min(V{}, x - base)); }
  V result(V s) const { return select(m - m == V{}, m + log(s), m + s * V{}); }
};
template <class V>
Scalar<V> row_log_sum(const Scalar<V>* x, int64_t n) {
  const LogSum<V> f(set1<V>(row_max<V>(x, n)));
  const double s =
      row_sum<V>(n, [&](int64_t i, int64_t w) { return f.term(part<V>(x + i, w, kLowest<V>)); });
  return f.result(set1<V>(Scalar<V>(s)))[0];
}
template <class V>
void column_log_sum(const Scalar<V>* x, Scalar<V>* y, int64_t n, int64_t S, int64_t w) {
  const LogSum<V> f(column_max<V>(x, n, S, w));
  put(y, f.result(column_sum<V>(n, [&](int64_t r) { return f.term(part<V>(x + r * S, w, 0)); })),
      w);
}
template <class V>
void log_sums(const SoftmaxArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  if (a.S == 1) {
    for (int64_t r = begin; r < end; ++r) y[r] = row_log_sum<V>(x + r * a.N, a.N);
    return;
  }
  tiles<V>(a.N, a.S, begin, end, [&](int64_t at, int64_t row, int64_t w) {
    column_log_sum<V>(x + at, y + row, a.N, a.S, w);
  });
}

// ---- cross-entropy -----------------------------------------------------------------------------
template <class V>
struct Entropy {
  using T = Scalar<V>;
  static constexpr int64_t L = kLanes<V>;
  const CrossEntropyArgs& a;
  const T* x = static_cast<const T*>(a.x);
  const T* weight = static_cast<const T*>(a.weight);
  int64_t bad = -1;

  T weight_of(int64_t c) const { return weight ? weight[c] : T(1); }
  bool valid(int64_t row, int64_t t) {
    if (uint64_t(t) < uint64_t(a.N)) return true;
    if (bad < 0) bad = row;
    return false;
  }

  // Rows [row, row + w): m = max, s = sum exp(x - m), u = sum_c w_c (m - x_c) (smoothing only).
  void losses(int64_t row, int64_t w, V m, V s, V u) {
    const T e = T(a.smoothing);
    const V logs = log(s), inverse = set1<V>(1) / s;
    T* const stats = static_cast<T*>(a.stats);
    put(stats + row, m, w);
    put(stats + a.R + row, inverse, w);
    for (int i = 0; i < w; ++i) {
      const int64_t r = row + i, t = a.target[r];
      T loss = 0;
      if (t != a.ignore && valid(r, t)) {
        const int64_t at = a.S == 1 ? r * a.N + t : (r / a.S * a.N + t) * a.S + r % a.S;
        loss = (1 - e) * weight_of(t) * (logs[i] + (m[i] - x[at]));
        if (e > 0) loss += e / T(a.N) * (T(a.weights) * logs[i] + u[i]);
      }
      static_cast<T*>(a.loss)[r] = loss;
    }
  }
  void rows(int64_t begin, int64_t end) {
    const int64_t n = a.N;
    for (int64_t r0 = begin; r0 < end; r0 += L) {
      const int64_t w = end - r0 < L ? end - r0 : L;
      V m = V{}, s = set1<V>(1), u = V{};
      for (int i = 0; i < w; ++i) {
        const T* const from = x + (r0 + i) * n;
        T most;
        if (n <= L) {  // in one register
          const V v = part<V>(from, n, kLowest<V>);
          most = hmax(v);
          s[i] = hsum(exp_below(v - set1<V>(most)));
        } else {
          most = row_max<V>(from, n);
          s[i] = T(row_exp_sum<V>(from, n, most));
        }
        m[i] = most;
        if (a.smoothing > 0)
          u[i] = T(row_sum<V>(n, [&](int64_t k, int64_t left) {
            const V d = set1<V>(most) - part<V>(from + k, left, most);
            return weight ? d * part<V>(weight + k, left, 0) : d;
          }));
      }
      losses(r0, w, m, s, u);
    }
  }
  void columns(int64_t begin, int64_t end) {
    const int64_t n = a.N, S = a.S;
    tiles<V>(n, S, begin, end, [&](int64_t at, int64_t row, int64_t w) {
      const T* const from = x + at;
      const V m = column_max<V>(from, n, S, w);
      const V s =
          column_sum<V>(n, [&](int64_t r) { return exp_below(part<V>(from + r * S, w, 0) - m); });
      V u = V{};
      if (a.smoothing > 0)
        u = column_sum<V>(n, [&](int64_t r) {
          return (m - part<V>(from + r * S, w, 0)) * set1<V>(weight_of(r));
        });
      losses(row, w, m, s, u);
    });
  }

  // gx = scale (Q p - q): the factors of row r, all 0 for an ignored one.
  struct Factors {
    T p, each, hit;  // gx_c = p * exp(x_c - m) - each * w_c - hit [c = t]
  };
  Factors factors(int64_t r, int64_t t) const {
    if (t == a.ignore) return {0, 0, 0};
    const double e = a.smoothing, g = double(static_cast<const T*>(a.g)[r * a.gstep]) * a.gscale;
    const double hit = g * (1 - e) * weight_of(t), each = g * e / double(a.N);
    const double inverse = static_cast<const T*>(a.stats)[a.R + r];
    return {T((hit + each * a.weights) * inverse), T(each), T(hit)};
  }
  template <bool past>
  void grad_rows(int64_t begin, int64_t end) {
    const int64_t n = a.N;
    const bool in_lanes = past || n <= L;
    using Lane = Scalar<Mask<V>>;
    Mask<V> lane;
    for (int i = 0; i < L; ++i) lane[i] = i;
    const auto set1_lane = [](int64_t i) {
      return Mask<V>{} + (i < 0 || i >= L ? Lane(-1) : Lane(i));
    };
    for (int64_t r = begin; r < end; ++r) {
      const int64_t t = a.target[r];
      const T* const from = x + r * n;
      T* const to = static_cast<T*>(a.gx) + r * n;
      const Factors f = factors(r, t);
      const V p = set1<V>(f.p), m = set1<V>(static_cast<const T*>(a.stats)[r]);
      // v less `hit` where it holds the target: what went past the caches is not read again, nor
      // what a masked store has just written, which stalls.
      const auto less_hit = [&](int64_t i, V v) {
        return in_lanes ? v - select(lane == set1_lane(t - i), set1<V>(f.hit), V{}) : v;
      };
      if (t == a.ignore) {
        for (int64_t i = 0; i < n; ++i) to[i] = 0;
        continue;
      }
      if (f.each == 0) {
        write_row<past, V>(to, n, [&](int64_t i, int64_t w) {
          return less_hit(i, p * exp_below(part<V>(from + i, w, 0) - m));
        });
      } else {
        const V each = set1<V>(f.each);
        write_row<past, V>(to, n, [&](int64_t i, int64_t w) {
          const V share = weight ? part<V>(weight + i, w, 0) : set1<V>(1);
          return less_hit(i, p * exp_below(part<V>(from + i, w, 0) - m) - each * share);
        });
      }
      if (!in_lanes) to[t] -= f.hit;
    }
  }
  void grad_columns(int64_t begin, int64_t end) {
    const int64_t n = a.N, S = a.S;
    tiles<V>(n, S, begin, end, [&](int64_t at, int64_t row, int64_t w) {
      const T* const from = x + at;
      T* const to = static_cast<T*>(a.gx) + at;
      V p = V{}, each = V{}, hit = V{};
      for (int i = 0; i < w; ++i) {
        const Factors f = factors(row + i, a.target[row + i]);
        p[i] = f.p;
        each[i] = f.each;
        hit[i] = f.hit;
      }
      const V m = part<V>(static_cast<const T*>(a.stats) + row, w, 0);
      for (int64_t r = 0; r < n; ++r)
        put(to + r * S,
            p * exp_below(part<V>(from + r * S, w, 0) - m) - each * set1<V>(weight_of(r)), w);
      for (int i = 0; i < w; ++i) {
        const int64_t t = a.target[row + i];
        if (t != a.ignore) to[t * S + i] -= hit[i];
      }
    });
  }
};
template <class V>
int64_t cross_entropy(const CrossEntropyArgs& a, int64_t begin, int64_t end) {
  Entropy<V> work{a};
  if (a.S == 1)
    work.rows(begin, end);
  else
    work.columns(begin, end);
  return work.bad;
}
template <class V>
int64_t cross_entropy_grad(const CrossEntropyArgs& a, int64_t begin, int64_t end) {
  Entropy<V> work{a};
  if (a.S > 1) {
    work.grad_columns(begin, end);
  } else if (a.past) {
    work.template grad_rows<true>(begin, end);
    streamed();
  } else {
    work.template grad_rows<false>(begin, end);
  }
  return -1;
}

template <class V>
void fill_type(SoftmaxKernels& k, int c) {
  k.f[kSoftmaxValue][c] = softmax<V, kSoftmaxValue>;
  k.f[kLogSoftmaxValue][c] = softmax<V, kLogSoftmaxValue>;
  k.f[kSoftmaxGrad][c] = softmax<V, kSoftmaxGrad>;
  k.f[kLogSoftmaxGrad][c] = softmax<V, kLogSoftmaxGrad>;
  k.f[kLogSumExpValue][c] = log_sums<V>;
  k.cross_entropy[c] = cross_entropy<V>;
  k.cross_entropy_grad[c] = cross_entropy_grad<V>;
}

}  // namespace

void fill_softmax(Kernels& k) {
  fill_type<F32>(k.softmax, kF32);
  fill_type<F64>(k.softmax, kF64);
}

}  // namespace lamina::LAMINA_ISA
