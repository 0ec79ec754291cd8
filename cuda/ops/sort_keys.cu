// Sorting small integers by the radix sort of radix.h: as many passes as their largest has bytes.
#include "sort.h"

#include "radix.h"

namespace lamina::cuda {
namespace {

struct KeyEnds {
  const int32_t* from;
  int32_t *keys, *places;
  __device__ uint32_t first(int64_t, int64_t i) const { return uint32_t(from[i]); }
  __device__ void last(int64_t, int64_t rank, uint32_t key, int place) const {
    keys[rank] = int32_t(key);
    places[rank] = place;
  }
};

__global__ void copy_kernel(const int32_t* from, int32_t* to, int64_t n) {
  LAMINA_GRID_STRIDE(i, n) to[i] = from[i];
}

}  // namespace

void sort_keys(const DeviceCall& c, int32_t* keys, int32_t* places, int64_t n, int64_t top) {
  if (n == 0) return;
  if (n > INT32_MAX || top > INT32_MAX)
    fail(kNotImplemented, "%s: more than 2^31 rows are not supported on CUDA", c.name);
  int passes = 1;
  while (passes < 4 && (top - 1) >> (8 * passes)) ++passes;
  if (passes > 1) return radix_sort<uint32_t>(c, KeyEnds{keys, keys, places}, 1, n, passes);
  const Scratch sorted(c.device, size_t(n) * 4);  // a single pass reads keys while it writes
  radix_sort<uint32_t>(c, KeyEnds{keys, sorted.as<int32_t>(), places}, 1, n, 1);
  launch(c, copy_kernel, dim3(blocks_for(n)), dim3(kBlock), 0, sorted.as<int32_t>(), keys, n);
}

}  // namespace lamina::cuda
