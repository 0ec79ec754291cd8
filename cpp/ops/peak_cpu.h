// The rate of multiply-adds from registers: what no float32 kernel can exceed.
//   x_i = x_i a + b, 12 independent chains of vectors, enough to hide the latency of an FMA.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

double multiply_adds(int64_t steps, float* out) {
  constexpr int kChains = 12;
  const F32 a = set1<F32>(0.999f), b = set1<F32>(0.001f);
  F32 x[kChains];
  for (int i = 0; i < kChains; ++i) x[i] = a * float(i);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) x[i] = fma(x[i], a, b);
  }
  F32 sum = x[0];
  for (int i = 1; i < kChains; ++i) sum += x[i];
  *out = hsum(sum);
  return double(steps) * kChains * kLanes<F32> * 2;
}

}  // namespace

void fill_peak(Kernels& k) { k.peak.multiply_adds = multiply_adds; }

}  // namespace lamina::LAMINA_ISA
