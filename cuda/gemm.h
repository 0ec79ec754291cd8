// C = A B (+ bias), then max(., 0) where asked. Strides in elements; a row of C is dense.
#pragma once
#include "launch.h"
#include "number.h"

namespace lamina::cuda {

struct Gemm {
  const void *a = nullptr, *b = nullptr;
  void* c = nullptr;
  int64_t M = 0, N = 0, K = 0;
  int64_t a_row = 0, a_k = 0, b_k = 0, b_col = 0, c_row = 0;
  const void* column_bias = nullptr;  // (N)
  bool relu = false;
  // A batch: product p's operands lie at the offsets of p's index in `batch`; C's follow in order.
  int64_t products = 1, c_product = 0;
  int batch_dims = 0;
  int64_t batch[12], batch_a[12], batch_b[12];

  LAMINA_HD void offsets(int64_t product, int64_t* at_a, int64_t* at_b) const {
    *at_a = *at_b = 0;
    for (int d = batch_dims - 1; d >= 0; --d) {
      const int64_t i = product % batch[d];
      product /= batch[d];
      *at_a += i * batch_a[d];
      *at_b += i * batch_b[d];
    }
  }
};

// Operands, bias and C of one dtype. float16 and bfloat16 are summed in float32 and rounded once;
// float32 as TF32 where the call allows it. By cuBLAS where it was found (cublas.h) and nothing is
// fused, else by kernels of ours.
void gemm(const DeviceCall& c, DType type, const Gemm& g);
inline void gemm(const DeviceCall& c, Compute via, const Gemm& g) {
  gemm(c, via == kF32 ? DType::float32 : via == kF64 ? DType::float64 : DType::int64, g);
}

// On tensor cores (gemm_tensor.h), a file for each type.
void gemm_half(const DeviceCall& c, const Gemm& g);
void gemm_brain(const DeviceCall& c, const Gemm& g);
void gemm_tf32(const DeviceCall& c, const Gemm& g);

}  // namespace lamina::cuda
