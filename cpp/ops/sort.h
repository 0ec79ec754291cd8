// Order along one dimension.
#pragma once
#include <optional>
#include <utility>

#include "ops/apply.h"

namespace lamina {

// (values, int64 positions), stable; NaN counts as the largest.
std::pair<Tensor, Tensor> sort(const Tensor& x, int64_t dim, bool descending);
// The first k of that order.
std::pair<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest);
// How many elements of `sorted` (its last dimension) come before each of v: those less than it, or
// with `right` also those equal to it. sorted is one sequence, or has v's leading dimensions.
// order: positions that put `sorted` in order, when it is not itself.
Tensor searchsorted(const Tensor& sorted, const Tensor& v, bool right, std::optional<Tensor> order);

}  // namespace lamina
