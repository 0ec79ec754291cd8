// Draws of the gamma and binomial distributions (algorithms: gamma_cpu.h).
#pragma once
#include "core/random.h"
#include "ops/apply.h"

namespace lamina {

// Log of a draw of Gamma(alpha, 1) for each element of alpha > 0; float64 of alpha's shape. Its
// gradient is that of the quantile, so functions of the draw have pathwise gradients.
Tensor log_gamma_draw(const Tensor& alpha, GeneratorRef g);
// Draws of the number of successes in `count` trials of probability `p`; tensors of one shape.
// Of p's dtype, without a gradient.
Tensor random_binomial(const Tensor& count, const Tensor& p, GeneratorRef g);

}  // namespace lamina
