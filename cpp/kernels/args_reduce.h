// Arguments and table entries of the reduce kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// What is accumulated. The accumulator of one output is `planes` slots of 8 bytes (double, or int64
// for integers); n outputs side by side are `planes` arrays of n slots, `plane` slots apart.
enum ReduceKind : int {
  kReduceSum,  // sum (float64: and its rounding error)
  kReduceProd,
  kReduceMax,  // NaN wins
  kReduceMin,
  kReduceSquare,   // sum of squares (float64: and its rounding error)
  kReduceMoments,  // count, mean, sum of squared deviations
  kReduceArgMax,   // largest value, its first position; NaN is largest
  kReduceArgMin,
  kReduceKinds
};
constexpr int kReducePlanes = 3;  // the most any kind has

// How the accumulator becomes the result.
struct ReduceFinish {
  enum Form : int { value, quotient, root, variance, deviation } form;
  double p;  // quotient: divisor; variance, deviation: correction
};

// x: elements of the compute type. Positions count along the reduced dimension.
struct ReduceFns {
  int planes = 0;
  void (*start)(void* acc, int64_t plane, int64_t n) = nullptr;
  // One output, n elements in a row, the first at `position`.
  void (*run)(const void* x, int64_t n, int64_t position, void* acc) = nullptr;
  // n outputs side by side, `rows` rows that are row_stride apart.
  void (*columns)(const void* x, int64_t row_stride, int64_t rows, int64_t n, int64_t position,
                  void* acc, int64_t plane) = nullptr;
  // acc of n outputs takes in those of later elements.
  void (*merge)(void* acc, int64_t plane, const void* later, int64_t later_plane,
                int64_t n) = nullptr;
  // y[i * stride], and for positions also index[i * stride] (or null).
  void (*finish)(void* y, int64_t* index, int64_t stride, const void* acc, int64_t plane, int64_t n,
                 const ReduceFinish& f) = nullptr;
  // start, run and finish for `rows` outputs of n elements each.
  void (*rows)(const void* x, int64_t row_stride, int64_t rows, int64_t n, void* y, int64_t* index,
               int64_t stride, const ReduceFinish& f) = nullptr;
};

struct ReduceKernels {
  ReduceFns f[kReduceKinds][3] = {};  // by Compute
};
