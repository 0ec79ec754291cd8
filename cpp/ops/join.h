// Putting tensors together and rearranging their elements: copies, not views.
#pragma once
#include "ops/apply.h"

namespace lamina {

// The tensors one after another along `dim`; dtypes are promoted, empty 1-D tensors are skipped.
Tensor cat(const Tensors& xs, int64_t dim);
// The tensors along a new dimension.
Tensor stack(const Tensors& xs, int64_t dim);
Tensor flip(const Tensor& x, const Dims& dims);
// Elements pushed past the end of `dims` come back at its beginning; dims empty: of x flattened.
Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims);
Tensor repeat(const Tensor& x, const Dims& repeats);
// mode: 0 constant, 1 reflect, 2 replicate, 3 circular. pads: (before, after) of the last
// dimension, then of the one before it, ...; negative constant pads crop.
Tensor pad(const Tensor& x, const Dims& pads, int64_t mode, double value);
// x with the elements above (below) the given diagonal of its last two dimensions set to 0.
Tensor tril(const Tensor& x, int64_t diagonal);
Tensor triu(const Tensor& x, int64_t diagonal);
// The last dimension of x placed on a diagonal of zeros.
Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2);

}  // namespace lamina
