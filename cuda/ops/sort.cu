// sort and topk along the last dimension of dense lines (lines, n): values and their places, equal
// elements in the order they had, NaN above everything.
//
//   n <= kShort               in the shared memory of a block: a bitonic network over (key, place),
//                             a total order, so the result is the stable one. One read, one write
//   topk, k <= kShort / 2     a block for each line finds the k-th key digit by digit (radix
//                             select), takes what is below it and the first of those equal to it,
//                             and sorts these. Up to 5 (float) or 9 (double, int64) reads.
//   longer lines              the radix sort of radix.h: 4 (float) or 8 passes
//
// Keys are the unsigned integers of order.h, complemented for descending order.
#include "ops/sort_args.h"

#include "radix.h"
#include "sort.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int kShort = 2048;

struct SortPack {
  const void* x;
  void* values;
  int64_t* index;
  int64_t lines, n, k;
  bool descending;
};
template <class T>
__device__ typename KeyOf<T>::Type key_at(const SortPack& s, int64_t i) {
  const auto key = key_of(static_cast<const T*>(s.x)[i]);
  return s.descending ? ~key : key;
}
// Rank r of a line is its element `place`.
template <class T>
__device__ void put(const SortPack& s, int64_t line, int64_t r, int64_t place) {
  static_cast<T*>(s.values)[line * s.k + r] = static_cast<const T*>(s.x)[line * s.n + place];
  s.index[line * s.k + r] = place;
}

// ---- short lines -------------------------------------------------------------------------------
// Sorts groups of P (a power of 2) of `count` pairs in shared memory.
template <class Key>
__device__ void bitonic(Key* keys, int* places, int count, int P) {
  for (int size = 2; size <= P; size *= 2)
    for (int step = size / 2; step; step /= 2) {
      __syncthreads();
      for (int t = int(threadIdx.x); t < count / 2; t += int(blockDim.x)) {
        const int a = 2 * t - (t & (step - 1)), b = a + step;
        const bool up = ((a & (P - 1)) & size) == 0 || size == P;
        const bool after = keys[a] > keys[b] || (keys[a] == keys[b] && places[a] > places[b]);
        if (after == up) {
          const Key key = keys[a];
          keys[a] = keys[b];
          keys[b] = key;
          const int place = places[a];
          places[a] = places[b];
          places[b] = place;
        }
      }
    }
  __syncthreads();
}

// A block takes kShort / P lines at a time; what fills a line up to P comes after its elements.
template <class T>
__global__ void short_kernel(const SortPack s, int P) {
  using Key = typename KeyOf<T>::Type;
  __shared__ Key keys[kShort];
  __shared__ int places[kShort];
  const int together = kShort / P;
  for (int64_t first = int64_t(blockIdx.x) * together; first < s.lines;
       first += int64_t(gridDim.x) * together) {
    const int lines = int(s.lines - first < together ? s.lines - first : together);
    for (int i = int(threadIdx.x); i < lines * P; i += int(blockDim.x)) {
      const int at = i & (P - 1);
      keys[i] = at < s.n ? key_at<T>(s, (first + i / P) * s.n + at) : ~Key(0);
      places[i] = at;
    }
    bitonic(keys, places, lines * P, P);
    for (int i = int(threadIdx.x); i < lines * P; i += int(blockDim.x))
      if ((i & (P - 1)) < s.k) put<T>(s, first + i / P, i & (P - 1), places[i]);
    __syncthreads();
  }
}

// ---- the first k of long lines -----------------------------------------------------------------
template <class T>
__global__ void select_kernel(const SortPack s, int P) {
  using Key = typename KeyOf<T>::Type;
  __shared__ Key keys[kShort / 2];
  __shared__ int places[kShort / 2];
  __shared__ int count[256], room[kBlock / 32 + 1];
  __shared__ int digit, left, taken;
  const int t = int(threadIdx.x);
  for (int64_t line = blockIdx.x; line < s.lines; line += gridDim.x) {
    const int64_t base = line * s.n;
    Key prefix = 0, mask = 0;  // the digits of the k-th key that are known
    int need = int(s.k);       // of the keys that begin with them
    for (int shift = int(sizeof(Key)) * 8 - 8; shift >= 0; shift -= 8) {
      count[t] = 0;
      __syncthreads();
      for (int64_t i = t; i < s.n; i += kBlock) {
        const Key key = key_at<T>(s, base + i);
        if ((key & mask) == prefix) atomicAdd(&count[key >> shift & 255], 1);
      }
      __syncthreads();
      int all;
      const int mine = count[t], before = sum_before<kBlock>(mine, room, &all);
      if (before < need && need <= before + mine) {
        digit = t;
        left = need - before;
      }
      __syncthreads();
      need = left;
      prefix |= Key(digit) << shift;
      mask |= Key(255) << shift;
      const bool whole = count[digit] == need;  // every one of them is taken
      __syncthreads();
      if (whole) break;
    }
    if (t == 0) taken = 0;
    __syncthreads();
    int equal = 0;  // taken so far of those with the k-th key
    for (int64_t from = 0; from < s.n; from += kBlock) {
      const bool inside = from + t < s.n;
      const Key key = inside ? key_at<T>(s, base + from + t) : Key(0);
      const bool same = inside && (key & mask) == prefix;
      int all;
      const int rank = equal + sum_before<kBlock>(int(same), room, &all);
      equal += all;
      if (inside && ((key & mask) < prefix || (same && rank < need))) {
        const int to = atomicAdd(&taken, 1);  // any order: they are sorted below
        keys[to] = key;
        places[to] = int(from + t);
      }
    }
    __syncthreads();
    for (int i = int(s.k) + t; i < P; i += kBlock) {
      keys[i] = ~Key(0);
      places[i] = INT32_MAX;
    }
    bitonic(keys, places, P, P);
    for (int i = t; i < s.k; i += kBlock) put<T>(s, line, i, places[i]);
    __syncthreads();
  }
}

