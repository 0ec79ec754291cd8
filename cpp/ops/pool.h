// Pooling over the last one or two dimensions. All others count planes, so a batch is optional.
#pragma once
#include <optional>
#include <utility>

#include "ops/apply.h"
#include "ops/pool_args.h"

namespace lamina {

// y = max over each window (NaN wins). kernel, stride (empty: the kernel), padding, dilation: one
// number or `nd` of them. The second result holds each maximum's flat position in its plane
// (int64), and is undefined without `indices`.
std::pair<Tensor, Tensor> max_pool(const Tensor& x, int64_t nd, const Dims& kernel,
                                   const Dims& stride, const Dims& padding, const Dims& dilation,
                                   bool ceil_mode, bool indices);
// For plans: max_pool's arguments, null for another op; and makes a recorded call of its gradient
// take relu's, of the same input, in[2] being the maxima (false: it is another op, or cannot).
const PoolCall* max_pool_use(const Op& op, const void* args);
bool extend_max_pool_grad(const Op& op, void* args);
// y = sum over each window / divisor: the given one, or the number of the window's elements,
// with those in the padding when count_include_pad.
Tensor avg_pool(const Tensor& x, int64_t nd, const Dims& kernel, const Dims& stride,
                const Dims& padding, bool ceil_mode, bool count_include_pad,
                std::optional<int64_t> divisor);
// Output i of `size` covers inputs floor(i n / size) ... ceil((i + 1) n / size) - 1; a size of -1
// keeps the input's.
Tensor adaptive_avg_pool(const Tensor& x, int64_t nd, const Dims& size);
std::pair<Tensor, Tensor> adaptive_max_pool(const Tensor& x, int64_t nd, const Dims& size,
                                            bool indices);

}  // namespace lamina
