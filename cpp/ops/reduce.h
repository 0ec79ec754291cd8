// Reductions over any set of dimensions.
#pragma once
#include <optional>
#include <utility>

#include "ops/apply.h"

namespace lamina {

// In all of these dims empty = all dimensions. float16 and bfloat16 accumulate as float32.

// Integers and bool sum in int64.
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor sum(const Tensor& x, const Dims& dims, bool keepdim, std::optional<DType> dtype);
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false,
            std::optional<DType> dtype = {});
Tensor prod(const Tensor& x, const Dims& dims, bool keepdim, std::optional<DType> dtype);
// Undoes broadcasting: sums g over the dimensions `shape` was expanded along.
Tensor sum_to(const Tensor& g, const Dims& shape);

// Largest and smallest values; NaN wins; the gradient is shared equally among equals.
Tensor amax(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor amin(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
// (values, int64 indices of the first occurrence) along one dimension; the gradient goes there.
std::pair<Tensor, Tensor> max_dim(const Tensor& x, int64_t dim, bool keepdim);
std::pair<Tensor, Tensor> min_dim(const Tensor& x, int64_t dim, bool keepdim);
// dim absent: the position in the flattened tensor.
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim);
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim);
Tensor any(const Tensor& x, const Dims& dims, bool keepdim);
Tensor all(const Tensor& x, const Dims& dims, bool keepdim);

// sum (x - mean)^2 / max(0, n - correction), and its root.
Tensor var(const Tensor& x, const Dims& dims, double correction, bool keepdim);
Tensor std_dev(const Tensor& x, const Dims& dims, double correction, bool keepdim);
// sqrt(sum x^2)
Tensor norm2(const Tensor& x, const Dims& dims, bool keepdim);
// (sum |x|^p)^(1/p); p = inf, -inf: the largest, smallest |x|; p = 0: how many are not zero.
Tensor vector_norm(const Tensor& x, double p, const Dims& dims, bool keepdim);
// log sum exp(x)
Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim);

}  // namespace lamina
