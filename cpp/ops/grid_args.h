// Arguments of grid_sample and the elements under a coordinate, for every device.
#pragma once
#include <cmath>

#include "kernels/kernels.h"

#ifdef __CUDACC__
#define LAMINA_BOTH __host__ __device__
#else
#define LAMINA_BOTH
#endif

namespace lamina {

enum GridPadding : int8_t { kGridZeros, kGridBorder, kGridReflection };
struct GridCall {
  int8_t nd, nearest, padding, align;
  int64_t N, C, P;  // P points per sample
  int64_t size[3];  // of x, last dimension first, as the grid has them
  int64_t out[3];   // of y, first dimension first
  constexpr int64_t plane() const { return size[0] * size[1] * (nd == 3 ? size[2] : 1); }
};

// One dimension of one point: up to two elements, their weights, and the weights' derivatives.
template <class T>
struct GridTaps {
  int64_t index[2];
  T weight[2], slope[2];
};

// The position of a coordinate in [-1, 1], brought inside unless zeros lie there; *slope is its
// derivative, 0 where it was cut off.
template <class T>
LAMINA_BOTH T grid_position(T u, int64_t n, const GridCall& a, T* slope) {
  const T size = T(n);
  *slope = a.align ? (size - 1) / 2 : size / 2;
  T at = a.align ? (u + 1) / 2 * (size - 1) : ((u + 1) * size - 1) / 2;
  if (a.padding == kGridReflection) {  // folded into [low, high]
    const T low = a.align ? T(0) : T(-0.5), high = a.align ? size - 1 : size - T(0.5);
    const T span = high - low;
    if (span <= 0) {
      *slope = 0;
      at = 0;
    } else {
      T from = at - low;
      if (from < 0) from = -from, *slope = -*slope;
      const T turns = std::floor(from / span);
      T rest = from - turns * span;
      if (std::fmod(turns, T(2)) != 0) rest = span - rest, *slope = -*slope;
      at = rest + low;
    }
  }
  if (a.padding != kGridZeros) {
    if (!(at > 0)) at = 0, *slope = 0;  // also NaN
    if (at >= size - 1) at = size - 1, *slope = 0;
  }
  return at > T(-1e6) && at < T(1e9) ? at : T(-100);  // far away, or NaN: outside
}

template <class T>
LAMINA_BOTH GridTaps<T> grid_taps(T u, int64_t n, const GridCall& a) {
  GridTaps<T> t{};
  T slope;
  const T at = grid_position(u, n, a, &slope);
  const T low = a.nearest ? std::nearbyint(at) : std::floor(at);
  const int64_t first = int64_t(low);
  const T part = at - low;
  const bool here = first >= 0 && first < n, next = first + 1 >= 0 && first + 1 < n;
  t.index[0] = here ? first : 0;
  t.weight[0] = !here ? T(0) : a.nearest ? T(1) : 1 - part;
  if (a.nearest) return t;
  t.index[1] = next ? first + 1 : 0;
  t.weight[1] = next ? part : T(0);
  t.slope[0] = here ? -slope : T(0);
  t.slope[1] = next ? slope : T(0);
  return t;
}

}  // namespace lamina
#undef LAMINA_BOTH
