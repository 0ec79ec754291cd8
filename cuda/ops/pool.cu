// Pooling over the last two dimensions: a thread for each output, and in the gradients a thread for
// each input, which goes through the windows that may cover it in order (no atomics).
// Layout: planes (H, W) and (OH, OW), dense; a maximum's place is kept as its number in the plane,
// or for 2x2 windows as one of 0..3 in rows of round_up(OW, 16) bytes.
#include "ops/pool_args.h"

#include "launch.h"
#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct PoolPack {
  PoolCall a;
  const void* x;
  void* y;
  void* index;
  int64_t planes;
};
__device__ int64_t index_at(const PoolPack& k, int64_t plane, int64_t i, int64_t j) {
  const PoolCall& a = k.a;
  const int64_t at = (plane * a.out[0] + i) * a.out[1] + j;
  if (a.index == kPoolInt32) return static_cast<const int32_t*>(k.index)[at];
  if (a.index == kPoolInt64) return static_cast<const int64_t*>(k.index)[at];
  const int64_t row = (a.out[1] + kPoolQuadRow - 1) / kPoolQuadRow * kPoolQuadRow;
  const int which = static_cast<const uint8_t*>(k.index)[(plane * a.out[0] + i) * row + j];
  return (2 * i + which / 2) * a.in[1] + 2 * j + which % 2;
}
__device__ void keep_index(const PoolPack& k, int64_t plane, int64_t i, int64_t j, int64_t place) {
  const PoolCall& a = k.a;
  const int64_t at = (plane * a.out[0] + i) * a.out[1] + j;
  if (a.index == kPoolInt32) {
    static_cast<int32_t*>(k.index)[at] = int32_t(place);
  } else if (a.index == kPoolInt64) {
    static_cast<int64_t*>(k.index)[at] = place;
  } else if (a.index == kPoolQuad) {
    const int64_t row = (a.out[1] + kPoolQuadRow - 1) / kPoolQuadRow * kPoolQuadRow;
    const int64_t h = place / a.in[1] - 2 * i, w = place % a.in[1] - 2 * j;
    static_cast<uint8_t*>(k.index)[(plane * a.out[0] + i) * row + j] = uint8_t(2 * h + w);
  }
}

template <class T>
__global__ void max_kernel(const PoolPack k) {
  const PoolCall& a = k.a;
  LAMINA_GRID_STRIDE(e, k.planes * a.out[0] * a.out[1]) {
    const int64_t j = e % a.out[1], i = e / a.out[1] % a.out[0], plane = e / a.out[1] / a.out[0];
    const PoolSpan rows = pool_span(a, 0, i), columns = pool_span(a, 1, j);
    const T* const x = static_cast<const T*>(k.x) + plane * a.in[0] * a.in[1];
    ComputeOf<T> best = ComputeOf<T>(-HUGE_VAL);
    const bool any = rows.begin < rows.end && columns.begin < columns.end;
    int64_t at = any ? rows.begin * a.in[1] + columns.begin : -1;  // -1: all padding
    for (int64_t h = rows.begin; h < rows.end; h += a.dilation[0])
      for (int64_t w = columns.begin; w < columns.end; w += a.dilation[1]) {
        const auto v = widen(x[h * a.in[1] + w]);
        if (v > best || v != v) {
          best = v;
          at = h * a.in[1] + w;
        }
      }
    static_cast<T*>(k.y)[e] = narrow<T>(best);
    keep_index(k, plane, i, j, at);
  }
}

// Outputs [from, to] along d whose windows may cover input position p.
__device__ void covering(const PoolCall& a, int d, int64_t p, int64_t* from, int64_t* to) {
  if (a.adaptive) {
    *from = p * a.out[d] / a.in[d];
    *to = ((p + 1) * a.out[d] - 1) / a.in[d];
  } else {
    const int64_t first = p + a.pad[d] - (a.kernel[d] - 1) * a.dilation[d];
    *from = first > 0 ? (first + a.stride[d] - 1) / a.stride[d] : 0;
    *to = (p + a.pad[d]) / a.stride[d];
  }
  if (*to >= a.out[d]) *to = a.out[d] - 1;
}
__device__ bool covers(const PoolSpan& s, int64_t p, int64_t step) {
  return p >= s.begin && p < s.end && (p - s.begin) % step == 0;
}

template <class T, bool mean>
__global__ void grad_kernel(const PoolPack k) {  // x: gradient of the outputs
  const PoolCall& a = k.a;
  LAMINA_GRID_STRIDE(e, k.planes * a.in[0] * a.in[1]) {
    const int64_t w = e % a.in[1], h = e / a.in[1] % a.in[0], plane = e / a.in[1] / a.in[0];
    int64_t i0, i1, j0, j1;
    covering(a, 0, h, &i0, &i1);
    covering(a, 1, w, &j0, &j1);
    ComputeOf<T> sum = 0;
    for (int64_t i = i0; i <= i1; ++i)
      for (int64_t j = j0; j <= j1; ++j) {
        const auto g = widen(static_cast<const T*>(k.x)[(plane * a.out[0] + i) * a.out[1] + j]);
        if constexpr (mean) {
          const PoolSpan rows = pool_span(a, 0, i), columns = pool_span(a, 1, j);
          if (covers(rows, h, a.dilation[0]) && covers(columns, w, a.dilation[1]))
            sum += g / ComputeOf<T>(a.divisor ? a.divisor : rows.count * columns.count);
        } else if (index_at(k, plane, i, j) == h * a.in[1] + w) {
          sum += g;
        }
      }
    static_cast<T*>(k.y)[e] = narrow<T>(sum);
  }
}

