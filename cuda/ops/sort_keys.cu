// A radix sort from the lowest digit up, four bits at a time. A thread counts the digits of kRun
// neighbouring keys; one block forms the places where the keys of (digit, thread) begin; the
// threads move their keys there in order, which keeps equal keys in theirs.
#include "sort.h"

#include "reduce.h"

namespace lamina::cuda {
namespace {

constexpr int kRun = 32, kDigits = 16, kBits = 4;

__global__ void number_kernel(int32_t* places, int64_t n) {
  LAMINA_GRID_STRIDE(i, n) places[i] = int32_t(i);
}
__global__ void count_kernel(const int32_t* keys, int64_t n, int shift, int32_t* starts,
                             int64_t runs) {
  LAMINA_GRID_STRIDE(r, runs) {
    int32_t count[kDigits] = {};
    for (int64_t i = r * kRun; i < n && i < (r + 1) * kRun; ++i)
      ++count[keys[i] >> shift & (kDigits - 1)];
    for (int d = 0; d < kDigits; ++d) starts[d * runs + r] = count[d];
  }
}
// starts[i] = the sum of those before it.
__global__ void scan_kernel(int32_t* starts, int64_t n) {
  __shared__ int32_t sums[kBlock];
  const int t = int(threadIdx.x);
  const int64_t each = (n + kBlock - 1) / kBlock, begin = t * each;
  const int64_t end = begin + each < n ? begin + each : n;
  int32_t sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += starts[i];
  sums[t] = sum;
  __syncthreads();
  if (t == 0) {
    int32_t all = 0;
    for (int i = 0; i < kBlock; ++i) {
      const int32_t mine = sums[i];
      sums[i] = all;
      all += mine;
    }
  }
  __syncthreads();
  sum = sums[t];
  for (int64_t i = begin; i < end; ++i) {
    const int32_t mine = starts[i];
    starts[i] = sum;
    sum += mine;
  }
}
__global__ void scatter_kernel(const int32_t* keys, const int32_t* places, int64_t n, int shift,
                               const int32_t* starts, int64_t runs, int32_t* new_keys,
                               int32_t* new_places) {
  LAMINA_GRID_STRIDE(r, runs) {
    int32_t next[kDigits];
    for (int d = 0; d < kDigits; ++d) next[d] = starts[d * runs + r];
    for (int64_t i = r * kRun; i < n && i < (r + 1) * kRun; ++i) {
      const int32_t to = next[keys[i] >> shift & (kDigits - 1)]++;
      new_keys[to] = keys[i];
      new_places[to] = places[i];
    }
  }
}

}  // namespace

void sort_keys(const DeviceCall& c, int32_t* keys, int32_t* places, int64_t n, int64_t top) {
  if (n == 0) return;
  if (n > INT32_MAX || top > INT32_MAX)
    fail(kNotImplemented, "%s: more than 2^31 rows are not supported on CUDA", c.name);
  launch(c, number_kernel, dim3(blocks_for(n)), dim3(kBlock), 0, places, n);
  const int64_t runs = (n + kRun - 1) / kRun;
  const Scratch starts(c.device, size_t(runs) * kDigits * 4), other(c.device, size_t(n) * 8);
  int32_t *k0 = keys, *p0 = places, *k1 = other.as<int32_t>(), *p1 = k1 + n;
  for (int shift = 0; shift < 31 && (top - 1) >> shift; shift += kBits) {
    const dim3 grid(blocks_for(runs)), block(kBlock);
    launch(c, count_kernel, grid, block, 0, static_cast<const int32_t*>(k0), n, shift,
           starts.as<int32_t>(), runs);
    launch(c, scan_kernel, dim3(1), block, 0, starts.as<int32_t>(), runs * kDigits);
    launch(c, scatter_kernel, grid, block, 0, static_cast<const int32_t*>(k0),
           static_cast<const int32_t*>(p0), n, shift,
           static_cast<const int32_t*>(starts.as<int32_t>()), runs, k1, p1);
    int32_t* t = k0;
    k0 = k1;
    k1 = t;
    t = p0;
    p0 = p1;
    p1 = t;
  }
  if (k0 != keys) {
    const cudaStream_t s = current_stream(c.device);
    check(cudaMemcpyAsync(keys, k0, size_t(n) * 4, cudaMemcpyDeviceToDevice, s), c.name);
    check(cudaMemcpyAsync(places, p0, size_t(n) * 4, cudaMemcpyDeviceToDevice, s), c.name);
  }
}

}  // namespace lamina::cuda
