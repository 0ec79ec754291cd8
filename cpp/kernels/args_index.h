// Arguments and table entries of the index kernels (included by kernels.h inside namespace lamina).
#pragma once

// gather and scatter along one dimension. The index tensor is dense with sizes `shape`; its element
// at (i_0, ..., i_nd-1) names the place p = sum i_d * strides[d] + index * step in `data`, with
// strides[dim] = 0. A run is one line of the index tensor along its last dimension.
struct ScatterArgs {
  void* data;   // gather: read; scatter: written
  void* other;  // gather: written, dense as the index; scatter: read, by other_strides
  const int64_t* index;
  int nd;
  int64_t shape[12], strides[12], other_strides[12];
  int64_t step, size;  // of `data` along dim
  int64_t begin, end;  // columns of each run that are worked on
};
// Runs [begin, end); returns -1, or the position in the index tensor of one that is out of range.
using ScatterFn = int64_t (*)(const ScatterArgs& a, int64_t begin, int64_t end);

// y[i] += x[i * step], i in [0, n)
using AddRowFn = void (*)(void* y, const void* x, int64_t step, int64_t n);

enum ScatterReduce { kScatterAdd, kScatterMul, kScatterMax, kScatterMin, kScatterReduces };

// The positions i in [0, n) of nonzero bytes p[i], counted; and listed into out[0], out[step], ...,
// at most `room` of them, which are all that p holds.
using CountFn = int64_t (*)(const uint8_t* p, int64_t n);
using ListFn = void (*)(const uint8_t* p, int64_t n, int64_t first, int64_t room, int64_t step,
                        int64_t* out);

struct IndexKernels {
  CountFn count_true = nullptr;
  ListFn list_true = nullptr;  // writes first + i
  ScatterFn gather[4] = {};    // by log2 of the element size
  ScatterFn scatter[4] = {};
  ScatterFn scatter_reduce[kScatterReduces][3] = {};  // by Compute
  AddRowFn add_row[3] = {};
  AddRowFn scale_row[2] = {};  // y[i] *= x[0]
};
