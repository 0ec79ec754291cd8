// Scans: running sums, products, extremes and log-sum-exps along one dimension.
//
// Layout: (P, N, S) dense; a unit is up to kScanTile neighbouring columns, whose running values sit
// in an array the compiler works on as vectors. float32 runs in double. Cost: one pass.
#pragma once
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
struct Running {
  using A = double;
};
template <>
struct Running<int64_t> {
  using A = uint64_t;  // modulo 2^64
};
template <class T>
inline bool is_nan(T x) {
  return x != x;
}

// f(first element of column tile, how many, step from one element of a column to the next).
template <class F>
void each_tile(const ScanArgs& a, int64_t begin, int64_t end, F f) {
  const int64_t tiles = (a.S + kScanTile - 1) / kScanTile;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t from = u % tiles * kScanTile;
    const int64_t w = a.S - from < kScanTile ? a.S - from : kScanTile;
    const int64_t first = u / tiles * a.N * a.S + from;
    if (a.reverse)
      f(first + (a.N - 1) * a.S, w, -a.S);
    else
      f(first, w, a.S);
  }
}

// Rows that lie side by side in memory: several at a time, whose chains of sums overlap.
template <class T, bool product, int rows>
void cumulate_rows(const ScanArgs& a, int64_t first) {
  using A = typename Running<T>::A;
  const T* const x = static_cast<const T*>(a.x) + first * a.N;
  T* const y = static_cast<T*>(a.y) + first * a.N;
  A acc[rows];
  for (int r = 0; r < rows; ++r) acc[r] = product ? 1 : 0;
  for (int64_t k = 0; k < a.N; ++k) {
    const int64_t i = a.reverse ? a.N - 1 - k : k;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      if (product)
        acc[r] *= A(x[r * a.N + i]);
      else
        acc[r] += A(x[r * a.N + i]);
      y[r * a.N + i] = T(acc[r]);
    }
  }
}
template <class T, bool product>
void cumulate(const ScanArgs& a, int64_t begin, int64_t end) {
  using A = typename Running<T>::A;
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  if (a.S == 1) {
    for (; begin + 8 <= end; begin += 8) cumulate_rows<T, product, 8>(a, begin);
    for (; begin < end; ++begin) cumulate_rows<T, product, 1>(a, begin);
    return;
  }
  each_tile(a, begin, end, [&](int64_t at, int64_t w, int64_t step) {
    A acc[kScanTile];
    for (int64_t j = 0; j < w; ++j) acc[j] = product ? 1 : 0;
    for (int64_t i = 0; i < a.N; ++i, at += step) {
      const T* const from = x + at;
      T* const to = y + at;
      for (int64_t j = 0; j < w; ++j) {
        if (product)
          acc[j] *= A(from[j]);
        else
          acc[j] += A(from[j]);
        to[j] = T(acc[j]);
      }
    }
  });
}

// A row: from one change to the next, 16 elements looked at and filled at a time; the first NaN
// ends that.
template <class T, bool largest>
void extreme_row(const ScanArgs& a, int64_t first) {
  const T* const x = static_cast<const T*>(a.x) + first * a.N;
  T* const y = static_cast<T*>(a.y) + first * a.N;
  int64_t* const index = a.index + first * a.N;
  constexpr int64_t kAtOnce = 16;
  auto keeps = [](T v, T best) { return largest ? v < best : v > best; };
  int64_t i = 0;
  while (i < a.N) {
    const T best = x[i];
    const int64_t place = i;
    y[i] = best;
    index[i++] = place;
    if (is_nan(best)) break;
    for (; i + kAtOnce <= a.N; i += kAtOnce) {
      int kept = 1;
      for (int64_t j = 0; j < kAtOnce; ++j) kept &= keeps(x[i + j], best);
      if (!kept) break;
      for (int64_t j = 0; j < kAtOnce; ++j) y[i + j] = best;
      for (int64_t j = 0; j < kAtOnce; ++j) index[i + j] = place;
    }
    for (; i < a.N && keeps(x[i], best); ++i) {
      y[i] = best;
      index[i] = place;
    }
  }
  for (; i < a.N; ++i) {  // after a NaN
    y[i] = y[i - 1];
    index[i] = is_nan(x[i]) ? i : index[i - 1];
  }
}

// The last of equals wins, and NaN over everything.
template <class T, bool largest>
void extreme(const ScanArgs& a, int64_t begin, int64_t end) {
  if (a.S == 1 && !a.reverse) {
    for (; begin < end; ++begin) extreme_row<T, largest>(a, begin);
    return;
  }
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  each_tile(a, begin, end, [&](int64_t at, int64_t w, int64_t step) {
    T best[kScanTile];
    int64_t place[kScanTile];
    for (int64_t i = 0; i < a.N; ++i, at += step)
      for (int64_t j = 0; j < w; ++j) {
        const T v = x[at + j];
        if (i == 0 || is_nan(v) || (!is_nan(best[j]) && (largest ? v >= best[j] : v <= best[j]))) {
          best[j] = v;
          place[j] = i;
        }
        y[at + j] = best[j];
        a.index[at + j] = place[j];
      }
  });
}

