// Elementwise functions on the device: y = f(x0, x1, ...; p) over one index space, a thread for 32
// bytes of the compute type where operands are dense or broadcast along the last dimension, else
// for an element. float16 and bfloat16 are read and written as they are. f is a function of
// formulas.h or one of its derivatives. Cost: one read of each input, one write.
#pragma once
#include "kernels/formula_reads.h"
#include "launch.h"
#include "ops/elementwise_args.h"
#include "strided.h"

#include "kernels/formulas.h"

namespace lamina::cuda {

using on_device::AllElementwise;

struct ElementwisePack {
  Strides s;
  void* y;
  const void* x[5];
  double number[5];  // of an input that is a number
  int64_t integer[5];
  DType ytype, xtype[5];
  bool is_number[5];
  bool wide;  // groups of kWide elements lie side by side in y, and in each x that is `spread`;
  bool spread[5];  // in the others they are one element
  double p[3];

  explicit ElementwisePack(const Operand& space) : s(space) {}
};
using ElementwiseKernel = void (*)(ElementwisePack);

// f's value from its inputs.
template <class F>
struct Value {
  static constexpr int inputs = F::inputs;
  static constexpr unsigned reads = (1u << F::inputs) - 1;
  template <class S>
  LAMINA_HD static S of(const S* x, Params p) {
    if constexpr (F::inputs == 1)
      return F::template value<S>(x[0], p);
    else if constexpr (F::inputs == 2)
      return F::template value<S>(x[0], x[1], p);
    else
      return F::template value<S>(x[0], x[1], x[2], p);
  }
};
// f's derivative by input I from (g, x0, x1, x2, y).
template <class F, int Position, int I>
struct Slope {
  static constexpr int inputs = 5;
  static constexpr unsigned mask = reads::kReads.of[Position].by[I];
  static constexpr unsigned reads = 1u | mask << 1;
  template <class S>
  LAMINA_HD static S of(const S* v, Params p) {
    const S g = v[0], a = v[1], b = v[2], c = v[3], y = v[4];
    if constexpr (F::inputs == 1)
      return F::template grad<S>(g, a, y, p);
    else if constexpr (F::inputs == 2 && I == 0)
      return F::template grad0<S>(g, a, b, y, p);
    else if constexpr (F::inputs == 2)
      return F::template grad1<S>(g, a, b, y, p);
    else if constexpr (I == 0)
      return F::template grad0<S>(g, a, b, c, y, p);
    else if constexpr (I == 1)
      return F::template grad1<S>(g, a, b, c, y, p);
    else
      return F::template grad2<S>(g, a, b, c, y, p);
  }
};

template <class S>
LAMINA_HD S number_of(const ElementwisePack& k, int i) {
  if constexpr (sizeof(S) == 8 && !__is_same(S, double))
    return Number<S>::from(k.integer[i]);
  else
    return Number<S>::from(k.number[i]);
}

template <class F, class S>
__global__ void elementwise_kernel(const ElementwisePack k) {
  const Params p{k.p[0], k.p[1], k.p[2]};
  S v[F::inputs] = {};
  for (int j = 0; j < F::inputs; ++j)
    if (k.is_number[j]) v[j] = number_of<S>(k, j);
  constexpr int W = kWide<S>;
  const int64_t groups = k.wide ? k.s.n / W : 0;
  LAMINA_GRID_STRIDE(i, groups) {
    int64_t at[F::inputs + 1];
    k.s.offsets(i * W, at);
    S x[F::inputs][W], y[W];
#pragma unroll
    for (int j = 0; j < F::inputs; ++j) {
      const bool read = (F::reads >> j & 1) && !k.is_number[j];
      if (read && k.spread[j]) {
        load_wide<S>(x[j], k.x[j], at[j + 1], k.xtype[j]);
      } else {
        if (read) v[j] = load_one<S>(k.x[j], at[j + 1], k.xtype[j]);
#pragma unroll
        for (int e = 0; e < W; ++e) x[j][e] = v[j];
      }
    }
#pragma unroll
    for (int e = 0; e < W; ++e) {
      S u[F::inputs];
      for (int j = 0; j < F::inputs; ++j) u[j] = x[j][e];
      y[e] = F::template of<S>(u, p);
    }
    store_wide<S>(k.y, at[0], k.ytype, y);
  }
  LAMINA_GRID_STRIDE(r, k.s.n - groups * W) {
    int64_t at[F::inputs + 1];
    k.s.offsets(groups * W + r, at);
    for (int j = 0; j < F::inputs; ++j)
      if ((F::reads >> j & 1) && !k.is_number[j]) v[j] = load_one<S>(k.x[j], at[j + 1], k.xtype[j]);
    store_as<S>(k.y, at[0], k.ytype, F::template of<S>(v, p));
  }
}

// Tables by position in AllElementwise, one for each compute type: filled in files of their own,
// which compile side by side.
struct ElementwiseTable {
  ElementwiseKernel value[kMaxElementwise] = {};
  ElementwiseKernel slope[kMaxElementwise][3] = {};
};
const ElementwiseTable& elementwise_floats();
const ElementwiseTable& elementwise_doubles();
const ElementwiseTable& elementwise_ints();

template <class S, int f, class F>
void fill_function(ElementwiseTable& t) {
  if constexpr (__is_same(S, Int)) {
    if constexpr (F::on_ints) t.value[f] = elementwise_kernel<Value<F>, S>;
  } else {
    if constexpr (F::result != Result::integral) t.value[f] = elementwise_kernel<Value<F>, S>;
    if constexpr (F::gradient == Gradient::formula) {
      t.slope[f][0] = elementwise_kernel<Slope<F, f, 0>, S>;
      if constexpr (F::inputs > 1) t.slope[f][1] = elementwise_kernel<Slope<F, f, 1>, S>;
      if constexpr (F::inputs > 2) t.slope[f][2] = elementwise_kernel<Slope<F, f, 2>, S>;
    }
  }
}
template <class S, int f>
void fill_functions(ElementwiseTable&, List<>) {}
template <class S, int f, class F, class... Rest>
void fill_functions(ElementwiseTable& t, List<F, Rest...>) {
  fill_function<S, f, F>(t);
  fill_functions<S, f + 1>(t, List<Rest...>{});
}
template <class S>
ElementwiseTable filled_table() {
  ElementwiseTable t;
  fill_functions<S, 0>(t, AllElementwise{});
  return t;
}

}  // namespace lamina::cuda
