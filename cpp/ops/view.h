// Views: new shapes and strides over the same memory. No kernels; gradients go back through the
// geometry.
#pragma once
#include "ops/apply.h"

namespace lamina {

// Same elements in row-major order; a view when the strides allow, else a copy. One size may be -1.
Tensor reshape(const Tensor& x, const Dims& shape);
Tensor view(const Tensor& x, const Dims& shape);  // throws when it would need a copy
Tensor permute(const Tensor& x, const Dims& dims);
Tensor transpose(const Tensor& x, int64_t a, int64_t b);
Tensor expand(const Tensor& x, const Dims& shape);  // -1 keeps a size
Tensor broadcast_to(const Tensor& x, const Dims& shape);
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, const Dims& dims);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2);
Tensor unfold_view(const Tensor& x, int64_t dim, int64_t size, int64_t step);
Tensor as_strided(const Tensor& x, const Dims& shape, const Dims& strides, int64_t offset);
Tensor detach(const Tensor& x);
Tensor view_dtype(const Tensor& x, DType dtype);
// Pieces along `dim`, as one call (its gradient is one cat or stack): slices of `size` (the last
// may be shorter), slices of the given sizes, and every index on its own.
Tensors split(const Tensor& x, int64_t size, int64_t dim);
Tensors split_sizes(const Tensor& x, const Dims& sizes, int64_t dim);
Tensors unbind(const Tensor& x, int64_t dim);

}  // namespace lamina
