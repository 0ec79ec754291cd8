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
};
void gemm(const DeviceCall& c, Compute via, const Gemm& g);

}  // namespace lamina::cuda
