// The gradient of views that may show an element more than once (as_strided, unfold, diagonal):
// zeros with g added where the view showed it. Where no two elements of g meet it is a copy; where
// they may, the places are sorted, stably, and the thread of a place's first element adds them all
// in order, without atomics. Cost: one read of g and one write, and the sort.
#include <algorithm>

#include "launch.h"
#include "number.h"
#include "ops/strided_args.h"
#include "sort.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct StridedPack {
  const void* g;
  void* y;
  int nd;
  int64_t n, offset;
  int64_t shape[kMaxDims], stride[kMaxDims];
  const int32_t *keys, *places;  // sorted, where elements may meet
  __device__ int64_t place(int64_t i) const {
    int64_t at = offset;
    for (int d = nd - 1; d >= 0; --d) {
      at += i % shape[d] * stride[d];
      i /= shape[d];
    }
    return at;
  }
};
template <class T>
__global__ void place_kernel(const StridedPack k) {
  LAMINA_GRID_STRIDE(i, k.n)
  static_cast<T*>(k.y)[k.place(i)] = static_cast<const T*>(k.g)[i];
}
__global__ void keys_kernel(const StridedPack k, int32_t* keys) {
  LAMINA_GRID_STRIDE(i, k.n) keys[i] = int32_t(k.place(i));
}
template <class T>
__global__ void sum_kernel(const StridedPack k) {
  LAMINA_GRID_STRIDE(i, k.n) {
    const int32_t at = k.keys[i];
    if (i > 0 && k.keys[i - 1] == at) continue;
    T sum = 0;
    for (int64_t e = i; e < k.n && k.keys[e] == at; ++e)
      sum += static_cast<const T*>(k.g)[k.places[e]];
    static_cast<T*>(k.y)[at] = sum;
  }
}

// Ordered by stride, each dimension steps over all that the smaller ones reach.
bool apart(const StridedPack& k) {
  int order[kMaxDims];
  for (int d = 0; d < k.nd; ++d) order[d] = d;
  std::sort(order, order + k.nd, [&](int a, int b) { return k.stride[a] < k.stride[b]; });
  int64_t reach = 0;
  for (int i = 0; i < k.nd; ++i) {
    const int d = order[i];
    if (k.shape[d] == 1) continue;
    if (k.stride[d] <= reach) return false;
    reach += (k.shape[d] - 1) * k.stride[d];
  }
  return true;
}

template <class T>
void add(const DeviceCall& c, StridedPack& k, int64_t elements) {
  const dim3 grid(blocks_for(k.n)), block(kBlock);
  if (apart(k)) return launch(c, place_kernel<T>, grid, block, 0, k);
  if (elements > INT32_MAX || k.n > INT32_MAX)
    fail(kNotImplemented, "%s: overlapping views of more than 2^31 elements have no CUDA gradient",
         c.name);
  const Scratch memory(c.device, size_t(k.n) * 8);
  int32_t *const keys = memory.as<int32_t>(), *const places = keys + k.n;
  launch(c, keys_kernel, grid, block, 0, k, keys);
  sort_keys(c, keys, places, k.n, elements);
  k.keys = keys;
  k.places = places;
  launch(c, sum_kernel<T>, grid, block, 0, k);
}
void as_strided_grad(const DeviceCall& c) {
  const auto& a = *static_cast<const StridedAddArgs*>(c.args);
  const Operand &g = c.in[0], &y = c.out[0];
  const int64_t elements = y.numel();
  if (elements == 0) return;
  check(cudaMemsetAsync(y.data, 0, size_t(elements) * size_t(item_size(y.dtype)),
                        current_stream(c.device)),
        c.name);
  StridedPack k{g.data, y.data, g.nd, g.numel(), a.offset, {}, {}, nullptr, nullptr};
  if (k.n == 0) return;
  for (int d = 0; d < g.nd; ++d) {
    k.shape[d] = g.shape[d];
    k.stride[d] = a.strides.v[d];
  }
  g.dtype == DType::float64 ? add<double>(c, k, elements) : add<float>(c, k, elements);
}
const Launches kLaunches{{"as_strided_grad", as_strided_grad}};

}  // namespace
}  // namespace lamina::cuda