template <class T>
__global__ void gather_kernel(const PoolPack k) {
  const PoolCall& a = k.a;
  LAMINA_GRID_STRIDE(e, k.planes * a.out[0] * a.out[1]) {
    const int64_t j = e % a.out[1], i = e / a.out[1] % a.out[0], plane = e / a.out[1] / a.out[0];
    const int64_t at = index_at(k, plane, i, j);
    static_cast<T*>(k.y)[e] =
        at < 0 ? T{} : static_cast<const T*>(k.x)[plane * a.in[0] * a.in[1] + at];
  }
}

template <class T>
__global__ void mean_kernel(const PoolPack k) {
  const PoolCall& a = k.a;
  LAMINA_GRID_STRIDE(e, k.planes * a.out[0] * a.out[1]) {
    const int64_t j = e % a.out[1], i = e / a.out[1] % a.out[0], plane = e / a.out[1] / a.out[0];
    const PoolSpan rows = pool_span(a, 0, i), columns = pool_span(a, 1, j);
    const T* const x = static_cast<const T*>(k.x) + plane * a.in[0] * a.in[1];
    ComputeOf<T> sum = 0;
    for (int64_t h = rows.begin; h < rows.end; h += a.dilation[0])
      for (int64_t w = columns.begin; w < columns.end; w += a.dilation[1])
        sum += widen(x[h * a.in[1] + w]);
    static_cast<T*>(k.y)[e] =
        narrow<T>(sum / ComputeOf<T>(a.divisor ? a.divisor : rows.count * columns.count));
  }
}

// Each kernel for a storage type.
template <class T>
void max_of(const DeviceCall& c, const PoolPack& k, int64_t n) {
  launch(c, max_kernel<T>, dim3(blocks_for(n)), dim3(kBlock), 0, k);
}
template <class T>
void max_grad_of(const DeviceCall& c, const PoolPack& k, int64_t n) {
  launch(c, grad_kernel<T, false>, dim3(blocks_for(n)), dim3(kBlock), 0, k);
}
template <class T>
void gather_of(const DeviceCall& c, const PoolPack& k, int64_t n) {
  launch(c, gather_kernel<T>, dim3(blocks_for(n)), dim3(kBlock), 0, k);
}
template <class T>
void mean_of(const DeviceCall& c, const PoolPack& k, int64_t n) {
  launch(c, mean_kernel<T>, dim3(blocks_for(n)), dim3(kBlock), 0, k);
}
template <class T>
void mean_grad_of(const DeviceCall& c, const PoolPack& k, int64_t n) {
  launch(c, grad_kernel<T, true>, dim3(blocks_for(n)), dim3(kBlock), 0, k);
}

using PoolRun = void (*)(const DeviceCall&, const PoolPack&, int64_t);
void run(const DeviceCall& c, PoolRun kernel, void* index, bool wide) {
  PoolPack k{*static_cast<const PoolCall*>(c.args), c.in[0].data, c.out[0].data, index, 0};
  const int64_t each = wide ? k.a.in[0] * k.a.in[1] : k.a.out[0] * k.a.out[1];
  const int64_t n = c.out[0].numel();
  if (n == 0) return;
  k.planes = n / each;
  kernel(c, k, n);
}
void max_pool(const DeviceCall& c) {
  run(c, LAMINA_BY_FLOATING(c.in[0].dtype, max_of), c.outputs > 1 ? c.out[1].data : nullptr, false);
}
void max_grad(const DeviceCall& c) {
  run(c, LAMINA_BY_FLOATING(c.in[0].dtype, max_grad_of), c.in[1].data, true);
}
void max_gather(const DeviceCall& c) {
  run(c, LAMINA_BY_FLOATING(c.in[0].dtype, gather_of), c.in[1].data, false);
}
void mean_pool(const DeviceCall& c) {
  run(c, LAMINA_BY_FLOATING(c.in[0].dtype, mean_of), nullptr, false);
}
void mean_grad(const DeviceCall& c) {
  run(c, LAMINA_BY_FLOATING(c.in[0].dtype, mean_grad_of), nullptr, true);
}

const Launches kLaunches{{"max_pool", max_pool, false, true},
                         {"max_pool_grad", max_grad, false, true},
                         {"max_pool_gather", max_gather, false, true},
                         {"avg_pool", mean_pool, false, true},
                         {"avg_pool_grad", mean_grad, false, true}};

}  // namespace
}  // namespace lamina::cuda
