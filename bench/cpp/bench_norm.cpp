// Random numbers, dropout and normalisations: time per call and elements per second.
#include "ops/dropout.h"
#include "ops/norm.h"
#include "ops/ops.h"
#include "ops/random.h"
#include "report.h"
#include "tape/tape.h"

using namespace lamina;

namespace {

Tensor normal(const Dims& shape) { return random_normal(shape, 0, 1, DType::float32, {}); }

void count(benchmark::State& state, int64_t elements) {
  state.SetItemsProcessed(state.iterations() * elements);
}

void uniform(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(random_uniform({state.range(0)}, 0, 1, DType::float32, {}));
  count(state, state.range(0));
}
BENCHMARK(uniform)->Arg(1 << 10)->Arg(1 << 20)->UseRealTime();

void normal(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(normal({state.range(0)}));
  count(state, state.range(0));
}
BENCHMARK(normal)->Arg(1 << 10)->Arg(1 << 20)->UseRealTime();

void dropout(benchmark::State& state) {
  const Tensor x = normal({state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(dropout(x, 0.5, {}));
  count(state, state.range(0));
}
BENCHMARK(dropout)->Arg(1 << 10)->Arg(1 << 20)->UseRealTime();

// Forward alone, or with backward, of y = f(x, w, b).
template <class F>
void both(benchmark::State& state, const Dims& shape, const Dims& weights, bool backwards, F f) {
  Tensor x = normal(shape), w = normal(weights), b = normal(weights);
  const Tensor g = normal(shape);
  if (backwards)
    for (Tensor* t : {&x, &w, &b}) (*t)->requires_grad = true;
  const bench::Meter meter(state);
  for (auto _ : state) {
    const Tensor y = f(x, w, b);
    if (backwards) benchmark::DoNotOptimize(gradients({y}, {g}, {x, w, b}, {}));
    benchmark::DoNotOptimize(y);
  }
  // Forward: x read, y written; backward: x and g read, gx written.
  meter.bytes(4.0 * double(x.numel()) * (backwards ? 5 : 2));
}

void batch_norm_images(benchmark::State& state) {
  both(state, {128, 16, 32, 32}, {16}, state.range(0),
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return batch_norm(x, w, b, {}, {}, true, 0.1, 1e-5);
       });
}
BENCHMARK(batch_norm_images)->Arg(0)->Arg(1)->UseRealTime();

void batch_norm_features(benchmark::State& state) {
  both(state, {128, 512}, {512}, state.range(0),
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return batch_norm(x, w, b, {}, {}, true, 0.1, 1e-5);
       });
}
BENCHMARK(batch_norm_features)->Arg(0)->Arg(1)->UseRealTime();

void layer_norm_rows(benchmark::State& state) {
  both(state, {state.range(1), state.range(2)}, {state.range(2)}, state.range(0),
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return layer_norm(x, 1, w, b, 1e-5);
       });
}
BENCHMARK(layer_norm_rows)
    ->Args({0, 64, 256})
    ->Args({1, 64, 256})
    ->Args({0, 2048, 768})
    ->Args({1, 2048, 768})
    ->UseRealTime();

void group_norm_images(benchmark::State& state) {
  both(state, {32, 64, 32, 32}, {64}, state.range(0),
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return group_norm(x, 8, w, b, 1e-5);
       });
}
BENCHMARK(group_norm_images)->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
