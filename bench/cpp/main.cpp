// Runs the benchmarks after measuring, in the same run, what their shares are shares of.
//
//   lamina_bench --benchmark_filter=gemm
//   LAMINA_THREADS=1, LAMINA_ISA=avx2, LAMINA_BLAS=openblas OPENBLAS_LIBRARY=<the .so file>
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/kernels.h"
#include "ops/gemm.h"
#include "peak.h"

namespace lamina::bench {
namespace {

std::string in_billions(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", rate * 1e-9);
  return text;
}

void describe_machine() {
  using benchmark::AddCustomContext;
  AddCustomContext("threads", std::to_string(num_threads()));
  AddCustomContext("instruction set", cpu_kernels().isa);
  AddCustomContext("matrix products by", blas_in_use());
  AddCustomContext("peak GFLOP/s, float32", in_billions(peak_flops<float>()));
  AddCustomContext("peak GFLOP/s, float64", in_billions(peak_flops<double>()));
  AddCustomContext("memory read GB/s", in_billions(memory_bandwidth()));
}

}  // namespace
}  // namespace lamina::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (const char* library = std::getenv("OPENBLAS_LIBRARY")) lamina::set_blas_library(library);
  lamina::bench::describe_machine();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
