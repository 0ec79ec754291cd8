// Matrix products with any strides on tensor cores (loops: tensor_tiles.h). Operands whose lines
// are dense and begin at multiples of 16 bytes go straight to shared memory; others are read
// element by element.
#pragma once
#include "gemm.h"
#include "tensor_tiles.h"

namespace lamina::cuda {

template <class T>
struct StorageOf {
  using S = T;
};
template <>
struct StorageOf<Tf32> {
  using S = float;
};
template <class S>
using Eight = Vector<S, 8>;

// Elements anywhere: row * row_step + k * k_step.
template <class T_>
struct StridedRows {
  using T = T_;
  const T* p;
  int64_t row_step, k_step;
  bool aligned;  // chunks are
  using Row = const T*;
  __device__ bool rows_first() const { return k_step != 1; }
  __device__ Row start(int64_t offset, int64_t row, bool inside) const {
    return inside ? p + offset + row * row_step : nullptr;
  }
  __device__ Chunk chunk(Row row, int k, int end) const {
    if (!row || k >= end) return Chunk{};
    if (aligned && k + kChunk<T> <= end) return *reinterpret_cast<const Chunk*>(row + k);
    union {
      Chunk all = {};
      T one[kChunk<T>];
    };
#pragma unroll
    for (int e = 0; e < kChunk<T>; ++e)
      if (k + e < end) one[e] = row[int64_t(k + e) * k_step];
    return all;
  }
};

template <class S>
struct StridedOut {
  Gemm g;
  bool aligned;  // 8 elements of a row from a multiple of 8 on
  __device__ void offsets(int64_t product, int64_t* at_a, int64_t* at_b) const {
    g.offsets(product, at_a, at_b);
  }
  __device__ void put(int64_t product, int64_t m, int64_t n, const float* from, int count) const {
    S* const to = static_cast<S*>(g.c) + product * g.c_product + m * g.c_row + n;
    Eight<S> y;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      if (e >= count) break;
      float v = from[e];
      if (g.column_bias) v += widen(static_cast<const S*>(g.column_bias)[n + e]);
      if (g.relu) v = v > 0 ? v : v != v ? v : 0;
      y.v[e] = narrow<S>(v);
    }
    if (aligned && count == 8)
      *reinterpret_cast<Eight<S>*>(to) = y;
    else
      for (int e = 0; e < count; ++e) to[e] = y.v[e];
  }
};

// How an operand lies: its step along m or n, its step along k, its batches' steps.
template <class T>
struct Lines {
  int64_t step, k_step;
  bool aligned = true;  // everything but the lines' own pitch
  Lines(const Gemm& g, const void* p, int64_t step, int64_t k_step, int64_t extent,
        const int64_t* batch)
      : step(extent > 1 ? step : 1), k_step(g.K > 1 ? k_step : 1) {
    aligned = reinterpret_cast<uintptr_t>(p) % 16 == 0;
    for (int d = 0; d < g.batch_dims; ++d)
      if (g.batch[d] > 1) aligned &= batch[d] % kChunk<T> == 0;
    if (extent <= 1) this->step = this->k_step == 1 ? kChunk<T> : 1;  // no line after the first
    if (g.K <= 1) this->k_step = this->step == 1 ? kChunk<T> : 1;
  }
  bool along_k() const { return aligned && k_step == 1 && step >= 0 && step % kChunk<T> == 0; }
  bool across() const { return aligned && step == 1 && k_step >= 0 && k_step % kChunk<T> == 0; }
};

template <class A, class B, class S>
void gemm_of(const DeviceCall& c, const Gemm& g, const A& a, const B& b) {
  const auto whole = [](int64_t n) { return n % 8 == 0; };
  const bool aligned = reinterpret_cast<uintptr_t>(g.c) % 16 == 0 && whole(g.c_row) &&
                       (g.products == 1 || whole(g.c_product));
  multiply_on_tensor_cores(c, TensorProduct<A, B, StridedOut<S>>{
                                  a, b, {g, aligned}, g.M, g.N, g.K, g.products, 1, 0, nullptr});
}

template <class T>
void tensor_gemm(const DeviceCall& c, const Gemm& g) {
  using S = typename StorageOf<T>::S;
  const Lines<T> a(g, g.a, g.a_row, g.a_k, g.M, g.batch_a),
      b(g, g.b, g.b_col, g.b_k, g.N, g.batch_b);
  const T *const pa = static_cast<const T*>(g.a), *const pb = static_cast<const T*>(g.b);
  if (a.along_k() && b.along_k())
    gemm_of<DenseOperand<T, true>, DenseOperand<T, true>, S>(c, g, {pa, a.step}, {pb, b.step});
  else if (a.along_k() && b.across())
    gemm_of<DenseOperand<T, true>, DenseOperand<T, false>, S>(c, g, {pa, a.step}, {pb, b.k_step});
  else if (a.across() && b.along_k())
    gemm_of<DenseOperand<T, false>, DenseOperand<T, true>, S>(c, g, {pa, a.k_step}, {pb, b.step});
  else if (a.across() && b.across())
    gemm_of<DenseOperand<T, false>, DenseOperand<T, false>, S>(c, g, {pa, a.k_step},
                                                               {pb, b.k_step});
  else
    gemm_of<ReadOperand<StridedRows<T>>, ReadOperand<StridedRows<T>>, S>(
        c, g, {{pa, a.step, a.k_step, a.along_k()}}, {{pb, b.step, b.k_step, b.along_k()}});
}

}  // namespace lamina::cuda
