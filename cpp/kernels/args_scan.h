// Arguments and table entries of the scan kernels (included by kernels.h inside namespace lamina).
#pragma once

// x is seen as (P, N, S), dense; y_i combines x_0 ... x_i along N (reverse: x_i ... x_N-1). A unit
// is one p and kScanTile neighbouring columns: unit = p * tiles + tile.
constexpr int64_t kScanTile = 64;
enum ScanKind : int {
  kCumSum,
  kCumProd,
  kCumMax,
  kCumMin,
  kLogCumSumExp,
  kCumProdGrad,  // sum over i >= k of g_i * product of x_j, j <= i, j != k
  kLogWeighed,   // sum over k <= i of g_k exp(x_k - y_i), y the logcumsumexp of x
  kLogWeighedT,  // its transpose: sum over i >= k of g_i exp(x_k - y_i)
  kScanKinds
};
struct ScanArgs {
  const void* x;
  const void* g;  // of a gradient
  const void* z;  // the y of kLogWeighed
  void* y;
  int64_t* index;  // cummax, cummin: where the extreme is
  int64_t N, S;
  bool reverse;
};
using ScanFn = void (*)(const ScanArgs& a, int64_t begin, int64_t end);

struct ScanKernels {
  ScanFn f[kScanKinds][3] = {};  // by Compute
};
