// Reductions over any set of dimensions.
#pragma once
#include "ops/apply.h"

namespace lamina {

// dims empty = all. Integers and bool sum in int64.
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// Undoes broadcasting: sums g over the dimensions `shape` was expanded along.
Tensor sum_to(const Tensor& g, const Dims& shape);

}  // namespace lamina
