// What a benchmark did per second, and which share that is of what the machine can do.
#pragma once
#include <benchmark/benchmark.h>

#include "peak.h"

namespace lamina::bench {

// Made before the loop of a benchmark; one of the functions is called after it.
class Meter {
 public:
  explicit Meter(benchmark::State& state) : state_(state), start_(seconds()) {}
  // Of multiply-adds, two operations each, in an iteration.
  template <class T>
  void flops(double each) const {
    const double rate = per_second(each);
    state_.counters["GFLOP/s"] = rate * 1e-9;
    state_.counters["of_peak"] = rate / peak_flops<T>();
  }
  // Of bytes that must be read or written once in an iteration; above 1 where they stay in cache.
  void bytes(double each) const {
    const double rate = per_second(each);
    state_.counters["GB/s"] = rate * 1e-9;
    state_.counters["of_memory"] = rate / memory_bandwidth();
  }

 private:
  double per_second(double each) const {
    return each * double(state_.iterations()) / (seconds() - start_);
  }
  benchmark::State& state_;
  double start_;
};

}  // namespace lamina::bench
