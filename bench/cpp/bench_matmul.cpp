// Matrix products: GFLOP/s and the share of the peak rate of multiply-adds measured in this run.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "ops/gemm.h"
#include "report.h"

namespace lamina {
namespace {

struct Shape {
  const char* name;
  const char* form;  // which of A and B are stored transposed: "NN", "NT", "TN"
  int64_t M, N, K;
};
constexpr Shape kShapes[] = {
    {"mlp_fc1_forward", "NT", 64, 256, 784},
    {"mlp_fc2_forward", "NT", 64, 128, 256},
    {"mlp_fc3_forward", "NT", 64, 10, 128},
    {"mlp_fc1_dw", "TN", 256, 784, 64},
    {"mlp_fc2_dw", "TN", 128, 256, 64},
    {"mlp_fc3_dw", "TN", 10, 128, 64},
    {"mlp_fc2_dx", "NN", 64, 256, 128},
    {"mlp_fc3_dx", "NN", 64, 128, 10},
    {"lenet_fc1_forward", "NT", 64, 120, 400},
    {"lenet_fc1_dw", "TN", 120, 400, 64},
    {"lenet_fc1_dx", "NN", 64, 400, 120},
    {"square_32", "NN", 32, 32, 32},
    {"square_64", "NN", 64, 64, 64},
    {"square_128", "NN", 128, 128, 128},
    {"square_128", "NT", 128, 128, 128},
    {"square_128", "TN", 128, 128, 128},
    {"square_256", "NN", 256, 256, 256},
    {"square_512", "NN", 512, 512, 512},
    {"square_1024", "NN", 1024, 1024, 1024},
    {"square_1024", "NT", 1024, 1024, 1024},
    {"square_1024", "TN", 1024, 1024, 1024},
    {"transformer_ff", "NT", 2048, 1536, 384},
    {"lstm_step", "NT", 32, 1024, 256},
    {"conv_64", "NN", 64, 1024, 576},
    {"conv_512", "NN", 512, 16, 4608},
    {"tall", "NN", 4096, 32, 32},
    {"wide", "NN", 32, 4096, 64},
    {"vector", "NT", 1, 1024, 1024},
    {"vector", "NN", 1, 1024, 1024},
    {"eight_rows", "NT", 8, 1024, 1024},
    {"tall_narrow", "NT", 10000, 10, 128},
    {"rank_1", "TN", 1024, 1024, 1},
    {"square_2048", "NN", 2048, 2048, 2048},
};

template <class T>
void gemm_of(benchmark::State& state, const Shape& s) {
  const bool ta = s.form[0] == 'T', tb = s.form[1] == 'T';
  std::vector<T> a(size_t(s.M * s.K)), b(size_t(s.K * s.N)), c(size_t(s.M * s.N));
  for (size_t i = 0; i < a.size(); ++i) a[i] = T(int(i % 13) - 6) / 8;
  for (size_t i = 0; i < b.size(); ++i) b[i] = T(int(i % 11) - 5) / 8;
  const bench::Meter meter(state);
  for (auto _ : state) {
    gemm<T>(ta, tb, s.M, s.N, s.K, a.data(), ta ? s.M : s.K, b.data(), tb ? s.K : s.N, c.data(),
            s.N);
    benchmark::DoNotOptimize(c.data());
    benchmark::ClobberMemory();
  }
  meter.flops<T>(2.0 * double(s.M) * double(s.N) * double(s.K));
}

const bool registered = [] {
  for (const Shape& s : kShapes)
    for (const char* type : {"f32", "f64"}) {
      const std::string name = std::string("gemm/") + type + "/" + s.name + "/" + s.form + "/" +
                               std::to_string(s.M) + "x" + std::to_string(s.N) + "x" +
                               std::to_string(s.K);
      const auto run = type[1] == '3' ? gemm_of<float> : gemm_of<double>;
      benchmark::RegisterBenchmark(name.c_str(),
                                   [run, s](benchmark::State& state) { run(state, s); })
          ->UseRealTime()
          ->MinTime(0.05);
    }
  return true;
}();

}  // namespace
}  // namespace lamina
