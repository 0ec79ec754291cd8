// Arguments and table entries of the softmax kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// x is seen as (P, N, S), dense; N is the softmax dimension. A unit of work is one row of N when
// S = 1, else one p and kSoftmaxTile neighbouring columns: unit = p * tiles + tile.
constexpr int64_t kSoftmaxTile = 16;

enum SoftmaxKind : int {
  kSoftmaxValue,
  kLogSoftmaxValue,
  kSoftmaxGrad,
  kLogSoftmaxGrad,
  kLogSumExpValue,
  kSoftmaxKinds
};
struct SoftmaxArgs {
  const void* x;  // (P, N, S); of a gradient: the forward result
  const void* g;  // (P, N, S), of a gradient
  void* y;        // (P, N, S); of log-sum-exp (P, S)
  int64_t N, S;
  bool past = false;  // S = 1: y goes past the caches (past_caches)
};
using SoftmaxFn = void (*)(const SoftmaxArgs& a, int64_t begin, int64_t end);  // units

// R = P * S rows of N classes.
struct CrossEntropyArgs {
  const void* x;          // (P, N, S)
  const int64_t* target;  // (R)
  const void* weight;     // (N) or null
  void* loss;             // (R), of the forward pass
  void* stats;            // (2, R): m = max x and 1 / sum exp(x - m)
  const void* g;          // gradient: of row r at g[r * gstep]
  int64_t gstep;
  double gscale;  // factor on g
  void* gx;       // (P, N, S)
  int64_t N, S, R;
  int64_t ignore;
  double smoothing, weights;  // weights: sum of weight, or N
  bool past;                  // S = 1: gx goes past the caches
};
// Units; returns -1 or the smallest row whose target is out of range.
using CrossEntropyFn = int64_t (*)(const CrossEntropyArgs& a, int64_t begin, int64_t end);

struct SoftmaxKernels {
  SoftmaxFn f[kSoftmaxKinds][2] = {};  // f32, f64
  CrossEntropyFn cross_entropy[2] = {};
  CrossEntropyFn cross_entropy_grad[2] = {};
};
