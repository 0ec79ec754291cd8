// Layer normalisation of the rows of x (rows, size), D = size, h = (x - mean) rstd:
//   mean = sum x / D,  rstd = 1 / sqrt(sum (x - mean)^2 / D + eps)        RMS norm: mean = 0
//   y  = h w + b
//   gx = rstd (g w - sum(g w) / D - h sum(g w h) / D)                     RMS norm: no second term
//   gw = sum over rows of g h,  gb = sum over rows of g
//
// Sums over rows are taken within blocks of kLayerNormBlock rows, then over blocks, in double.
// Cost: one pass over memory; a row is read three times from the first-level cache.
#pragma once
#include "kernels/vec_moments.h"
#include "kernels/vec_stream.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
void layer_norm(const LayerNormArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T *const w = static_cast<const T*>(a.weight), *const b = static_cast<const T*>(a.bias);
  const double per = 1 / double(a.size);
  for (int64_t r = begin; r < end; ++r) {
    const T* const x = static_cast<const T*>(a.x) + r * a.size;
    T* const y = static_cast<T*>(a.y) + r * a.size;
    T centre = 0;
    if (a.mean) {
      centre =
          T(one_sum<V>(a.size, [&](int64_t i, int m) { return load_some<V>(x + i, m); }) * per);
      static_cast<T*>(a.mean)[r] = centre;
    }
    const V mean = set1<V>(centre);
    const double squares = one_sum<V>(a.size, [&](int64_t i, int m) {
      const V d = load_some<V>(x + i, m, centre) - mean;
      return d * d;
    });
    const T inverse = T(1 / __builtin_sqrt(squares * per + a.eps));
    static_cast<T*>(a.rstd)[r] = inverse;
    const V rstd = set1<V>(inverse);
    const auto write = [&](auto f) {
      a.past ? write_row<true, V>(y, a.size, f) : write_row<false, V>(y, a.size, f);
    };
    const auto h = [&](int64_t i, int64_t m) {
      return (load_some<V>(x + i, int(m)) - mean) * rstd;
    };
    if (w && b)
      write([&](int64_t i, int64_t m) {
        return fma(h(i, m), load_some<V>(w + i, int(m)), load_some<V>(b + i, int(m)));
      });
    else if (w)
      write([&](int64_t i, int64_t m) { return h(i, m) * load_some<V>(w + i, int(m)); });
    else
      write(h);
  }
  if (a.past) streamed();
}

template <class V>
void layer_norm_grad(const LayerNormArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T* const w = static_cast<const T*>(a.weight);
  const double per = 1 / double(a.size);
  for (int64_t block = begin; block < end; ++block) {
    T* const gw = a.partial ? static_cast<T*>(a.partial) + block * 2 * a.size : nullptr;
    if (gw)
      for (int64_t i = 0; i < 2 * a.size; ++i) gw[i] = 0;
    const int64_t first = block * kLayerNormBlock, last = first + kLayerNormBlock;
    for (int64_t r = first; r < last && r < a.rows; ++r) {
      const T *const x = static_cast<const T*>(a.x) + r * a.size, *const g =
                                                                      static_cast<const T*>(a.g) +
                                                                      r * a.size;
      const T inverse = static_cast<const T*>(a.rstd)[r];
      const V mean = set1<V>(a.mean ? static_cast<const T*>(a.mean)[r] : T(0));
      const V rstd = set1<V>(inverse);
      TwoSums<V> sums;  // of g w and g w h; lanes past the end are 0 through g
      sums.run(a.size, [&](int64_t i, int m, V* s, V* t) {
        const V d = load_some<V>(g + i, m), h = (load_some<V>(x + i, m) - mean) * rstd;
        *s = w ? d * load_some<V>(w + i, m) : d;
        *t = *s * h;
      });
      sums.flush();
      if (gw)
        each_vector<V>(a.size, [&](int64_t i, int m) {
          const V d = load_some<V>(g + i, m), h = (load_some<V>(x + i, m) - mean) * rstd;
          store_some<V>(gw + i, fma(d, h, load_some<V>(gw + i, m)), m);
          T* const gb = gw + a.size + i;
          store_some<V>(gb, d + load_some<V>(gb, m), m);
        });
      if (!a.gx) continue;
      T* const gx = static_cast<T*>(a.gx) + r * a.size;
      const V s = set1<V>(a.mean ? T(-sums.first * per) : T(0)), t = set1<V>(T(-sums.second * per));
      const auto value = [&](int64_t i, int64_t n) {
        const int m = int(n);
        const V h = (load_some<V>(x + i, m) - mean) * rstd;
        const V d = w ? load_some<V>(g + i, m) * load_some<V>(w + i, m) : load_some<V>(g + i, m);
        return rstd * fma(h, t, d + s);
      };
      a.past ? write_row<true, V>(gx, a.size, value) : write_row<false, V>(gx, a.size, value);
    }
  }
  if (a.past) streamed();
}

template <class T>
void layer_norm_sums(const LayerNormArgs& a, int64_t begin, int64_t end) {
  const int64_t blocks = (a.rows + kLayerNormBlock - 1) / kLayerNormBlock;
  constexpr int64_t width = 64;
  for (int half = 0; half < 2; ++half) {
    T* const to = static_cast<T*>(half ? a.gbias : a.gweight);
    if (!to) continue;
    for (int64_t c = begin; c < end; c += width) {
      const int64_t m = end - c < width ? end - c : width;
      double sum[width] = {};
      for (int64_t block = 0; block < blocks; ++block) {
        const T* const from = static_cast<const T*>(a.partial) + (block * 2 + half) * a.size + c;
        for (int64_t i = 0; i < m; ++i) sum[i] += double(from[i]);
      }
      for (int64_t i = 0; i < m; ++i) to[c + i] = T(sum[i]);
    }
  }
}

}  // namespace

void fill_layer_norm(Kernels& k) {
  k.norm.layer_norm[kF32] = layer_norm<F32>;
  k.norm.layer_norm[kF64] = layer_norm<F64>;
  k.norm.layer_norm_grad[kF32] = layer_norm_grad<F32>;
  k.norm.layer_norm_grad[kF64] = layer_norm_grad<F64>;
  k.norm.layer_norm_sums[kF32] = layer_norm_sums<float>;
  k.norm.layer_norm_sums[kF64] = layer_norm_sums<double>;
}

}  // namespace lamina::LAMINA_ISA
