// Batch normalisation of x (N, C, S), per channel c, n = N S:
//   mean = sum x / n,  var = sum (x - mean)^2 / n,  rstd = 1 / sqrt(var + eps)
//   y  = (x - mean) rstd w + b
//   gb = sum g,  gw = sum g (x - mean) rstd
//   gx = w rstd (g - gb / n - (x - mean) rstd gw / n)      training
//   gx = w rstd g                                          with given statistics
//
// S > 1: a channel is N runs of S elements; S = 1: channels are the lanes of a vector.
// In plans the pass that writes y also adds a summand and takes relu, and backward takes g through
// relu's derivative as it reads it (BatchNormArgs): each element meets the same operations as
// alone. Cost: forward reads x twice and writes y; backward reads x and g twice and writes gx. The
// second reading comes from the cache while a channel (or a block of columns) fits; short runs are
// brought together there.
#pragma once
#include "kernels/vec_moments.h"
#include "kernels/vec_sum.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
const T* in_(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
T* out_(void* p) {
  return static_cast<T*>(p);
}
template <class T>
double or_(const void* p, int64_t i, double otherwise) {
  return p ? double(in_<T>(p)[i]) : otherwise;
}

// The statistics of channel c, from its moments.
template <class T>
void keep_moments(const BatchNormArgs& a, int64_t c, Moments m) {
  out_<T>(a.mean)[c] = T(m.mean);
  out_<T>(a.rstd)[c] = T(1 / __builtin_sqrt(m.variance + a.eps));
  if (!a.running_mean) return;
  const double n = double(a.N * a.S), keep = 1 - a.momentum;
  T *const rm = out_<T>(a.running_mean) + c, *const rv = out_<T>(a.running_var) + c;
  *rm = T(keep * double(*rm) + a.momentum * m.mean);
  *rv = T(keep * double(*rv) + a.momentum * (m.variance * (n / (n - 1))));
}

// ---- S > 1 -------------------------------------------------------------------------------------
// kPlain: y alone; kRelu: and relu; kAdd: and a summand, then relu where asked.
enum Last { kPlain, kRelu, kAdd };
// y of channel c's run of `S` elements at `at`, of the run p of x.
template <class V>
struct Normalized {
  V mean, scale, bias;
  Normalized() = default;
  Normalized(const BatchNormArgs& a, int64_t c) {
    using T = Scalar<V>;
    mean = set1<V>(in_<T>(a.mean)[c]);
    scale = set1<V>(T(double(in_<T>(a.rstd)[c]) * or_<T>(a.weight, c, 1)));
    bias = set1<V>(T(or_<T>(a.bias, c, 0)));
  }
  template <Last last>
  void run(const BatchNormArgs& a, int64_t at, const Scalar<V>* p) const {
    using T = Scalar<V>;
    T* const q = out_<T>(a.y) + at;
    const T* const r = last == kAdd ? in_<T>(a.summand) + at : nullptr;
    each_vector<V>(a.S, [&](int64_t i, int n) {
      V v = fma(load_some<V>(p + i, n) - mean, scale, bias);
      if (last == kAdd) {
        const V s = load_some<V>(r + i, n);
        v = a.summand_first ? sum_of(s, v) : sum_of(v, s);
      }
      if (last == kRelu || (last == kAdd && a.relu)) v = max(V{}, v);
      store_some<V>(q + i, v, n);
    });
  }
};
template <class V, Last last>
void channel(const BatchNormArgs& a, int64_t c) {
  using T = Scalar<V>;
  const int64_t step = a.C * a.S;
  const T* const x = in_<T>(a.x);
  if (a.training) keep_moments<T>(a, c, moments<V>(x + c * a.S, a.N, a.S, step));
  const Normalized<V> f(a, c);
  for (int64_t at = c * a.S; at < a.N * step; at += step) f.template run<last>(a, at, x + at);
}

// Incoming gradients. kPlain: g as it is; kRelu: through relu's derivative; kAdd: summed first, and
// left in g_sum.
template <class V, Last last>
V incoming(const BatchNormArgs& a, int64_t at, int n) {
  using T = Scalar<V>;
  V d = load_some<V>(in_<T>(a.g) + at, n);
  if (last == kPlain) return d;
  if (last == kAdd && a.summand) {
    const V s = load_some<V>(in_<T>(a.summand) + at, n);
    d = a.summand_first ? sum_of(s, d) : sum_of(d, s);
  }
  return select(load_some<V>(in_<T>(a.result) + at, n) > V{}, d, V{});
}
// gx of a channel from the sums of its d and d (x - mean).
template <class V>
struct Spread {
  V mean, scale, slope, shift;
  Spread() = default;
  Spread(const BatchNormArgs& a, int64_t c, double first, double second) {
    using T = Scalar<V>;
    const double rstd = double(in_<T>(a.rstd)[c]), w = or_<T>(a.weight, c, 1);
    const double n = double(a.N * a.S);
    if (a.gbias) out_<T>(a.gbias)[c] = T(first);
    if (a.gweight) out_<T>(a.gweight)[c] = T(second * rstd);
    mean = set1<V>(in_<T>(a.mean)[c]);
    scale = set1<V>(T(w * rstd));
    slope = set1<V>(T(a.training ? -w * rstd * rstd * rstd * second / n : 0));
    shift = set1<V>(T(a.training ? -w * rstd * first / n : 0));
  }
  void run(const BatchNormArgs& a, int64_t at, const Scalar<V>* x, const Scalar<V>* d) const {
    Scalar<V>* const to = out_<Scalar<V>>(a.gx) + at;
    if (a.training)
      each_vector<V>(a.S, [&](int64_t i, int n) {
        const V e = load_some<V>(x + i, n) - mean;
        store_some<V>(to + i, fma(e, slope, fma(load_some<V>(d + i, n), scale, shift)), n);
      });
    else
      each_vector<V>(
          a.S, [&](int64_t i, int n) { store_some<V>(to + i, load_some<V>(d + i, n) * scale, n); });
  }
};
// Between the passes what `incoming` gave lies in gx, or in g_sum.
template <class V, Last last>
void channel_grad(const BatchNormArgs& a, int64_t c) {
  using T = Scalar<V>;
  const int64_t step = a.C * a.S;
  const T centre = in_<T>(a.mean)[c];
  const V mean = set1<V>(centre);
  T* const kept = last == kPlain ? nullptr : out_<T>(last == kAdd ? a.g_sum : a.gx);
  TwoSums<V> sums;
  if (a.training || a.gweight || a.gbias) {
    for (int64_t at = c * a.S; at < a.N * step; at += step)
      sums.run(a.S, [&](int64_t i, int n, V* s, V* t) {
        const V d = incoming<V, last>(a, at + i, n);
        if (last != kPlain) store_some<V>(kept + at + i, d, n);
        *s = d;
        *t = d * (load_some<V>(in_<T>(a.x) + at + i, n, centre) - mean);
      });
    sums.flush();
  }
  const Spread<V> f(a, c, sums.first, sums.second);
  if (!a.gx) return;
  for (int64_t at = c * a.S; at < a.N * step; at += step)
    f.run(a, at, in_<T>(a.x) + at, last == kPlain ? in_<T>(a.g) + at : kept + at);
}

// Short runs: several channels' are brought together, image by image, so that each channel is one
// run, and its results go back the same way. Worth it where runs are one or two vectors, or lie a
// power of two apart: then they share a few sets of the caches, are gone when the second pass wants
// them, and each is too short to be fetched ahead.
constexpr int64_t kRoom = 32 * 1024, kShortRun = 512;        // bytes: of these channels, of a run
constexpr int64_t kCache = 1024 * 1024, kWay = kCache / 16;  // the second-level cache, about
// How many channels at a time; 0: they are taken one by one. By the sizes only.
template <class V, bool grad>
int64_t together(const BatchNormArgs& a) {
  const int64_t run = a.S * int64_t(sizeof(Scalar<V>)), step = a.C * run, apart = step & -step;
  if (run > kShortRun || !a.training || (grad && !a.gx)) return 0;
  if (a.S > 2 * kLanes<V> && a.N * (apart < kWay ? apart : kWay) <= kCache) return 0;
  const int64_t most = kRoom / (a.N * run * (grad ? 2 : 1));
  return most < 2 ? 0 : most < 8 ? most : 8;
}
template <class V, Last last>
void short_runs(const BatchNormArgs& a, int64_t c, int64_t m) {
  using T = Scalar<V>;
  T room[kRoom / sizeof(T)];  // (m, N, S)
  Normalized<V> f[8];
  const int64_t S = a.S, all = a.N * S, from = c * S, step = a.C * S;
  for (int64_t k = 0; k < a.N; ++k)
    for (int64_t j = 0; j < m; ++j) {
      const T* const x = in_<T>(a.x) + from + k * step + j * S;
      T* const to = room + j * all + k * S;
      each_vector<V>(S,
                     [&](int64_t i, int n) { store_some<V>(to + i, load_some<V>(x + i, n), n); });
    }
  for (int64_t j = 0; j < m; ++j) {
    keep_moments<T>(a, c + j, moments<V>(room + j * all, 1, all, 0));
    f[j] = Normalized<V>(a, c + j);
  }
  for (int64_t k = 0; k < a.N; ++k)
    for (int64_t j = 0; j < m; ++j)
      f[j].template run<last>(a, from + k * step + j * S, room + j * all + k * S);
}
template <class V, Last last>
void short_runs_grad(const BatchNormArgs& a, int64_t c, int64_t m) {
  using T = Scalar<V>;
  T room[kRoom / sizeof(T)];  // x and d: (m, N, S) each
  Spread<V> f[8];
  const int64_t S = a.S, all = a.N * S, from = c * S, step = a.C * S;
  T* const ds = room + m * all;
  for (int64_t k = 0; k < a.N; ++k)
    for (int64_t j = 0; j < m; ++j) {
      const int64_t at = from + k * step + j * S, to = j * all + k * S;
      each_vector<V>(S, [&](int64_t i, int n) {
        const V d = incoming<V, last>(a, at + i, n);
        store_some<V>(room + to + i, load_some<V>(in_<T>(a.x) + at + i, n), n);
        store_some<V>(ds + to + i, d, n);
        if (last == kAdd) store_some<V>(out_<T>(a.g_sum) + at + i, d, n);
      });
    }
  for (int64_t j = 0; j < m; ++j) {
    const T centre = in_<T>(a.mean)[c + j];
    const V mean = set1<V>(centre);
    TwoSums<V> sums;
    sums.run(all, [&](int64_t i, int n, V* s, V* t) {
      const V d = load_some<V>(ds + j * all + i, n);
      *s = d;
      *t = d * (load_some<V>(room + j * all + i, n, centre) - mean);
    });
    sums.flush();
    f[j] = Spread<V>(a, c + j, sums.first, sums.second);
  }
  for (int64_t k = 0; k < a.N; ++k)
    for (int64_t j = 0; j < m; ++j) {
      const int64_t at = j * all + k * S;
      f[j].run(a, from + k * step + j * S, room + at, ds + at);
    }
}

template <class V, bool grad, Last last>
void planes(const BatchNormArgs& a, int64_t begin, int64_t end) {
  const int64_t some = together<V, grad>(a);
  for (int64_t c = begin; some && c < end; c += some) {
    const int64_t m = end - c < some ? end - c : some;
    grad ? short_runs_grad<V, last>(a, c, m) : short_runs<V, last>(a, c, m);
  }
  for (int64_t c = begin; !some && c < end; ++c)
    grad ? channel_grad<V, last>(a, c) : channel<V, last>(a, c);
}

// ---- S = 1: columns [c, c + m) of (N, C), m up to four vectors ---------------------------------
template <class V>
struct Columns {
  using T = Scalar<V>;
  static constexpr int L = kLanes<V>, width = 4 * L;
  int64_t c;
  int part[4];  // columns in each vector
  Columns(int64_t first, int64_t m) : c(first) {
    for (int k = 0; k < 4; ++k) {
      const int64_t left = m - k * L;
      part[k] = left < 0 ? 0 : left < L ? int(left) : L;
    }
  }
  V get(const T* row, int k, T fill = 0) const {
    return load_some<V>(row + c + k * L, part[k], fill);
  }
  void put(T* row, int k, V v) const { store_some<V>(row + c + k * L, v, part[k]); }
  // One number per column, or `fill` everywhere.
  V vector(const void* p, int k, T fill) const { return p ? get(in_<T>(p), k) : set1<V>(fill); }

  // Per column: the sums over rows of the two terms f(row, k, &a, &b).
  template <class F>
  void sums(int64_t N, double* first, double* second, F f) const {
    for (int i = 0; i < width; ++i) first[i] = second[i] = 0;
    for (int64_t r = 0; r < N; r += 32) {
      const int64_t end = r + 32 < N ? r + 32 : N;
      for (int k = 0; k < 4 && part[k]; ++k) {
        V s{}, t{};
        for (int64_t row = r; row < end; ++row) {
          V a, b;
          f(row, k, &a, &b);
          s += a, t += b;
        }
        for (int i = 0; i < L; ++i)
          first[k * L + i] += double(s[i]), second[k * L + i] += double(t[i]);
      }
    }
  }
};

template <class V>
void columns(const BatchNormArgs& a, int64_t c, int64_t m) {
  using T = Scalar<V>;
  const Columns<V> at(c, m);
  const T* const x = in_<T>(a.x);
  if (a.training) {
    double first[at.width], second[at.width];
    const int64_t samples = a.N < kSamples ? a.N : kSamples;  // the mean of these rows is the shift
    V shift[4] = {};
    for (int k = 0; k < 4 && at.part[k]; ++k) {
      V top{};
      for (int64_t r = 0; r < samples; ++r) {
        const V some = at.get(x + r * a.N / samples * a.C, k);
        shift[k] += some;
        top = max(top, abs(some));
      }
      shift[k] = coarse(shift[k] * set1<V>(T(1 / double(samples))), top);
    }
    at.sums(a.N, first, second, [&](int64_t r, int k, V* s, V* t) {
      const V d = at.get(x + r * a.C, k) - shift[k];
      *s = d;
      *t = d * d;
    });
    const double n = double(a.N);
    for (int64_t i = 0; i < m; ++i) {
      const double d = first[i] / n, variance = second[i] / n - d * d;
      const double mean = double(shift[i / at.L][i % at.L]) + d;
      keep_moments<T>(a, c + i, {mean, variance < 0 ? 0 : variance});
    }
  }
  for (int k = 0; k < 4 && at.part[k]; ++k) {
    const V mean = at.vector(a.mean, k, 0), bias = at.vector(a.bias, k, 0);
    const V scale = at.vector(a.rstd, k, 0) * at.vector(a.weight, k, 1);
    for (int64_t r = 0; r < a.N; ++r)
      at.put(out_<T>(a.y) + r * a.C, k, fma(at.get(x + r * a.C, k) - mean, scale, bias));
  }
}

template <class V>
void columns_grad(const BatchNormArgs& a, int64_t c, int64_t m) {
  using T = Scalar<V>;
  const Columns<V> at(c, m);
  const T *const x = in_<T>(a.x), *const g = in_<T>(a.g);
  double first[at.width], second[at.width];
  T slope[at.width] = {}, shift[at.width] = {};
  at.sums(a.N, first, second, [&](int64_t r, int k, V* s, V* t) {
    const V d = at.get(g + r * a.C, k);
    *s = d;
    *t = d * (at.get(x + r * a.C, k) - at.vector(a.mean, k, 0));
  });
  for (int64_t i = 0; i < m; ++i) {
    const double rstd = double(in_<T>(a.rstd)[c + i]), w = or_<T>(a.weight, c + i, 1);
    if (a.gbias) out_<T>(a.gbias)[c + i] = T(first[i]);
    if (a.gweight) out_<T>(a.gweight)[c + i] = T(second[i] * rstd);
    if (!a.training) continue;
    slope[i] = T(-w * rstd * rstd * rstd * second[i] / double(a.N));
    shift[i] = T(-w * rstd * first[i] / double(a.N));
  }
  if (!a.gx) return;
  for (int k = 0; k < 4 && at.part[k]; ++k) {
    const V mean = at.vector(a.mean, k, 0);
    const V scale = at.vector(a.rstd, k, 0) * at.vector(a.weight, k, 1);
    const V b = load<V>(slope + k * at.L), s = load<V>(shift + k * at.L);
    for (int64_t r = 0; r < a.N; ++r) {
      const V d = at.get(x + r * a.C, k) - mean;
      at.put(out_<T>(a.gx) + r * a.C, k, fma(d, b, fma(at.get(g + r * a.C, k), scale, s)));
    }
  }
}

template <class V, bool grad>
void batch_norm(const BatchNormArgs& a, int64_t begin, int64_t end) {
  if (a.S > 1) {
    const bool add = grad ? a.g_sum != nullptr : a.summand != nullptr;
    return (add      ? planes<V, grad, kAdd>
            : a.relu ? planes<V, grad, kRelu>
                     : planes<V, grad, kPlain>)(a, begin, end);
  }
  for (int64_t c = begin; c < end; c += 4 * kLanes<V>) {
    const int64_t m = end - c < 4 * kLanes<V> ? end - c : 4 * kLanes<V>;
    grad ? columns_grad<V>(a, c, m) : columns<V>(a, c, m);
  }
}

}  // namespace

void fill_norm(Kernels& k) {
  k.norm.batch_norm[kF32] = batch_norm<F32, false>;
  k.norm.batch_norm[kF64] = batch_norm<F64, false>;
  k.norm.batch_norm_grad[kF32] = batch_norm<F32, true>;
  k.norm.batch_norm_grad[kF64] = batch_norm<F64, true>;
}

}  // namespace lamina::LAMINA_ISA
