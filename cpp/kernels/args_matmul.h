// Arguments and table entries of the matrix product kernels (included by kernels.h inside
// namespace lamina).
#pragma once

// What is done to an element of C as it is stored for the last time.
struct Epilogue {
  const void* column_bias = nullptr;  // (N): added to every row
  const void* row_bias = nullptr;     // (M): added to every column
  bool relu = false;
};

// C (rows x columns, columns <= NR) = or += A (rows x depth) B (depth x columns).
struct GemmBlock {
  int64_t rows, depth, columns;
  const void* a;
  int64_t a_row, a_depth;  // element (i, k) of A is a[i * a_row + k * a_depth]
  const void* b;
  int64_t b_depth;  // element (k, j) of B is b[k * b_depth + j]; packed: NR columns are there
  bool packed;
  void* c;
  int64_t ldc;
  bool add;                  // C += instead of C =
  const Epilogue* epilogue;  // null: none; its biases start at this block
};
// Columns [0, columns) of B as (depth, NR), zeros after the last column. transposed: element
// (k, j) of B is b[j * ldb + k], else b[k * ldb + j].
using PackFn = void (*)(void* out, const void* b, int64_t ldb, bool transposed, int64_t depth,
                        int64_t columns);

struct MatmulKernels {  // [kF32 or kF64]
  void (*block[2])(const GemmBlock&) = {};
  PackFn pack[2] = {};
  int nr[2] = {};  // columns of a panel
  int mr[2] = {};  // rows of a tile
};
