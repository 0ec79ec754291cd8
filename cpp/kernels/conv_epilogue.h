// ConvEpilogue on vectors: what a convolution's kernels do to sums on their way to memory.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec_sum.h"

namespace lamina::LAMINA_ISA {
namespace {

// Of channel m: its bias; and batch norm by given statistics, as norm_cpu.h computes it.
template <class V>
inline V epilogue_bias(const ConvEpilogue& e, int64_t m, V v) {
  return e.bias ? v + set1<V>(static_cast<const Scalar<V>*>(e.bias)[m]) : v;
}
template <class V>
inline V epilogue_norm(const ConvEpilogue& e, int64_t m, V v) {
  using T = Scalar<V>;
  const auto of = [&](const void* p) { return set1<V>(static_cast<const T*>(p)[m]); };
  return e.mean ? fma(v - of(e.mean), of(e.scale), of(e.shift)) : v;
}
// Then the summand of n lanes, `at` elements from its start, and relu.
template <class V>
inline V epilogue_end(const ConvEpilogue& e, int64_t at, int n, V v) {
  using T = Scalar<V>;
  if (e.summand) {
    const T* const p = static_cast<const T*>(e.summand) + at;
    const V s = n == kLanes<V> ? load<V>(p) : load<V>(p, n);
    v = e.summand_first ? sum_of(s, v) : sum_of(v, s);
  }
  return e.relu ? max(V{}, v) : v;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
