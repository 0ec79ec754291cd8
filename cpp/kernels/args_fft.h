// Arguments and table entries of the Fourier kernels (included by kernels.h inside namespace
// lamina).
#pragma once

constexpr int kFftStages = 40;        // 3^40 and more do not fit memory
constexpr int kFftLargestPrime = 13;  // larger prime factors go through a convolution
constexpr int kFftGroup = 16;         // most transforms done side by side

// How a complex transform of length n is done: stages of radix r, or (convolution > 0) as a
// circular convolution with a chirp (Bluestein). Tables of one compute type, owned by ops/fft.cpp.
struct FftPlan {
  int64_t n;
  int stages;
  int radix[kFftStages];
  const void* twiddle[kFftStages];  // (r - 1, m) real parts, as many imaginary: w^(p k), k > 0
  const void* roots[kFftStages];    // odd r: cos, then sin of 2 pi j k / r, j and k in [1, r / 2]
  int64_t convolution;              // length of the transforms `inner` does, or 0
  const FftPlan* inner;
  const void *chirp, *filter;  // n: e^(-i pi j^2 / n); convolution: its transform; re, then im
};

enum FftKind : int { kFftComplex, kFftToHalf, kFftFromHalf, kFftKinds };
// x (outer, size in, inner) -> y (outer, size out, inner), dense. Complex: n -> n elements; to
// half: n reals -> n / 2 + 1 complex; from half: the reverse. y = scale * transform.
struct FftArgs {
  const void* x;
  void* y;
  int64_t n, outer, inner;
  int64_t group;  // transforms side by side; a unit is one such group
  bool inverse;
  double scale, middle;  // middle: factor of half-spectrum elements that stand for two
  const FftPlan* plan;   // of length n, or n / 2 for a half spectrum with even n
  const void* turns;     // w_n^k for k < n / 2, where plan has length n / 2; re, then im
  void* scratch;         // fft_scratch(...) values
};
using FftFn = void (*)(const FftArgs& a, int64_t begin, int64_t end);
// (re, im) (n, group) -> their transforms, in place; scratch of the same size and as the plan asks.
using FftPlanesFn = void (*)(const FftPlan& p, void* re, void* im, int64_t group, void* scratch);

struct FftKernels {
  FftFn f[kFftKinds][2] = {};
  FftPlanesFn planes[2] = {};
};

// Values of scratch `planes` needs, and a unit of `f` (which has its own planes too).
inline int64_t fft_planes_scratch(const FftPlan& p, int64_t group) {
  return (p.convolution ? 4 * p.convolution : 2 * p.n) * group;
}
