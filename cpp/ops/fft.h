// Discrete Fourier transforms along one dimension, times `scale`. float32 and float64.
#pragma once
#include "ops/apply.h"

namespace lamina {

// Complex to complex: y_k = scale * sum_j x_j e^(-+ 2 pi i j k / n), + for the inverse.
Tensor fft_complex(const Tensor& x, int64_t dim, bool inverse, double scale);
// Real x of n elements to its n / 2 + 1 first terms, which determine the others.
Tensor fft_to_half(const Tensor& x, int64_t dim, double scale);
// The reverse: n / 2 + 1 complex terms to n reals (no 1 / n); the imaginary parts of the first
// term, and for even n of the last, do not count.
Tensor fft_from_half(const Tensor& x, int64_t dim, int64_t n, double scale);

}  // namespace lamina
