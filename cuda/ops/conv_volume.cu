// The taps along the depth as channels and back (formulas: cpp/ops/conv_volume.cpp): what makes a
// convolution of volumes one of planes. A thread for each element written; sums run over t in
// order. Cost: depth_taps reads x and writes u, KD times as large for stride 1; depth_sum the
// reverse.
#include "launch.h"
#include "number.h"
#include "ops/conv_volume_args.h"
#include "table.h"

namespace lamina::cuda {
namespace {

// u[(n, t), (c, k), h, w] = x[n, c, t stride + k dilation - before, h, w], 0 outside.
template <class T>
__global__ void taps_kernel(const DepthTaps a, const T* x, T* u) {
  const int64_t plane = a.H * a.W;
  LAMINA_GRID_STRIDE(e, a.N * a.T * a.C * a.K * plane) {
    const int64_t at = e % plane, i = e / plane % (a.C * a.K), row = e / plane / (a.C * a.K);
    const int64_t d = row % a.T * a.stride + i % a.K * a.dilation - a.before;
    const int64_t from = ((row / a.T * a.C + i / a.K) * a.D + d) * plane + at;
    u[e] = d < 0 || d >= a.D ? T(0) : x[from];
  }
}
// x[n, c, d, h, w] = sum of u[(n, t), (c, k), h, w] over t, k with t stride + k dilation - before
// = d.
template <class T>
__global__ void sum_kernel(const DepthTaps a, const T* u, T* x) {
  const int64_t plane = a.H * a.W;
  LAMINA_GRID_STRIDE(e, a.N * a.C * a.D * plane) {
    const int64_t at = e % plane, d = e / plane % a.D, c = e / plane / a.D % a.C;
    const int64_t n = e / plane / a.D / a.C, reach = d + a.before;
    const int64_t early = reach - (a.K - 1) * a.dilation;
    int64_t last = reach / a.stride;
    if (last >= a.T) last = a.T - 1;
    T sum = 0;
    for (int64_t t = early > 0 ? (early + a.stride - 1) / a.stride : 0; t <= last; ++t) {
      const int64_t left = reach - t * a.stride;
      if (left % a.dilation) continue;
      sum += u[((n * a.T + t) * a.C * a.K + c * a.K + left / a.dilation) * plane + at];
    }
    x[e] = sum;
  }
}

template <class T>
void run_as(const DeviceCall& c, void (*kernel)(DepthTaps, const T*, T*)) {
  const int64_t n = c.out[0].numel();
  if (n == 0) return;
  launch(c, kernel, dim3(blocks_for(n)), dim3(kBlock), 0, *static_cast<const DepthTaps*>(c.args),
         static_cast<const T*>(c.in[0].data), static_cast<T*>(c.out[0].data));
}
void depth_taps(const DeviceCall& c) {
  c.in[0].dtype == DType::float64 ? run_as<double>(c, taps_kernel<double>)
                                  : run_as<float>(c, taps_kernel<float>);
}
void depth_sum(const DeviceCall& c) {
  c.in[0].dtype == DType::float64 ? run_as<double>(c, sum_kernel<double>)
                                  : run_as<float>(c, sum_kernel<float>);
}
const Launches kLaunches{{"depth_taps", depth_taps}, {"depth_sum", depth_sum}};

}  // namespace
}  // namespace lamina::cuda
