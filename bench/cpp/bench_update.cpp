// Optimizer steps over 10 million floats in 6 tensors: GB/s of what the step must read and write
// (sgd with momentum: p, g, b read, p, b written; adam: p, g, m, v read, p, m, v written), and over
// the 6 tensors of a small network, where the cost of the call itself shows.
#include "ops/creation.h"
#include "ops/update.h"
#include "report.h"

namespace {

using namespace lamina;

struct Group {
  Tensors params, first, second, steps, none;
  Tensor numbers;
  int64_t elements = 0;
  explicit Group(std::initializer_list<int64_t> sizes) {
    for (int64_t n : sizes) {
      Tensor p = full({n}, 0.5, DType::float32);
      p->grad = full({n}, 0.01, DType::float32);
      params.push_back(p);
      first.push_back(zeros({n}));
      second.push_back(zeros({n}));
      steps.push_back(zeros({}));
      elements += n;
    }
    numbers = zeros({8 + int64_t(sizes.size())}, DType::float64);
  }
};

Group large() { return Group({4'000'000, 2'000'000, 2'000'000, 1'000'000, 1'000'000, 64}); }
Group small() { return Group({64 * 32, 32, 32 * 32, 32, 32 * 10, 10}); }

template <class F>
void over(benchmark::State& state, const Group& group, int floats, F step) {
  const bench::Meter meter(state);
  for (auto _ : state) step();
  meter.bytes(4.0 * double(group.elements) * floats);
}

void sgd(benchmark::State& state, Group (*make)()) {
  const Group group = make();
  set_numbers(group.numbers, 1e-4, 0, 0, 0, 0, 0, 0);
  over(state, group, 3, [&] { sgd_step(group.numbers, group.params, group.none, false); });
}
void sgd_momentum(benchmark::State& state, Group (*make)()) {
  const Group group = make();
  set_numbers(group.numbers, 1e-4, 0.9, 0, 0, 0, 0, 0);
  over(state, group, 5, [&] { sgd_step(group.numbers, group.params, group.first, false); });
}
void adam(benchmark::State& state, Group (*make)()) {
  const Group group = make();
  set_numbers(group.numbers, 1e-4, 0.9, 0.999, 1e-8, 0, 0, 0);
  over(state, group, 7, [&] {
    adam_step(group.numbers, group.params, group.first, group.second, group.none, group.steps);
  });
}
BENCHMARK_CAPTURE(sgd, large, large)->UseRealTime();
BENCHMARK_CAPTURE(sgd_momentum, large, large)->UseRealTime();
BENCHMARK_CAPTURE(adam, large, large)->UseRealTime();
BENCHMARK_CAPTURE(sgd, small, small)->UseRealTime();
BENCHMARK_CAPTURE(sgd_momentum, small, small)->UseRealTime();
BENCHMARK_CAPTURE(adam, small, small)->UseRealTime();

}  // namespace
