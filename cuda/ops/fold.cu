// unfold: the windows of an image as columns, and fold, its transpose. x (N, C, H, W), columns
// (N, C KH KW, OH OW):
//   unfold  columns[n, (c, r, s), (i, j)] = x[n, c, i sh - ph + r dh, j sw - pw + s dw], 0 outside
//   fold    x[n, c, h, w] = sum over (r, s), in order, of the columns' elements that came from it
// A thread for each element written. Cost: one read and one write of both.
#include "launch.h"
#include "number.h"
#include "ops/conv_launch.h"
#include "table.h"

namespace lamina::cuda {
namespace {

template <class T>
__global__ void unfold_kernel(const ConvGeometry g, const T* x, T* columns) {
  LAMINA_GRID_STRIDE(e, g.N * g.C * g.KH * g.KW * g.OH * g.OW) {
    const int64_t j = e % g.OW, i = e / g.OW % g.OH, tap = e / g.OW / g.OH;
    const int64_t s = tap % g.KW, r = tap / g.KW % g.KH, plane = tap / g.KW / g.KH;
    const int64_t h = i * g.sh - g.ph + r * g.dh, w = j * g.sw - g.pw + s * g.dw;
    const bool outside = h < 0 || h >= g.H || w < 0 || w >= g.W;
    columns[e] = outside ? T(0) : x[(plane * g.H + h) * g.W + w];
  }
}
template <class T>
__global__ void fold_kernel(const ConvGeometry g, const T* columns, T* x) {
  LAMINA_GRID_STRIDE(e, g.N * g.C * g.H * g.W) {
    const int64_t w = e % g.W, h = e / g.W % g.H, plane = e / g.W / g.H;
    T sum = 0;
    for (int64_t r = 0; r < g.KH; ++r) {
      const int64_t row = h + g.ph - r * g.dh, i = row / g.sh;
      if (row < 0 || row % g.sh || i >= g.OH) continue;
      for (int64_t s = 0; s < g.KW; ++s) {
        const int64_t column = w + g.pw - s * g.dw, j = column / g.sw;
        if (column < 0 || column % g.sw || j >= g.OW) continue;
        sum += columns[(((plane * g.KH + r) * g.KW + s) * g.OH + i) * g.OW + j];
      }
    }
    x[e] = sum;
  }
}

template <class T>
void run_as(const DeviceCall& c, void (*kernel)(ConvGeometry, const T*, T*)) {
  const int64_t n = c.out[0].numel();
  if (n == 0) return;
  launch(c, kernel, dim3(blocks_for(n)), dim3(kBlock), 0, *static_cast<const ConvGeometry*>(c.args),
         static_cast<const T*>(c.in[0].data), static_cast<T*>(c.out[0].data));
}
void unfold(const DeviceCall& c) {
  c.in[0].dtype == DType::float64 ? run_as<double>(c, unfold_kernel<double>)
                                  : run_as<float>(c, unfold_kernel<float>);
}
void fold(const DeviceCall& c) {
  c.in[0].dtype == DType::float64 ? run_as<double>(c, fold_kernel<double>)
                                  : run_as<float>(c, fold_kernel<float>);
}
const Launches kLaunches{{"unfold", unfold}, {"fold", fold}};

}  // namespace
}  // namespace lamina::cuda