// ---- long lines --------------------------------------------------------------------------------
template <class T>
struct LineEnds {
  SortPack s;
  __device__ typename KeyOf<T>::Type first(int64_t line, int64_t i) const {
    return key_at<T>(s, line * s.n + i);
  }
  __device__ void last(int64_t line, int64_t rank, typename KeyOf<T>::Type, int place) const {
    if (rank < s.k) put<T>(s, line, rank, place);
  }
};

int power_above(int64_t n) {
  int p = 2;
  while (p < n) p *= 2;
  return p;
}

template <class T>
void order_as(const DeviceCall& c, const SortPack& s) {
  if (s.n > INT32_MAX)
    fail(kNotImplemented, "%s: lines of more than 2^31 - 1 elements are not supported on CUDA",
         c.name);
  if (s.n <= kShort) {
    const int P = power_above(s.n), together = kShort / P;
    const dim3 grid(grid_of((s.lines + together - 1) / together));
    return launch(c, short_kernel<T>, grid, dim3(kBlock), 0, s, P);
  }
  // One block reads a line several times: many lines, or lines that are soon read.
  if (s.k <= kShort / 2 && (s.lines >= 64 || s.n <= 1 << 17))
    return launch(c, select_kernel<T>, dim3(grid_of(s.lines)), dim3(kBlock), 0, s,
                  power_above(s.k));
  using Key = typename KeyOf<T>::Type;
  radix_sort<Key>(c, LineEnds<T>{s}, s.lines, s.n, int(sizeof(Key)));
}
void order(const DeviceCall& c) {
  const auto& a = *static_cast<const OrderArgs*>(c.args);
  const Operand& x = c.in[0];
  const int64_t all = x.numel();
  if (all == 0 || a.k == 0) return;
  const int64_t n = x.shape[x.nd - 1];
  const SortPack s{x.data, c.out[0].data, static_cast<int64_t*>(c.out[1].data), all / n, n,
                   a.k,    a.descending};
  switch (compute_type(x.dtype)) {
    case kF32:
      return order_as<float>(c, s);
    case kF64:
      return order_as<double>(c, s);
    default:
      return order_as<int64_t>(c, s);
  }
}

// ---- searchsorted ------------------------------------------------------------------------------
// A thread for each value: binary search in its line.
template <class T>
__global__ void search_kernel(const SearchArgs a, int64_t all) {
  LAMINA_GRID_STRIDE(i, all) {
    const T v = static_cast<const T*>(a.v)[i];
    const int64_t line = a.step ? i / a.m : 0;
    const T* const sorted = static_cast<const T*>(a.sorted) + line * a.step;
    const int64_t* const order = a.order ? a.order + line * a.step : nullptr;
    int64_t low = 0, high = a.n;
    while (low < high) {
      const int64_t mid = low + (high - low) / 2;
      const T there = sorted[order ? order[mid] : mid];
      const bool stop = a.right ? there > v : there >= v;
      if (stop)
        high = mid;
      else
        low = mid + 1;
    }
    a.y[i] = low;
  }
}
void search(const DeviceCall& c) {
  const Operand &sorted = c.in[0], &v = c.in[1];
  const int64_t all = v.numel();
  if (all == 0) return;
  SearchArgs a{};
  a.sorted = sorted.data;
  a.order = static_cast<const int64_t*>(c.in[2].data);
  a.v = v.data;
  a.y = static_cast<int64_t*>(c.out[0].data);
  a.n = sorted.shape[sorted.nd - 1];
  a.step = sorted.nd == 1 ? 0 : a.n;
  a.m = v.nd ? v.shape[v.nd - 1] : 1;
  a.right = static_cast<const FindArgs*>(c.args)->right;
  const dim3 grid(blocks_for(all)), block(kBlock);
  switch (compute_type(sorted.dtype)) {
    case kF32:
      return launch(c, search_kernel<float>, grid, block, 0, a, all);
    case kF64:
      return launch(c, search_kernel<double>, grid, block, 0, a, all);
    default:
      return launch(c, search_kernel<int64_t>, grid, block, 0, a, all);
  }
}

const Launches kLaunches{{"sort", order}, {"topk", order}, {"searchsorted", search}};

}  // namespace

void sort_doubles(const DeviceCall& c, const double* x, double* values, int64_t* index,
                  int64_t lines, int64_t n, int64_t k) {
  if (lines > 0 && n > 0 && k > 0) order_as<double>(c, {x, values, index, lines, n, k, false});
}

}  // namespace lamina::cuda
