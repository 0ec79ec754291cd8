// Arguments and table entries of the gamma and binomial kernels (included by kernels.h inside
// namespace lamina).
#pragma once

struct GammaArgs {
  const double* shape;  // the parameter alpha > 0
  double* y;            // log of the draw
  uint64_t seed, offset;
};
struct GammaGradArgs {
  const double *shape, *y;  // alpha, log of the draw
  double* dy;               // d y / d alpha
};
struct BinomialArgs {
  const double *count, *p;
  double* y;
  uint64_t seed, offset;
};

struct GammaKernels {  // values [begin, end); value i draws from block offset + i
  void (*draw)(const GammaArgs& a, int64_t begin, int64_t end) = nullptr;
  void (*grad)(const GammaGradArgs& a, int64_t begin, int64_t end) = nullptr;
  void (*binomial)(const BinomialArgs& a, int64_t begin, int64_t end) = nullptr;
};
