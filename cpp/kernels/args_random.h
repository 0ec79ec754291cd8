// Arguments and table entries of the random kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// Values from Philox blocks offset, offset + 1, ... of a seed (layout: vec_philox.h).
struct RandomArgs {
  void* y;
  uint64_t seed, offset;
  int64_t n;    // values in y
  double a, b;  // parameters of the distribution
  int64_t low;  // integers: low + [0, range); range 0 stands for 2^64
  uint64_t range;
};
// Groups [begin, end) of 32 float32 values, or 16 float64 or int64 values.
using RandomFn = void (*)(const RandomArgs& a, int64_t begin, int64_t end);

enum RandomKind {
  kUniform,      // a + (b - a) u,  u in [0, 1)
  kNormal,       // a + b z
  kExponential,  // -ln(u) / a,  u in (0, 1]
  kBernoulli,    // 1 where u < a
  kCauchy,       // a + b tan(pi (u - 1/2))
  kRandomKinds
};

struct PoissonArgs {
  const double* rate;
  double* y;
  uint64_t seed, offset;  // value i draws from block offset + i with counter words 2, 3 = 0, 1, ...
};

// y = x * scale where kept, else 0; u32 < threshold drops. Groups of 64 elements, 8 blocks each.
struct DropoutArgs {
  const void* x;
  void* y;
  uint64_t seed, offset;
  int64_t n;
  uint64_t threshold;  // 0 ... 2^32
  double scale;
};
using DropoutFn = void (*)(const DropoutArgs& a, int64_t begin, int64_t end);

struct RandomKernels {
  RandomFn fill[kRandomKinds][2] = {};  // float32, float64
  RandomFn integers = nullptr;          // int64
  void (*poisson)(const PoissonArgs& a, int64_t begin, int64_t end) = nullptr;
  DropoutFn dropout[2] = {};  // float32, float64
};
