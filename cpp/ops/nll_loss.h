// The negative log likelihood of classes.
#pragma once
#include <optional>
#include <string>

#include "ops/apply.h"

namespace lamina {

// x (N, C, ...) or (C), log-probabilities; target: classes (N, ...), int64 or uint8. reduction:
// "none", "mean" (by the targets' weights) or "sum". On the CPU.
Tensor nll_loss(const Tensor& x, const Tensor& target, std::optional<Tensor> weight,
                const std::string& reduction, int64_t ignore_index);

// Raises that the class number at `row` of target (dense, int64) is out of range.
[[noreturn]] void bad_class(const char* op, const Tensor& target, int64_t row, int64_t classes,
                            int64_t ignore);

}  // namespace lamina
