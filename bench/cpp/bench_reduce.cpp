// Sums, softmax, log-sum-exp and cross-entropy: GB/s of what must be read and written once, at
// sizes in and out of cache, and the cost of a call on ten elements.
#include "ops/ops.h"
#include "ops/softmax.h"
#include "ops/sort.h"
#include "report.h"

namespace {

using namespace lamina;

Tensor filled(const Dims& shape) {  // a fixed pattern in (-1, 1)
  Tensor x = empty(shape);
  uint32_t s = 12345;
  for (int64_t i = 0; i < x.numel(); ++i) {
    s = s * 1664525u + 1013904223u;
    x.data<float>()[i] = float(int32_t(s)) * 4.6566e-10f;
  }
  return x;
}
Tensor classes(int64_t rows, int64_t n) {
  Tensor t = empty({rows}, DType::int64);
  for (int64_t i = 0; i < rows; ++i) t.data<int64_t>()[i] = i * 7919 % n;
  return t;
}

template <class F>
void over(benchmark::State& state, const Dims& shape, int passes, F f) {
  const Tensor x = filled(shape);
  const bench::Meter meter(state);
  for (auto _ : state) benchmark::DoNotOptimize(f(x));
  meter.bytes(4.0 * double(x.numel()) * passes);
}

void sum_all(benchmark::State& s) {
  over(s, {s.range(0)}, 1, [](const Tensor& x) { return sum(x); });
}
BENCHMARK(sum_all)->Arg(10)->Arg(1 << 16)->Arg(10'000'000)->UseRealTime();
void sum_columns(benchmark::State& s) {
  over(s, {s.range(0), s.range(1)}, 1, [](const Tensor& x) { return sum(x, {0}); });
}
BENCHMARK(sum_columns)->Args({128, 64})->Args({4096, 128})->Args({2048, 4096})->UseRealTime();
void sum_rows(benchmark::State& s) {
  over(s, {s.range(0), s.range(1)}, 1, [](const Tensor& x) { return sum(x, {1}); });
}
BENCHMARK(sum_rows)->Args({8192, 10})->Args({4096, 1024})->UseRealTime();
void sum_channels(benchmark::State& s) {
  over(s, {32, 64, 28, 28}, 1, [](const Tensor& x) { return sum(x, {0, 2, 3}); });
}
BENCHMARK(sum_channels)->UseRealTime();
void variance_rows(benchmark::State& s) {
  over(s, {4096, 1024}, 1, [](const Tensor& x) { return var(x, {1}, 1, false); });
}
BENCHMARK(variance_rows)->UseRealTime();
void argmax_rows(benchmark::State& s) {
  over(s, {8192, 10}, 1, [](const Tensor& x) { return argmax(x, 1, false); });
}
BENCHMARK(argmax_rows)->UseRealTime();
void logsumexp_rows(benchmark::State& s) {
  over(s, {s.range(0), s.range(1)}, 1, [](const Tensor& x) { return logsumexp(x, {1}, false); });
}
BENCHMARK(logsumexp_rows)->Args({8192, 10})->Args({1024, 1024})->UseRealTime();

void softmax_rows(benchmark::State& s) {
  over(s, {s.range(0), s.range(1)}, 2, [](const Tensor& x) { return softmax(x, 1); });
}
BENCHMARK(softmax_rows)
    ->Args({128, 10})
    ->Args({8192, 10})
    ->Args({8192, 128})
    ->Args({128, 32768})
    ->UseRealTime();
void softmax_columns(benchmark::State& s) {
  over(s, {16, 21, 64 * 64}, 2, [](const Tensor& x) { return softmax(x, 1); });
}
BENCHMARK(softmax_columns)->UseRealTime();
void log_softmax_rows(benchmark::State& s) {
  over(s, {8192, 128}, 2, [](const Tensor& x) { return log_softmax(x, 1); });
}
BENCHMARK(log_softmax_rows)->UseRealTime();

void cross_entropy_rows(benchmark::State& s) {
  const Tensor t = classes(s.range(0), s.range(1));
  over(s, {s.range(0), s.range(1)}, 1,
       [&](const Tensor& x) { return cross_entropy(x, t, {}, "mean", -100, 0); });
}
BENCHMARK(cross_entropy_rows)->Args({128, 10})->Args({8192, 10})->Args({256, 32768})->UseRealTime();

void sort_line(benchmark::State& s) {
  over(s, {s.range(0)}, 4, [](const Tensor& x) { return sort(x, 0, false).second; });
}
BENCHMARK(sort_line)->Arg(100)->Arg(1'000'000)->UseRealTime();
void topk_rows(benchmark::State& s) {
  over(s, {256, 1000}, 1, [](const Tensor& x) { return topk(x, 5, 1, true).second; });
}
BENCHMARK(topk_rows)->UseRealTime();

}  // namespace
