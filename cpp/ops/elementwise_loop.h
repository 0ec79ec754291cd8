// Running an elementwise kernel over tensors.
#pragma once
#include "core/call.h"
#include "kernels/kernels.h"

namespace lamina {

// Runs f over y and the inputs, converting through blocks where an operand is not dense or not of
// the compute type. native: f works in the storage types, only density is asked for.
void elementwise_loop(BlockFn f, Compute via, const double* p, const Tensor& y, const Tensor* x,
                      int n, bool native = false);

}  // namespace lamina
