// Launching kernels, from one source for nvcc and for the emulated device.
#pragma once
#include "runtime.h"

namespace lamina::cuda {

constexpr int kBlock = 256;            // threads of a block where nothing else is said
constexpr int64_t kMaxGrid = 1 << 20;  // blocks; kernels step by the whole grid beyond that

inline unsigned blocks_for(int64_t items, int64_t per_block = kBlock) {
  const int64_t n = (items + per_block - 1) / per_block;
  return unsigned(n < 1 ? 1 : n > kMaxGrid ? kMaxGrid : n);
}

// kernel<<<grid, block, shared>>>(args...) on the call's device and current stream.
template <class... P, class... A>
void launch(const DeviceCall& c, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
            const A&... args) {
  [&](P... p) {
#ifdef LAMINA_EMULATED
    const cudaKernelNodeParams node{[=] { kernel(p...); }, grid, block, shared};
#else
    cudaKernelNodeParams node{};
    node.gridDim = grid;
    node.blockDim = block;
    node.sharedMemBytes = unsigned(shared);
    void* list[] = {const_cast<void*>(static_cast<const void*>(&p))..., nullptr};
    node.func = reinterpret_cast<void*>(kernel);
    node.kernelParams = list;
#endif
    launch_node(c, node);
  }(P(args)...);
}

// Memory of the block whose size the launch gives: LAMINA_DYNAMIC_SHARED(float, tile);
#ifdef LAMINA_EMULATED
#define LAMINA_DYNAMIC_SHARED(T, name) \
  T* const name = static_cast<T*>(lamina::emulate::dynamic_shared())
#else
#define LAMINA_DYNAMIC_SHARED(T, name)                        \
  extern __shared__ __align__(16) unsigned char name##_raw[]; \
  T* const name = reinterpret_cast<T*>(name##_raw)
#endif

// for (int64_t i : all elements that are this thread's), the grid stepping over [0, n).
#define LAMINA_GRID_STRIDE(i, n)                                   \
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, \
               i##_step = int64_t(gridDim.x) * blockDim.x;         \
       i < (n); i += i##_step)

}  // namespace lamina::cuda
