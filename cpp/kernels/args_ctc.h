// Arguments and table entries of the CTC kernels (included by kernels.h inside namespace lamina).
#pragma once

// Sequences of x (T, N, C): frames[n] frames of log-probabilities, labels[n] labels from
// targets + starts[n]. States s = 0 ... 2 labels: a blank where even, else the label (s - 1) / 2.
struct CtcArgs {
  const void* x;
  const int64_t *targets, *frames, *labels, *starts;
  void* alpha;     // (N, T, pitch), the first two of each row are borders
  double* offset;  // (N, T): what is to be added to the rows of alpha
  void* loss;      // (N): -log p
  void* scratch;   // (N, kCtcRows, pitch)
  const void* g;   // (N); gx (T, N, C)
  void* gx;
  int64_t T, N, C, pitch, blank;
  bool zero_infinity;
};
constexpr int kCtcRows = 5;
// Samples [begin, end).
using CtcFn = void (*)(const CtcArgs& a, int64_t begin, int64_t end);

struct CtcKernels {  // [kF32 or kF64]
  CtcFn loss[2] = {};
  CtcFn grad[2] = {};
};
