// Running sums, products, extremes and log-sum-exps along one dimension.
#pragma once
#include <optional>
#include <utility>

#include "ops/apply.h"

namespace lamina {

// reverse: from the end. Integers and bool accumulate in int64.
Tensor cumsum(const Tensor& x, int64_t dim, std::optional<DType> dtype, bool reverse = false);
Tensor cumprod(const Tensor& x, int64_t dim, std::optional<DType> dtype, bool reverse = false);
// (values, int64 positions): the last of equals; NaN wins.
std::pair<Tensor, Tensor> cummax(const Tensor& x, int64_t dim);
std::pair<Tensor, Tensor> cummin(const Tensor& x, int64_t dim);
Tensor logcumsumexp(const Tensor& x, int64_t dim, bool reverse = false);
// For every element the product of the others over dims, exact where there are zeros.
Tensor product_of_others(const Tensor& x, const Dims& dims);

}  // namespace lamina
