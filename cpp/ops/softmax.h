// softmax, log_softmax and cross-entropy.
#pragma once
#include <optional>
#include <string>

#include "ops/apply.h"

namespace lamina {

Tensor softmax(const Tensor& x, int64_t dim);
Tensor log_softmax(const Tensor& x, int64_t dim);
// Gradients from the result: y (g - sum g y), and g - exp(y) sum g.
Tensor softmax_grad(const Tensor& g, const Tensor& y, int64_t dim);
Tensor log_softmax_grad(const Tensor& g, const Tensor& y, int64_t dim);

// log sum exp(x) along one dimension.
Tensor logsumexp_dim(const Tensor& x, int64_t dim, bool keepdim);

// x (N, C, ...) or (C); target: classes (N, ...), integers; or probabilities in x's shape.
// reduction: "none", "mean" (by the targets' weights) or "sum".
Tensor cross_entropy(const Tensor& x, const Tensor& target, std::optional<Tensor> weight,
                     const std::string& reduction, int64_t ignore_index, double label_smoothing);

}  // namespace lamina
