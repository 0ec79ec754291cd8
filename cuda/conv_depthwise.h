// Convolution of groups of one input channel each (depthwise, with any number of outputs a group),
// and its gradients: a matrix product would have one column of w. A thread forms an output, or an
// input's gradient, from the taps; a block (a warp where there is little to add) a weight's
// gradient, over images and positions in a fixed order, in double. Cost: about one read of x and
// one write of y (taps come from the cache); the weights' gradient reads both once a tap.
#pragma once
#include "ops/conv_launch.h"

#include "reduce.h"

namespace lamina::cuda {

template <class T>
__global__ void depthwise_kernel(const ConvGeometry g, const T* x, const T* w, const T* bias,
                                 T* y) {
  const int64_t outer = g.M / g.groups;
  LAMINA_GRID_STRIDE(e, g.N * g.M * g.OH * g.OW) {
    const int j = int(e % g.OW), i = int(e / g.OW % g.OH);
    const int64_t m = e / (g.OW * g.OH) % g.M, n = e / (g.OW * g.OH) / g.M;
    const T* const plane = x + (n * g.C + m / outer) * g.H * g.W;
    const T* const taps = w + m * g.KH * g.KW;
    ComputeOf<T> sum = 0;
    for (int r = 0; r < int(g.KH); ++r) {
      const int64_t h = i * g.sh - g.ph + r * g.dh;
      if (h < 0 || h >= g.H) continue;
      for (int s = 0; s < int(g.KW); ++s) {
        const int64_t v = j * g.sw - g.pw + s * g.dw;
        if (v >= 0 && v < g.W) sum += widen(taps[r * g.KW + s]) * widen(plane[h * g.W + v]);
      }
    }
    y[e] = narrow<T>(bias ? sum + widen(bias[m]) : sum);
  }
}

template <class T>
__global__ void depthwise_input_grad_kernel(const ConvGeometry g, const T* dy, const T* w, T* dx) {
  const int64_t outer = g.M / g.groups;
  LAMINA_GRID_STRIDE(e, g.N * g.C * g.H * g.W) {
    const int64_t v = e % g.W, h = e / g.W % g.H, c = e / (g.W * g.H) % g.C;
    const int64_t n = e / (g.W * g.H) / g.C;
    ComputeOf<T> sum = 0;
    for (int64_t m = c * outer; m < (c + 1) * outer; ++m) {
      const T* const plane = dy + (n * g.M + m) * g.OH * g.OW;
      for (int r = 0; r < int(g.KH); ++r) {
        const int64_t a = h + g.ph - r * g.dh, i = a / g.sh;
        if (a < 0 || a % g.sh || i >= g.OH) continue;
        for (int s = 0; s < int(g.KW); ++s) {
          const int64_t b = v + g.pw - s * g.dw, j = b / g.sw;
          if (b < 0 || b % g.sw || j >= g.OW) continue;
          sum += widen(w[(m * g.KH + r) * g.KW + s]) * widen(plane[i * g.OW + j]);
        }
      }
    }
    dx[e] = narrow<T>(sum);
  }
}

// G threads a weight: 32 or kBlock.
template <class T, int G>
__global__ void depthwise_weight_grad_kernel(const ConvGeometry g, const T* x, const T* dy, T* dw) {
  __shared__ double room[kBlock / 32];
  const int64_t outer = g.M / g.groups, plane = g.OH * g.OW, weights = g.M * g.KH * g.KW;
  constexpr int64_t per_block = kBlock / G;
  for (int64_t first = blockIdx.x * per_block; first < weights; first += gridDim.x * per_block) {
    const int64_t e = first + threadIdx.x / G;
    const bool there = G == kBlock || e < weights;
    const int64_t s = e % g.KW, r = e / g.KW % g.KH, m = e / g.KW / g.KH;
    double sum = 0;
    for (int64_t at = there ? threadIdx.x % G : g.N * plane; at < g.N * plane; at += G) {
      const int64_t n = at / plane, i = at % plane / g.OW, j = at % g.OW;
      const int64_t h = i * g.sh - g.ph + r * g.dh, v = j * g.sw - g.pw + s * g.dw;
      if (h < 0 || h >= g.H || v < 0 || v >= g.W) continue;
      sum += double(widen(dy[(n * g.M + m) * plane + at % plane])) *
             double(widen(x[((n * g.C + m / outer) * g.H + h) * g.W + v]));
    }
    sum = group_all<G>(sum, Add{}, room);
    if (there && threadIdx.x % G == 0) dw[e] = narrow<T>(ComputeOf<T>(sum));
    __syncthreads();
  }
}

}  // namespace lamina::cuda
