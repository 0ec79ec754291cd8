// Reading and writing by indices: index tensors, masks, gather and scatter, embedding.
#pragma once
#include <string>

#include "ops/apply.h"
#include "ops/creation.h"

namespace lamina {

// x[indices]: one index tensor (int64, int32, int16, int8: may be negative; bool, uint8: a mask
// over as many dimensions as it has) or an undefined one (a full slice) for each leading dimension.
// The index tensors broadcast together; their dimensions stand where the indexed ones stood when
// those are adjacent, else first.
Tensor index(const Tensor& x, const Tensors& indices);
// x[indices] = value (or += with duplicates added up), value broadcast and converted.
Tensor index_put_(const Tensor& x, const Tensors& indices, const Tensor& value, bool accumulate);
Tensor index_put(const Tensor& x, const Tensors& indices, const Tensor& value, bool accumulate);

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& rows);
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source,
                 Scalar alpha);
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source);
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& value);
// Elements of x (seen as flat) at `places`, in the shape of `places`.
Tensor take(const Tensor& x, const Tensor& places);

// Indices of elements that are not zero: (count, dim()) int64, in row-major order.
Tensor nonzero(const Tensor& x);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor masked_fill_(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor masked_select(const Tensor& x, const Tensor& mask);
Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source);

// y[i, j, ...] = x[rows[i, j, ...] at dim, the other indices as they are]
Tensor gather(const Tensor& x, int64_t dim, const Tensor& rows);
// The reverse: x with x[rows at dim] = source, or combined with it: reduce is "" (replace), "sum",
// "prod", "mean", "amax", "amin"; without include_self the old value of a written place is dropped.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source,
               const std::string& reduce, bool include_self);
Tensor scatter_(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source,
                const std::string& reduce, bool include_self);

// Sums of the rows of weight (V, E) that rows (B, L) name: (B, E); float32 or float64, on the CPU.
Tensor embedding_bag_sum(const Tensor& weight, const Tensor& rows);
// Rows of weight (V, E): rows.shape + (E,). The gradient of row padding_idx (negative: none) is 0;
// with scale_by_frequency that of each row is divided by how often it occurs.
Tensor embedding(const Tensor& weight, const Tensor& rows, int64_t padding_idx,
                 bool scale_by_frequency);

// ---- the two ops behind all of it (index_rows.cpp) ---------------------------------------------
// Dimensions [first, first + count) of x taken as one dimension of rows; y has rows.shape there.
Tensor select_rows(const char* name, const Tensor& x, const Tensor& rows, int first, int count);
// x with those rows replaced by, or added to, value (broadcast to select_rows's result).
Tensor put_rows(const char* name, const Tensor& x, const Tensor& rows, int first, int count,
                const Tensor& value, bool accumulate, const Tensor* into);
// An int64 dense version of an index tensor; throws when its dtype is not an integer type.
Tensor as_rows(const char* name, const Tensor& index);

}  // namespace lamina
