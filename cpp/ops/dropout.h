// Dropout (Srivastava et al., JMLR 15 (2014)).
#pragma once
#include "core/random.h"
#include "ops/apply.h"

namespace lamina {

// x / (1 - p) with probability 1 - p, else 0, each element on its own. p in [0, 1].
Tensor dropout(const Tensor& x, double p, GeneratorRef g);
// The same written into x.
Tensor dropout_(const Tensor& x, double p, GeneratorRef g);

}  // namespace lamina
