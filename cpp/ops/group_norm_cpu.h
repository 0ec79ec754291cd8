// Group normalisation of x (N, G, D, S): each of the N G groups by itself, h = (x - mean) rstd,
// n = D S:
//   y_cs  = h_cs w_c + b_c,   c = channel g D + d
//   A_c   = sum_s g_cs,  B_c = sum_s g_cs h_cs                  per sample; floor 2 sums over
//   samples gx_cs = rstd (g_cs w_c - sum_c(w_c A_c) / n - h_cs sum_c(w_c B_c) / n)
//
// Cost: forward reads a group twice and writes it once, backward reads x and g twice and writes gx;
// the second reading comes from the cache while a group fits.
#pragma once
#include "kernels/vec_moments.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
void group_norm(const GroupNormArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T *const w = static_cast<const T*>(a.weight), *const b = static_cast<const T*>(a.bias);
  for (int64_t k = begin; k < end; ++k) {
    const T* const x = static_cast<const T*>(a.x) + k * a.D * a.S;
    T* const y = static_cast<T*>(a.y) + k * a.D * a.S;
    const Moments m = moments<V>(x, 1, a.D * a.S, 0);
    const T rstd = T(1 / __builtin_sqrt(m.variance + a.eps));
    static_cast<T*>(a.mean)[k] = T(m.mean);
    static_cast<T*>(a.rstd)[k] = rstd;
    const V mean = set1<V>(T(m.mean));
    for (int64_t d = 0; d < a.D; ++d) {
      const int64_t c = k % a.G * a.D + d;
      const V scale = set1<V>(w ? rstd * w[c] : rstd), bias = set1<V>(b ? b[c] : T(0));
      each_vector<V>(a.S, [&](int64_t i, int n) {
        store_some<V>(y + d * a.S + i, fma(load_some<V>(x + d * a.S + i, n) - mean, scale, bias),
                      n);
      });
    }
  }
}

template <class V>
void group_norm_grad(const GroupNormArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T* const w = static_cast<const T*>(a.weight);
  for (int64_t k = begin; k < end; ++k) {
    const T *const x = static_cast<const T*>(a.x) + k * a.D * a.S, *const g =
                                                                       static_cast<const T*>(a.g) +
                                                                       k * a.D * a.S;
    const T inverse = static_cast<const T*>(a.rstd)[k];
    const V mean = set1<V>(static_cast<const T*>(a.mean)[k]);
    double first = 0, second = 0;  // sum_c w_c A_c, sum_c w_c B_c
    for (int64_t d = 0; d < a.D; ++d) {
      TwoSums<V> sums;
      sums.run(a.S, [&](int64_t i, int n, V* s, V* t) {
        const V v = load_some<V>(g + d * a.S + i, n);
        *s = v;
        *t = v * (load_some<V>(x + d * a.S + i, n) - mean);
      });
      sums.flush();
      const double weight = w ? double(w[k % a.G * a.D + d]) : 1, B = sums.second * double(inverse);
      first += weight * sums.first;
      second += weight * B;
      a.sum_g[k * a.D + d] = sums.first;
      a.sum_gx[k * a.D + d] = B;
    }
    if (!a.gx) continue;
    T* const gx = static_cast<T*>(a.gx) + k * a.D * a.S;
    const double n = double(a.D * a.S), rstd = double(inverse);
    const V slope = set1<V>(T(-rstd * rstd * second / n)), shift = set1<V>(T(-rstd * first / n));
    for (int64_t d = 0; d < a.D; ++d) {
      const V scale = set1<V>(w ? inverse * w[k % a.G * a.D + d] : inverse);
      each_vector<V>(a.S, [&](int64_t i, int m) {
        const V h = load_some<V>(x + d * a.S + i, m) - mean, v = load_some<V>(g + d * a.S + i, m);
        store_some<V>(gx + d * a.S + i, fma(h, slope, fma(v, scale, shift)), m);
      });
    }
  }
}

}  // namespace

void fill_group_norm(Kernels& k) {
  k.norm.group_norm[kF32] = group_norm<F32>;
  k.norm.group_norm[kF64] = group_norm<F64>;
  k.norm.group_norm_grad[kF32] = group_norm_grad<F32>;
  k.norm.group_norm_grad[kF64] = group_norm_grad<F64>;
}

}  // namespace lamina::LAMINA_ISA
