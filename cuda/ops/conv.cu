// Convolution and its two gradients as matrix products whose operands are read where they lie
// (tiles.h): no patches are stored. x (N, C, H, W), w (M, C / groups, KH, KW), y (N, M, OH, OW).
//
//   conv              y[m, (n, i, j)]  = sum of w[m, (c, r, s)] x[n, c, i, j at r, s]
//
//   conv_input_grad   dx[c, (n, h, w)] = sum of w[m, c, r, s] dy[n, m, h, w from r, s]
//
//   conv_weight_grad  dw[m, (c, r, s)] = sum of dy[n, m, i, j] x[n, c, i, j at r, s]
//
// A product for each group. Groups of one input channel have kernels of their own
// (conv_depthwise.h); half precision and TF32 go to tensor cores (conv_tensor.h).
#include "ops/conv_launch.h"

#include "conv_depthwise.h"
#include "conv_tensor.h"
#include "table.h"
#include "tiles.h"

namespace lamina::cuda {
namespace {

template <class T>
struct ConvBase {
  using S = T;
  using Batch = int64_t;  // the group
  static constexpr bool kGroups = false;
  ConvGeometry g;
  const T *x, *w, *bias;
  T* y;
  __device__ int64_t inner_channels() const { return g.C / g.groups; }
  __device__ int64_t outer_channels() const { return g.M / g.groups; }
  __device__ int64_t taps() const { return g.KH * g.KW; }
  __device__ Batch batch(int64_t group) const { return group; }
  // x[n, c, i sh - ph + r dh, j sw - pw + s dw], 0 outside; `at` = (n, i, j), k = (c, r, s).
  __device__ T patch(int64_t group, int64_t at, int64_t k) const {
    const int64_t c = k / taps() + group * inner_channels(), r = k / g.KW % g.KH, s = k % g.KW;
    const int64_t n = at / (g.OH * g.OW), i = at / g.OW % g.OH, j = at % g.OW;
    const int64_t h = i * g.sh - g.ph + r * g.dh, v = j * g.sw - g.pw + s * g.dw;
    return h < 0 || h >= g.H || v < 0 || v >= g.W ? T(0) : x[((n * g.C + c) * g.H + h) * g.W + v];
  }
};

template <class T>
struct Forward : ConvBase<T> {
  __device__ int64_t M() const { return this->outer_channels(); }
  __device__ int64_t N() const { return this->g.N * this->g.OH * this->g.OW; }
  __device__ int64_t K() const { return this->inner_channels() * this->taps(); }
  __device__ bool a_along_k() const { return true; }
  __device__ bool b_along_k() const { return false; }
  __device__ T a(int64_t group, int64_t m, int64_t k) const {
    return this->w[(group * M() + m) * K() + k];
  }
  __device__ T b(int64_t group, int64_t k, int64_t n) const { return this->patch(group, n, k); }
  __device__ void put(int64_t group, int64_t m, int64_t at, T v) const {
    const int64_t plane = this->g.OH * this->g.OW, to = group * M() + m;
    if (this->bias) v += this->bias[to];
    this->y[(at / plane * this->g.M + to) * plane + at % plane] = v;
  }
};

template <class T>
struct InputGrad : ConvBase<T> {  // x: dy
  __device__ int64_t M() const { return this->inner_channels(); }
  __device__ int64_t N() const { return this->g.N * this->g.H * this->g.W; }
  __device__ int64_t K() const { return this->outer_channels() * this->taps(); }
  __device__ bool a_along_k() const { return false; }
  __device__ bool b_along_k() const { return false; }
  __device__ T a(int64_t group, int64_t c, int64_t k) const {
    const int64_t m = group * this->outer_channels() + k / this->taps();
    return this->w[(m * M() + c) * this->taps() + k % this->taps()];
  }
  __device__ T b(int64_t group, int64_t k, int64_t at) const {
    const ConvGeometry& g = this->g;
    const int64_t m = group * this->outer_channels() + k / this->taps();
    const int64_t r = k / g.KW % g.KH, s = k % g.KW;
    const int64_t n = at / (g.H * g.W), h = at / g.W % g.H, v = at % g.W;
    const int64_t i = h + g.ph - r * g.dh, j = v + g.pw - s * g.dw;
    if (i < 0 || j < 0 || i % g.sh || j % g.sw || i / g.sh >= g.OH || j / g.sw >= g.OW) return T(0);
    return this->x[((n * g.M + m) * g.OH + i / g.sh) * g.OW + j / g.sw];
  }
  __device__ void put(int64_t group, int64_t c, int64_t at, T v) const {
    const int64_t plane = this->g.H * this->g.W, to = group * M() + c;
    this->y[(at / plane * this->g.C + to) * plane + at % plane] = v;
  }
};

template <class T>
struct WeightGrad : ConvBase<T> {  // w: dy
  __device__ int64_t M() const { return this->outer_channels(); }
  __device__ int64_t N() const { return this->inner_channels() * this->taps(); }
  __device__ int64_t K() const { return this->g.N * this->g.OH * this->g.OW; }
  __device__ bool a_along_k() const { return true; }
  __device__ bool b_along_k() const { return true; }
  __device__ T a(int64_t group, int64_t m, int64_t at) const {
    const int64_t plane = this->g.OH * this->g.OW;
    return this->w[(at / plane * this->g.M + group * M() + m) * plane + at % plane];
  }
  __device__ T b(int64_t group, int64_t at, int64_t k) const { return this->patch(group, at, k); }
  __device__ void put(int64_t group, int64_t m, int64_t k, T v) const {
    this->y[(group * M() + m) * N() + k] = v;
  }
};

template <template <class> class P, class T>
void run_as(const DeviceCall& c) {
  P<T> p;
  p.g = *static_cast<const ConvGeometry*>(c.args);
  p.x = static_cast<const T*>(c.in[0].data);
  p.w = static_cast<const T*>(c.in[1].data);
  p.bias = c.inputs > 2 ? static_cast<const T*>(c.in[2].data) : nullptr;
  p.y = static_cast<T*>(c.out[0].data);
  const ConvGeometry& g = p.g;
  const bool forward = __is_same(P<T>, Forward<T>), input = __is_same(P<T>, InputGrad<T>);
  const int64_t inner = g.C / g.groups, outer = g.M / g.groups;
  multiply_tiles(c, p, input ? inner : outer,
                 forward ? g.N * g.OH * g.OW
                 : input ? g.N * g.H * g.W
                         : inner * g.KH * g.KW,
                 forward ? inner * g.KH * g.KW
                 : input ? outer * g.KH * g.KW
                         : g.N * g.OH * g.OW,
                 g.groups);
}
template <class T>
void depthwise(const DeviceCall& c, ConvWay way) {
  const auto& g = *static_cast<const ConvGeometry*>(c.args);
  const T *const p = static_cast<const T*>(c.in[0].data), *const q =
                                                              static_cast<const T*>(c.in[1].data);
  T* const y = static_cast<T*>(c.out[0].data);
  const int64_t n = c.out[0].numel();
  if (way == kConvForward)
    launch(c, depthwise_kernel<T>, dim3(blocks_for(n)), dim3(kBlock), 0, g, p, q,
           c.inputs > 2 ? static_cast<const T*>(c.in[2].data) : nullptr, y);
  else if (way == kConvInputGrad)
    launch(c, depthwise_input_grad_kernel<T>, dim3(blocks_for(n)), dim3(kBlock), 0, g, p, q, y);
  else if (g.N * g.OH * g.OW < 8 * kBlock)
    launch(c, depthwise_weight_grad_kernel<T, 32>, dim3(blocks_for(n, kBlock / 32)), dim3(kBlock),
           0, g, p, q, y);
  else
    launch(c, depthwise_weight_grad_kernel<T, kBlock>, dim3(blocks_for(n, 1)), dim3(kBlock), 0, g,
           p, q, y);
}

template <template <class> class P>
void run(const DeviceCall& c) {
  if (c.out[0].numel() == 0) return;
  constexpr ConvWay way = __is_same(P<float>, Forward<float>)     ? kConvForward
                          : __is_same(P<float>, InputGrad<float>) ? kConvInputGrad
                                                                  : kConvWeightGrad;
  const auto& g = *static_cast<const ConvGeometry*>(c.args);
  const DType type = c.in[0].dtype;
  if (g.groups > 1 && g.C == g.groups) return LAMINA_BY_FLOATING(type, depthwise)(c, way);
  if (type == DType::float64) return run_as<P, double>(c);
  if (type == DType::float32 && !(c.tf32.convolutions && conv_fits(g))) return run_as<P, float>(c);
  if (!conv_fits(g))
    fail(kNotImplemented,
         "%s: no CUDA kernel for images this large in half precision; use .float()", c.name);
  type == DType::float16    ? conv_half(c, way)
  : type == DType::bfloat16 ? conv_brain(c, way)
                            : conv_tf32(c, way);
}

const Launches kLaunches{{"conv", run<Forward>, false, true},
                         {"conv_input_grad", run<InputGrad>, false, true},
                         {"conv_weight_grad", run<WeightGrad>, false, true}};

}  // namespace
}  // namespace lamina::cuda
