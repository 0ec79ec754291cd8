// Loops over the functions of formulas.h: y[i] = f(x0[i], x1[i], x2[i]; p), all arrays dense and of
// one compute type (float, double, int64). The tail is masked, so an element gets the same bits
// wherever it sits. Cost: one read of each input, one write; nothing is allocated.
#pragma once
#include "kernels/formula_ints.h"
#include "kernels/formula_reads.h"
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_gelu.h"

namespace lamina::LAMINA_ISA {
namespace {

template <>
inline F32 constant<F32>(double v) {
  return set1<F32>(float(v));
}
template <>
inline F64 constant<F64>(double v) {
  return set1<F64>(v);
}

inline F32 signbit(F32 x) { return select(bits(x) < 0, set1<F32>(1), F32{}); }
inline F64 signbit(F64 x) { return select(bits(x) < 0, set1<F64>(1), F64{}); }

}  // namespace
}  // namespace lamina::LAMINA_ISA

#include "kernels/formulas.h"

namespace lamina::LAMINA_ISA {
namespace {

inline Params params(const double* p) { return {p[0], p[1], p[2]}; }

template <class V, int N, class F>
inline void run(void* y, const void* const* x, int64_t n, F f) {
  using S = Scalar<V>;
  S* out = static_cast<S*>(y);
  const S *a = static_cast<const S*>(x[0]), *b = N > 1 ? static_cast<const S*>(x[1]) : a,
          *c = N > 2 ? static_cast<const S*>(x[2]) : a;
  int64_t i = 0;
  for (; i + kLanes<V> <= n; i += kLanes<V>) {
    const V r = f(load<V>(a + i), N > 1 ? load<V>(b + i) : V{}, N > 2 ? load<V>(c + i) : V{});
    store(out + i, r);
  }
  if (const int rest = int(n - i)) {
    // 1 in the lanes past the end: no function traps or is slow there
    const V r = f(load<V>(a + i, rest, S(1)), N > 1 ? load<V>(b + i, rest, S(1)) : V{},
                  N > 2 ? load<V>(c + i, rest, S(1)) : V{});
    store(out + i, r, rest);
  }
}

template <class F, class V>
void value(void* y, const void* const* x, int64_t n, const double* q) {
  const Params p = params(q);
  run<V, F::inputs>(y, x, n, [p](V a, V b, V c) {
    if constexpr (F::inputs == 1)
      return F::template value<V>(a, p);
    else if constexpr (F::inputs == 2)
      return F::template value<V>(a, b, p);
    else
      return F::template value<V>(a, b, c, p);
  });
}
template <class F>
void value_int(void* y, const void* const* x, int64_t n, const double* q) {
  const Params p = params(q);
  Int* out = static_cast<Int*>(y);
  const Int *a = static_cast<const Int*>(x[0]), *b = static_cast<const Int*>(x[1]),
            *c = static_cast<const Int*>(x[2]);
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (F::inputs == 1)
      out[i] = F::template value<Int>(a[i], p);
    else if constexpr (F::inputs == 2)
      out[i] = F::template value<Int>(a[i], b[i], p);
    else
      out[i] = F::template value<Int>(a[i], b[i], c[i], p);
  }
}

// x = {g, x0, x1, x2, y}, those the derivative does not read null.
template <class F, int Position, int I, class V>
void grad(void* out, const void* const* x, int64_t n, const double* q) {
  using S = Scalar<V>;
  const Params p = params(q);
  S* o = static_cast<S*>(out);
  const S* in[5];
  constexpr unsigned read = reads::kReads.of[Position].by[I];
  constexpr bool needed[5] = {true, (read & reads::kReadsX0) != 0, (read & reads::kReadsX1) != 0,
                              (read & reads::kReadsX2) != 0, (read & reads::kReadsY) != 0};
  for (int k = 0; k < 5; ++k) in[k] = static_cast<const S*>(x[k]);
  auto f = [p](V g, V a, V b, V c, V y) {
    if constexpr (F::inputs == 1)
      return F::template grad<V>(g, a, y, p);
    else if constexpr (F::inputs == 2 && I == 0)
      return F::template grad0<V>(g, a, b, y, p);
    else if constexpr (F::inputs == 2)
      return F::template grad1<V>(g, a, b, y, p);
    else if constexpr (I == 0)
      return F::template grad0<V>(g, a, b, c, y, p);
    else if constexpr (I == 1)
      return F::template grad1<V>(g, a, b, c, y, p);
    else
      return F::template grad2<V>(g, a, b, c, y, p);
  };
  for (int64_t i = 0; i < n; i += kLanes<V>) {
    const int m = n - i < kLanes<V> ? int(n - i) : kLanes<V>;
    V v[5];
    for (int k = 0; k < 5; ++k)
      v[k] = !needed[k] ? V{} : m == kLanes<V> ? load<V>(in[k] + i) : load<V>(in[k] + i, m, S(1));
    const V r = f(v[0], v[1], v[2], v[3], v[4]);
    if (m == kLanes<V>)
      store(o + i, r);
    else
      store(o + i, r, m);
  }
}

template <class F, int f>
void fill_one(Kernels& k) {
  if constexpr (F::result != Result::integral) {
    k.elementwise_value[f][kF32] = value<F, F32>;
    k.elementwise_value[f][kF64] = value<F, F64>;
  }
  if constexpr (F::on_ints) k.elementwise_value[f][kI64] = value_int<F>;
  if constexpr (F::gradient == Gradient::formula) {
    k.elementwise_grad[f][0][kF32] = grad<F, f, 0, F32>;
    k.elementwise_grad[f][0][kF64] = grad<F, f, 0, F64>;
    if constexpr (F::inputs > 1) {
      k.elementwise_grad[f][1][kF32] = grad<F, f, 1, F32>;
      k.elementwise_grad[f][1][kF64] = grad<F, f, 1, F64>;
    }
    if constexpr (F::inputs > 2) {
      k.elementwise_grad[f][2][kF32] = grad<F, f, 2, F32>;
      k.elementwise_grad[f][2][kF64] = grad<F, f, 2, F64>;
    }
  }
}
template <int f>
void fill_list(Kernels&, List<>) {}
template <int f, class F, class... Rest>
void fill_list(Kernels& k, List<F, Rest...>) {
  fill_one<F, f>(k);
  fill_list<f + 1>(k, List<Rest...>{});
}

}  // namespace

void fill_elementwise(Kernels& k) { fill_list<0>(k, AllElementwise{}); }

}  // namespace lamina::LAMINA_ISA
