// Random tensors on the device: the CPU's Philox stream and its arithmetic (philox_draws.h), so
// that a seed gives the same numbers, bit for bit; only what needs the library's log, exp and
// lgamma (Poisson, gamma, binomial, multinomial without replacement) may round otherwise.
//
// A thread makes the values of one block of 128 bits: four float32 or two float64 or int64.
// Cost: one write; about 100 integer instructions a block.
#include "ops/random_args.h"

#include "launch.h"
#include "philox.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

template <class T>
struct Target {  // element i of the result, in the order of its memory as on the CPU
  T* y;
  int64_t n;
  bool dense, pairs;  // pairs: elements 2k and 2k + 1 may be written together
  Strides s;
  __device__ void put(int64_t i, T v) const {
    if (i >= n) return;
    if (dense) {
      y[i] = v;
      return;
    }
    int64_t at[1];
    s.offsets(i, at);
    y[at[0]] = v;
  }
  // An even i.
  __device__ void put(int64_t i, T a, T b) const {
    if (sizeof(T) == 4 && pairs && i + 1 < n) {
      *reinterpret_cast<float2*>(y + i) = float2{float(a), float(b)};
    } else {
      put(i, a);
      put(i + 1, b);
    }
  }
};
template <class T>
Target<T> target(const Operand& y) {
  Target<T> t{static_cast<T*>(y.data), y.numel(), true, false, Strides(y)};
  t.s.add(y);
  t.s.merge();
  t.dense = t.s.dense(0);
  t.pairs = t.dense && reinterpret_cast<uintptr_t>(y.data) % 8 == 0;
  return t;
}

template <class T, template <class> class D>
__global__ void draw_kernel(const Target<T> to, PhiloxKey key, D<on_device::Rounded<T>> draw) {
  constexpr int group = 128 / int(sizeof(T));  // values of 8 blocks
  LAMINA_GRID_STRIDE(t, (to.n + group - 1) / group * 8) {
    const int64_t first = t / 8 * group;
    const int at = int(t % 8);
    const PhiloxWords w = philox(key.seed, key.offset + uint64_t(t), 0);
    on_device::Rounded<T> a, b, c, d;
    if constexpr (sizeof(T) == 4) {
      draw.make(w.w[0], w.w[2], &a, &b);
      draw.make(w.w[1], w.w[3], &c, &d);
      to.put(first + 2 * at, a.v, c.v);
      to.put(first + 16 + 2 * at, b.v, d.v);
    } else {
      draw.make(w.wide(0), w.wide(1), &a, &b);
      to.put(first + at, a.v);
      to.put(first + 8 + at, b.v);
    }
  }
}
__global__ void integers_kernel(const Target<int64_t> to, PhiloxKey key, int64_t low,
                                uint64_t range) {
  LAMINA_GRID_STRIDE(t, (to.n + 15) / 16 * 8) {
    const PhiloxWords w = philox(key.seed, key.offset + uint64_t(t), 0);
    for (int half = 0; half < 2; ++half) {
      const uint64_t word = w.wide(half), u = range ? multiply_high(word, range) : word;
      to.put(t / 8 * 16 + 8 * half + t % 8, int64_t(uint64_t(low) + u));
    }
  }
}

template <class T, template <class> class D>
void draw_as(const DeviceCall& c, const DrawArgs& a) {
  const RandomArgs numbers{nullptr, 0, 0, 0, a.a, a.b, 0, 0};
  const int64_t n = c.out[0].numel();
  launch(c, draw_kernel<T, D>, dim3(blocks_for((n * int64_t(sizeof(T)) + 127) / 128 * 8)),
         dim3(kBlock), 0, target<T>(c.out[0]), a.key, D<on_device::Rounded<T>>(numbers));
}
template <template <class> class D>
void draw(const DeviceCall& c, const DrawArgs& a) {
  a.dtype == DType::float64 ? draw_as<double, D>(c, a) : draw_as<float, D>(c, a);
}
void random(const DeviceCall& c) {
  const auto& a = *static_cast<const DrawArgs*>(c.args);
  if (c.out[0].numel() == 0) return;
  switch (a.kind) {
    case kUniform:
      return draw<on_device::Uniform>(c, a);
    case kNormal:
      return draw<on_device::Normal>(c, a);
    case kExponential:
      return draw<on_device::Exponential>(c, a);
    case kBernoulli:
      return draw<on_device::Bernoulli>(c, a);
    case kCauchy:
      return draw<on_device::Cauchy>(c, a);
    default:
      launch(c, integers_kernel, dim3(blocks_for((c.out[0].numel() + 15) / 16 * 8)), dim3(kBlock),
             0, target<int64_t>(c.out[0]), a.key, a.low, a.range);
  }
}

// ---- one stream a value ------------------------------------------------------------------------
enum { kPoissonDraw, kGammaDraw, kGammaGrad, kBinomialDraw };
template <int kind>
__global__ void stream_kernel(const double* x, const double* z, double* y, int64_t n,
                              PhiloxKey key) {
  LAMINA_GRID_STRIDE(i, n) {
    const OwnStream u{key.seed, key.offset + uint64_t(i)};
    if constexpr (kind == kPoissonDraw)
      y[i] = on_device::poisson_one(x[i], u);
    else if constexpr (kind == kGammaDraw)
      y[i] = on_device::log_gamma_draw(x[i], u);
    else if constexpr (kind == kGammaGrad)
      y[i] = on_device::log_gamma_gradient(x[i], z[i]);
    else
      y[i] = on_device::binomial_one(x[i], z[i], u);
  }
}
template <int kind>
void streams(const DeviceCall& c) {
  const int64_t n = c.out[0].numel();
  if (n == 0) return;
  const PhiloxKey key = kind == kGammaGrad ? PhiloxKey{} : *static_cast<const PhiloxKey*>(c.args);
  launch(c, stream_kernel<kind>, dim3(blocks_for(n)), dim3(kBlock), 0,
         static_cast<const double*>(c.in[0].data),
         c.inputs > 1 ? static_cast<const double*>(c.in[1].data) : nullptr,
         static_cast<double*>(c.out[0].data), n, key);
}

const Launches kLaunches{{"random", random},
                         {"poisson", streams<kPoissonDraw>},
                         {"log_gamma_draw", streams<kGammaDraw>},
                         {"log_gamma_draw_grad", streams<kGammaGrad>},
                         {"binomial", streams<kBinomialDraw>}};

}  // namespace
}  // namespace lamina::cuda
