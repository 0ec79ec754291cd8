// What gathering and scattering along one dimension share.
#pragma once
#include "launch.h"
#include "ops/index_args.h"
#include "strided.h"

namespace lamina::cuda {

struct ScatterPack {
  Strides s;  // of the lines: the index (0), data (1), the other tensor (2)
  void* data;
  void* other;  // gather: written; scatter: read
  const int64_t* index;
  int64_t length, index_step, step, other_step, size;  // along dim
  DType type;
};
__device__ inline int64_t scatter_place(const ScatterPack& k, int64_t index,
                                        const Reporter& report) {
  if (index >= 0 && index < k.size) return index;
  report(index, k.size);
  return 0;
}
inline Reporter scatter_reporter(const DeviceCall& c) {
  return reporter(c, kIndex, "index %lld is out of bounds for a dimension with size %lld");
}

// y and one more value v in its place.
template <int mode, class T>
LAMINA_HD T scattered(T y, T v) {
  if constexpr (mode == kScatterAdd)
    return y + v;
  else if constexpr (mode == kScatterMul)
    return y * v;
  else if constexpr (mode == kScatterMax)
    return v > y || v != v ? v : y;
  else if constexpr (mode == kScatterMin)
    return v < y || v != v ? v : y;
  else
    return v;
}

// Scatters when there are too few lines for a thread each; false: there are enough.
bool scatter_sorted(const DeviceCall& c, const ScatterPack& k, int mode);

}  // namespace lamina::cuda
