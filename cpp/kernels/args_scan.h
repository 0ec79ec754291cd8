// Arguments and table entries of the scan kernels (included by kernels.h inside namespace lamina).
#pragma once

// x is seen as (P, N, S), dense; y_i combines x_0 ... x_i along N. A unit is one p and kScanTile
// neighbouring columns: unit = p * tiles + tile.
constexpr int64_t kScanTile = 64;
enum ScanKind : int { kCumSum, kCumProd, kCumMax, kCumMin, kLogCumSumExp, kScanKinds };
struct ScanArgs {
  const void* x;
  void* y;
  int64_t* index;  // cummax, cummin: where the extreme is
  int64_t N, S;
};
using ScanFn = void (*)(const ScanArgs& a, int64_t begin, int64_t end);

struct ScanKernels {
  ScanFn f[kScanKinds][3] = {};  // by Compute
};