template <class T>
void log_sum_exp(const ScanArgs& a, int64_t begin, int64_t end) {
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  each_tile(a, begin, end, [&](int64_t at, int64_t w, int64_t step) {
    double m[kScanTile], s[kScanTile];  // the sum so far is s e^m
    for (int64_t j = 0; j < w; ++j) m[j] = -__builtin_inf(), s[j] = 0;
    for (int64_t i = 0; i < a.N; ++i, at += step)
      for (int64_t j = 0; j < w; ++j) {
        const double v = double(x[at + j]);
        if (v == m[j]) {
          s[j] += v == -__builtin_inf() ? 0 : 1;
        } else if (v > m[j]) {
          s[j] = s[j] * __builtin_exp(m[j] - v) + 1;
          m[j] = v;
        } else {
          s[j] += __builtin_exp(v - m[j]);
        }
        y[at + j] = T(m[j] + __builtin_log(s[j]));
      }
  });
}

template <class T, int rows>
void product_grad_rows(const ScanArgs& a, int64_t first) {
  const T* const x = static_cast<const T*>(a.x) + first * a.N;
  const T* const g = static_cast<const T*>(a.g) + first * a.N;
  T* const y = static_cast<T*>(a.y) + first * a.N;
  double acc[rows];
  for (int r = 0; r < rows; ++r) acc[r] = 1;
  for (int64_t k = 0; k < a.N; ++k) {
    const int64_t i = a.reverse ? a.N - 1 - k : k;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      y[r * a.N + i] = T(acc[r]);
      acc[r] *= x[r * a.N + i];
    }
  }
  for (int r = 0; r < rows; ++r) acc[r] = 0;
  for (int64_t k = a.N - 1; k >= 0; --k) {
    const int64_t i = a.reverse ? a.N - 1 - k : k;
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const double part = acc[r] + g[r * a.N + i];
      y[r * a.N + i] = T(y[r * a.N + i] * part);
      acc[r] = part * x[r * a.N + i];
    }
  }
}

// With L_k the product before k and R_k = g_k + x_k+1 R_k+1 the gradient is L_k R_k: zeros in x
// need no care.
template <class T>
void product_grad(const ScanArgs& a, int64_t begin, int64_t end) {
  if (a.S == 1) {
    for (; begin + 8 <= end; begin += 8) product_grad_rows<T, 8>(a, begin);
    for (; begin < end; ++begin) product_grad_rows<T, 1>(a, begin);
    return;
  }
  const T *const x = static_cast<const T*>(a.x), *const g = static_cast<const T*>(a.g);
  T* const y = static_cast<T*>(a.y);
  each_tile(a, begin, end, [&](int64_t at, int64_t w, int64_t step) {
    double acc[kScanTile];
    for (int64_t j = 0; j < w; ++j) acc[j] = 1;
    for (int64_t i = 0; i < a.N; ++i, at += step)
      for (int64_t j = 0; j < w; ++j) {
        y[at + j] = T(acc[j]);
        acc[j] *= x[at + j];
      }
    for (int64_t j = 0; j < w; ++j) acc[j] = 0;
    for (int64_t i = 0; i < a.N; ++i) {
      at -= step;
      for (int64_t j = 0; j < w; ++j) {
        const double r = acc[j] + g[at + j];
        y[at + j] = T(y[at + j] * r);
        acc[j] = r * x[at + j];
      }
    }
  });
}

// e^(a - b) for a <= b; 0 where both are -inf.
inline double fade(double a, double b) {
  return a == b ? a != -__builtin_inf() : __builtin_exp(a - b);
}

// y never falls along the scan, so no factor is above 1: r_i = r_i-1 e^(y_i-1 - y_i) + g_i e^(x_i -
// y_i); transposed, from the end, s_i = g_i + s_i+1 e^(y_i - y_i+1) and r_i = s_i e^(x_i - y_i).
template <class T, bool transposed>
void log_weighed(const ScanArgs& a, int64_t begin, int64_t end) {
  const T *const x = static_cast<const T*>(a.x), *const g = static_cast<const T*>(a.g),
                 *const y = static_cast<const T*>(a.z);
  T* const r = static_cast<T*>(a.y);
  each_tile(a, begin, end, [&](int64_t at, int64_t w, int64_t step) {
    double acc[kScanTile] = {}, last[kScanTile];
    for (int64_t i = 0; i < a.N; ++i, at += step)
      for (int64_t j = 0; j < w; ++j) {
        const double v = y[at + j], own = fade(x[at + j], v);
        if (i > 0 && acc[j] != 0) acc[j] *= transposed ? fade(v, last[j]) : fade(last[j], v);
        acc[j] += transposed ? g[at + j] : g[at + j] * own;
        r[at + j] = T(transposed ? acc[j] * own : acc[j]);
        last[j] = v;
      }
  });
}

template <class T>
void fill_type(ScanKernels& k, int c) {
  k.f[kCumSum][c] = cumulate<T, false>;
  k.f[kCumProd][c] = cumulate<T, true>;
  k.f[kCumMax][c] = extreme<T, true>;
  k.f[kCumMin][c] = extreme<T, false>;
}

}  // namespace

void fill_scan(Kernels& k) {
  fill_type<float>(k.scan, kF32);
  fill_type<double>(k.scan, kF64);
  fill_type<int64_t>(k.scan, kI64);
  k.scan.f[kLogCumSumExp][kF32] = log_sum_exp<float>;
  k.scan.f[kLogCumSumExp][kF64] = log_sum_exp<double>;
  k.scan.f[kCumProdGrad][kF32] = product_grad<float>;
  k.scan.f[kLogWeighed][kF32] = log_weighed<float, false>;
  k.scan.f[kLogWeighedT][kF32] = log_weighed<float, true>;
  k.scan.f[kCumProdGrad][kF64] = product_grad<double>;
  k.scan.f[kLogWeighed][kF64] = log_weighed<double, false>;
  k.scan.f[kLogWeighedT][kF64] = log_weighed<double, true>;
}

}  // namespace lamina::LAMINA_ISA
