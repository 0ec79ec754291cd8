// Random tensors. Each draw reserves Philox blocks of its generator and is then a pure function of
// (seed, offset): the same on every number of threads and every instruction set.
#pragma once
#include "core/random.h"
#include "ops/apply.h"

namespace lamina {

// Distributions of floating tensors; a and b are (low, high), (mean, deviation), (rate), (p),
// (median, sigma). float16 and bfloat16 are rounded from float32.
Tensor random_uniform(const Dims& shape, double a, double b, DType dtype, GeneratorRef g);
Tensor random_normal(const Dims& shape, double mean, double deviation, DType dtype, GeneratorRef g);
// Integers in [low, low + range) as `dtype`; range 0 stands for 2^64.
Tensor random_integers(const Dims& shape, int64_t low, uint64_t range, DType dtype, GeneratorRef g);
// 0 .. n-1 in random order.
Tensor random_permutation(int64_t n, DType dtype, GeneratorRef g);

// The same in place, on a tensor of any dtype and strides. kind: RandomKind.
Tensor random_(const Tensor& x, int64_t kind, double a, double b, GeneratorRef g);
Tensor random_integers_(const Tensor& x, int64_t low, uint64_t range, GeneratorRef g);

// rate[i] >= 0 -> Poisson draws, rate's dtype.
Tensor random_poisson(const Tensor& rate, GeneratorRef g);
// Rows of non-negative weights -> indices drawn from each: (n,) -> (count,), (m, n) -> (m, count).
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement, GeneratorRef g);

}  // namespace lamina
