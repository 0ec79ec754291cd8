// The CTC loss (formulas: ctc_cpu.h).
#pragma once
#include "ops/apply.h"

namespace lamina {

// x (T, N, C) log-probabilities; targets (L) int64; table (3, N) int64: frames and labels of each
// sequence and where its labels start in targets. Result: (N), the loss of each sequence.
// Gradient: exp(x) - occupation. Errors: labels out of range, integer x; lengths are the caller's.
Tensor ctc_loss(const Tensor& x, const Tensor& targets, const Tensor& table, int64_t blank,
                bool zero_infinity);

}  // namespace lamina
