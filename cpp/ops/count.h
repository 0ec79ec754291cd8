// Class numbers as vectors, and how often each occurs.
#pragma once
#include <optional>

#include "ops/apply.h"

namespace lamina {

// x's shape and a last dimension of `classes` (-1: max + 1): 1 at the class number, else 0; int64.
Tensor one_hot(const Tensor& x, int64_t classes);
// y[k] = how often k occurs in x (n), n > 0, or the sum of the weights (n) there; max + 1 or
// `least` places.
Tensor bincount(const Tensor& x, std::optional<Tensor> weights, int64_t least);

}  // namespace lamina
