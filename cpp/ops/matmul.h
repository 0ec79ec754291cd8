// Matrix products of tensors. PyTorch's semantics; both operands must have the same dtype.
// float16 and bfloat16 compute as float32, integers as int64 (modulo 2^64) rounded to their dtype.
#pragma once
#include <optional>

#include "ops/apply.h"
#include "ops/creation.h"

namespace lamina {

// (..., M, K) @ (..., K, N) -> (..., M, N), the leading dimensions broadcast; a 1-D operand counts
// as a row on the left, as a column on the right, and its dimension is missing in the result.
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor mm(const Tensor& a, const Tensor& b);     // (M, K) (K, N)
Tensor bmm(const Tensor& a, const Tensor& b);    // (B, M, K) (B, K, N)
Tensor mv(const Tensor& a, const Tensor& x);     // (M, K) (K,)
Tensor dot(const Tensor& a, const Tensor& b);    // (K,) (K,) -> ()
Tensor outer(const Tensor& a, const Tensor& b);  // (M,) (N,) -> (M, N)

// beta * input + alpha * (product); input broadcasts to the product's shape and is not read when
// beta is 0.
Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha);
Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha);
Tensor addmv(const Tensor& input, const Tensor& a, const Tensor& x, Scalar beta, Scalar alpha);

// x (..., K), w (N, K), b (N) or none -> x w^T + b (..., N): one pass over the result.
Tensor linear(const Tensor& x, const Tensor& w, const std::optional<Tensor>& b);
// max(0, linear(x, w, b)), the maximum taken as the result is stored.
Tensor linear_relu(const Tensor& x, const Tensor& w, const std::optional<Tensor>& b);

// For plans: makes a recorded call of `linear` take relu too; false: it is another op, or it does.
bool extend_linear(const Op& op, void* args);
// For plans: whether a call is a `linear` of so few rows that it is faster with the weight, its
// input 1, in panels (gemm_panels); the panels made of a weight; and the call made to read them
// (undefined: to read the weight itself). The bits are the same.
bool takes_panels(const Call& c);
void make_panels(const Call& c, const Tensor& panels);  // as many elements as the weight
void set_panels(Call& c, const Tensor& panels);

}  // namespace lamina
