// Arguments and table entries of the resample kernel (included by kernels.h inside namespace
// lamina).
#pragma once

// y (P, M, S) = rows of a sparse matrix (M, N) times x (P, N, S), both dense:
//   y[p, i, s] = sum over t in [start[i], start[i + 1]) of weight[t] x[p, index[t], s]
struct ResampleArgs {
  const void* x;
  void* y;
  int64_t N, M, S;
  const int64_t *start, *index;
  const double* weight;
};
// Units [begin, end): unit = p * M + i for S > 1, p for S = 1.
using ResampleFn = void (*)(const ResampleArgs& a, int64_t begin, int64_t end);

struct ResampleKernels {  // [kF32 or kF64]
  ResampleFn rows[2] = {};
};
