// Convolution: GFLOP/s of each of its three maps and the share of the peak rate of multiply-adds
// measured in this run. Pooling: GB/s of what must be read and written once.
#include <string>

#include "ops/conv.h"
#include "ops/conv_launch.h"
#include "ops/ops.h"
#include "ops/pool.h"
#include "ops/random.h"
#include "report.h"
#include "tape/tape.h"

using namespace lamina;

namespace {

Tensor normal(const Dims& shape) { return random_normal(shape, 0, 1, DType::float32, {}); }

struct Shape {
  const char* name;
  int64_t N, C, H, M, K, stride, pad, groups;
};
constexpr Shape kShapes[] = {
    {"lenet1", 64, 1, 28, 6, 5, 1, 2, 1},      {"lenet2", 64, 6, 14, 16, 5, 1, 0, 1},
    {"stem", 128, 3, 32, 16, 3, 1, 1, 1},      {"stage1", 128, 16, 32, 16, 3, 1, 1, 1},
    {"down2", 128, 16, 32, 32, 3, 2, 1, 1},    {"stage2", 128, 32, 16, 32, 3, 1, 1, 1},
    {"stage3", 128, 64, 8, 64, 3, 1, 1, 1},    {"shortcut", 128, 16, 32, 32, 1, 2, 0, 1},
    {"pointwise", 32, 64, 32, 64, 1, 1, 0, 1}, {"wide", 32, 64, 32, 64, 3, 1, 1, 1},
    {"deep", 8, 256, 16, 256, 3, 1, 1, 1},     {"depthwise", 32, 64, 32, 64, 3, 1, 1, 64},
    {"large", 2, 64, 112, 128, 3, 1, 1, 1},
};

enum class Map { forward, input_grad, weight_grad };

void convolution(benchmark::State& state, const Shape& s, Map map) {
  const int64_t out = (s.H + 2 * s.pad - s.K) / s.stride + 1;
  const ConvGeometry a{s.N,      s.C,   s.H,   s.H, s.M, s.K,      s.K, out, out, s.stride,
                       s.stride, s.pad, s.pad, 1,   1,   s.groups, 2,   0,   {}};
  const Tensor x = normal({s.N, s.C, s.H, s.H}), w = normal({s.M, s.C / s.groups, s.K, s.K});
  const Tensor y = normal({s.N, s.M, out, out});
  const bench::Meter meter(state);
  for (auto _ : state) {
    if (map == Map::forward) conv_forward(a, kF32, x.data(), {w.data()}, {}, y.data());
    if (map == Map::input_grad) conv_input_grad(a, kF32, y.data(), w.data(), x.data());
    if (map == Map::weight_grad) conv_weight_grad(a, kF32, x.data(), y.data(), w.data());
    benchmark::ClobberMemory();
  }
  meter.flops<float>(2.0 * double(y.numel()) * double(w.numel() / s.M));
}

const bool registered = [] {
  for (const Shape& s : kShapes)
    for (const auto& [name, map] :
         {std::pair{"forward", Map::forward}, std::pair{"input_grad", Map::input_grad},
          std::pair{"weight_grad", Map::weight_grad}})
      benchmark::RegisterBenchmark((std::string("conv/") + s.name + "/" + name).c_str(),
                                   [s, m = map](benchmark::State& st) { convolution(st, s, m); })
          ->UseRealTime();
  return true;
}();

// Forward alone (argument 0), or with backward, over (64, 32, 28, 28).
template <class F>
void pooling(benchmark::State& state, F pool) {
  Tensor x = normal({64, 32, 28, 28});
  const bool backwards = state.range(0);
  x->requires_grad = backwards;
  const Tensor g = normal(pool(x).shape());
  const bench::Meter meter(state);
  for (auto _ : state) {
    const Tensor y = pool(x);
    if (backwards) benchmark::DoNotOptimize(gradients({y}, {g}, {x}, {}));
    benchmark::DoNotOptimize(y);
  }
  meter.bytes(4.0 * double(x.numel() + g.numel()) * (backwards ? 2 : 1));
}
void max_pool_2(benchmark::State& state) {
  pooling(state,
          [](const Tensor& x) { return max_pool(x, 2, {2}, {}, {0}, {1}, false, false).first; });
}
BENCHMARK(max_pool_2)->Arg(0)->Arg(1)->UseRealTime();
void max_pool_3_stride_2(benchmark::State& state) {
  pooling(state,
          [](const Tensor& x) { return max_pool(x, 2, {3}, {2}, {1}, {1}, false, false).first; });
}
BENCHMARK(max_pool_3_stride_2)->Arg(0)->Arg(1)->UseRealTime();
void avg_pool_2(benchmark::State& state) {
  pooling(state, [](const Tensor& x) { return avg_pool(x, 2, {2}, {}, {0}, false, true, {}); });
}
BENCHMARK(avg_pool_2)->Arg(0)->Arg(1)->UseRealTime();
void adaptive_avg_pool_1(benchmark::State& state) {
  pooling(state, [](const Tensor& x) { return adaptive_avg_pool(x, 2, {1}); });
}
BENCHMARK(adaptive_avg_pool_1)->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
