// The gradient of a recurrent layer written in differentiable ops, step by step: what backward
// runs under create_graph, so that it can be differentiated again.
#pragma once
#include "ops/apply.h"
#include "ops/recurrent_launch.h"

namespace lamina {

// in: the op's inputs (x, w_ih, w_hh, b_ih, b_hh, w_hr, h0, c0, batch_sizes), absent ones
// undefined; gy, ghn, gcn: gradients of its results, undefined where zero. Gradients of inputs 0
// to 7.
Tensors recurrent_composed_grad(const RecurrentSizes& s, const Tensor* in, const Tensor& gy,
                                const Tensor& ghn, const Tensor& gcn);

}  // namespace lamina
