// Scattering a few long lines (bincount, histc, the gradient of sort): the elements are sorted by
// (line, place), stably, and each place gets its run of them. Up to kAlone values are taken in by
// one thread, more by its warp: lane l those numbered l, l + 32, ..., then a fixed tree, so the
// result depends on the data only. Cost: a sort by as many bytes as there are places, and one
// random read of the values.
#include "scatter.h"
#include "sort.h"

namespace lamina::cuda {
namespace {

constexpr int kAlone = 8;
constexpr int64_t kFewLines = 4096, kLong = 64;

struct SortedPack {
  ScatterPack k;
  int64_t n;  // elements of all lines
  const int32_t *keys, *places;
};
template <class T>
__device__ T value_at(const SortedPack& p, int64_t sorted) {
  const int64_t e = p.places[sorted];
  int64_t at[3];
  p.k.s.offsets(e / p.k.length, at);
  return static_cast<const T*>(p.k.other)[at[2] + e % p.k.length * p.k.other_step];
}
template <class T>
__device__ T& target_of(const SortedPack& p, int32_t key) {
  int64_t at[3];
  p.k.s.offsets(key / p.k.size, at);
  return static_cast<T*>(p.k.data)[at[1] + key % p.k.size * p.k.step];
}

__global__ void keys_kernel(const ScatterPack k, int64_t n, int32_t* keys, Reporter report) {
  LAMINA_GRID_STRIDE(e, n) {
    const int64_t line = e / k.length;
    int64_t at[3];
    k.s.offsets(line, at);
    const int64_t i = k.index[at[0] + e % k.length * k.index_step];
    keys[e] = int32_t(line * k.size + scatter_place(k, i, report));
  }
}
template <class T>
__global__ void last_kernel(const SortedPack p) {
  LAMINA_GRID_STRIDE(j, p.n)
  if (j + 1 == p.n || p.keys[j + 1] != p.keys[j]) target_of<T>(p, p.keys[j]) = value_at<T>(p, j);
}
template <int mode, class T>
__global__ void runs_kernel(const SortedPack p) {
  const int lane = int(threadIdx.x) % 32;
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t base = int64_t(blockIdx.x) * blockDim.x + threadIdx.x - lane; base < p.n;
       base += step) {
    const int64_t j = base + lane;
    const bool head = j < p.n && (j == 0 || p.keys[j - 1] != p.keys[j]);
    int64_t end = j;  // of the run
    if (head) {
      while (end < p.n && end < j + kAlone && p.keys[end] == p.keys[j]) ++end;
      if (end == j + kAlone) {
        int64_t high = p.n;
        while (end < high) {
          const int64_t mid = end + (high - end) / 2;
          if (p.keys[mid] == p.keys[j])
            end = mid + 1;
          else
            high = mid;
        }
      }
    }
    const bool alone = head && end - j <= kAlone;
    if (alone) {
      T& y = target_of<T>(p, p.keys[j]);
      T all = y;
      for (int64_t i = j; i < end; ++i) all = scattered<mode>(all, value_at<T>(p, i));
      y = all;
    }
    unsigned long_runs = __ballot_sync(0xffffffffu, head && !alone);
    for (; long_runs; long_runs &= long_runs - 1) {
      const int owner = __popc((long_runs & (0u - long_runs)) - 1);
      const int64_t from = base + owner, to = __shfl_sync(0xffffffffu, end, owner);
      T all = value_at<T>(p, from + lane < to ? from + lane : from);
      for (int64_t i = from + lane + 32; i < to; i += 32)
        all = scattered<mode>(all, value_at<T>(p, i));
      int64_t have = to - from < 32 ? to - from : 32;  // lanes with something
      for (int by = 16; by; by /= 2) {
        const T other = __shfl_down_sync(0xffffffffu, all, unsigned(by));
        if (lane + by < have) all = scattered<mode>(all, other);
        if (have > by) have = by;
      }
      if (lane == 0) {
        T& y = target_of<T>(p, p.keys[from]);
        y = scattered<mode>(y, all);
      }
    }
  }
}

template <int mode>
void runs_of(const DeviceCall& c, const SortedPack& p) {
  const dim3 grid(blocks_for(p.n)), block(kBlock);
  if (p.k.type == DType::float32) return launch(c, runs_kernel<mode, float>, grid, block, 0, p);
  if (p.k.type == DType::float64) return launch(c, runs_kernel<mode, double>, grid, block, 0, p);
  launch(c, runs_kernel<mode, long long>, grid, block, 0, p);
}

}  // namespace

bool scatter_sorted(const DeviceCall& c, const ScatterPack& k, int mode) {
  const int64_t n = k.s.n * k.length, targets = k.s.n * k.size;
  if (k.s.n >= kFewLines || k.length < kLong || n > INT32_MAX || targets > INT32_MAX) return false;
  const Scratch memory(c.device, size_t(n) * 8);
  int32_t *const keys = memory.as<int32_t>(), *const places = keys + n;
  const dim3 grid(blocks_for(n)), block(kBlock);
  launch(c, keys_kernel, grid, block, 0, k, n, keys, scatter_reporter(c));
  sort_keys(c, keys, places, n, targets);
  const SortedPack p{k, n, keys, places};
  switch (mode) {
    case kScatterAdd:
      runs_of<kScatterAdd>(c, p);
      return true;
    case kScatterMul:
      runs_of<kScatterMul>(c, p);
      return true;
    case kScatterMax:
      runs_of<kScatterMax>(c, p);
      return true;
    case kScatterMin:
      runs_of<kScatterMin>(c, p);
      return true;
    default:
      break;
  }
  switch (item_size(k.type)) {
    case 1:
      launch(c, last_kernel<uint8_t>, grid, block, 0, p);
      break;
    case 2:
      launch(c, last_kernel<uint16_t>, grid, block, 0, p);
      break;
    case 4:
      launch(c, last_kernel<uint32_t>, grid, block, 0, p);
      break;
    default:
      launch(c, last_kernel<uint64_t>, grid, block, 0, p);
  }
  return true;
}

}  // namespace lamina::cuda
