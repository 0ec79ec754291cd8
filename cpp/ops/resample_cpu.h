// Resampling along one dimension: every output is a weighted sum of a few inputs, by a table.
//
// Layout: (P, N, S) dense; the last dimension (S = 1) is gathered, others are sums of whole rows.
// Cost: one multiplication per tap; rows are read once per tap from the cache.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
void resample_line(const ResampleArgs& a, const T* x, T* y) {
  for (int64_t i = 0; i < a.M; ++i) {
    T sum = 0;
    for (int64_t t = a.start[i]; t < a.start[i + 1]; ++t) sum += T(a.weight[t]) * x[a.index[t]];
    y[i] = sum;
  }
}

template <class V>
void resample_row(const ResampleArgs& a, const Scalar<V>* x, Scalar<V>* y, int64_t from,
                  int64_t to) {
  using T = Scalar<V>;
  constexpr int64_t lanes = kLanes<V>;
  for (int64_t s = 0; s < a.S; s += lanes) {
    const int n = int(a.S - s < lanes ? a.S - s : lanes);
    V sum = set1<V>(T(0));
    for (int64_t t = from; t < to; ++t) {
      const T* const row = x + a.index[t] * a.S + s;
      sum = fma(set1<V>(T(a.weight[t])), n == lanes ? load<V>(row) : load<V>(row, n), sum);
    }
    if (n == lanes)
      store(y + s, sum);
    else
      store(y + s, sum, n);
  }
}

template <class V>
void resample(const ResampleArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const T* const x = static_cast<const T*>(a.x);
  T* const y = static_cast<T*>(a.y);
  for (int64_t u = begin; u < end; ++u) {
    if (a.S == 1) {
      resample_line(a, x + u * a.N, y + u * a.M);
    } else {
      const int64_t p = u / a.M, i = u % a.M;
      resample_row<V>(a, x + p * a.N * a.S, y + u * a.S, a.start[i], a.start[i + 1]);
    }
  }
}

}  // namespace

void fill_resample(Kernels& k) {
  k.resample.rows[kF32] = resample<F32>;
  k.resample.rows[kF64] = resample<F64>;
}

}  // namespace lamina::LAMINA_ISA
