// formulas.h read with T = Reading: what each derivative depends on, found by the compiler.
// kReads.of[f].by[i] is the set of operands the derivative of function f by input i reads, so
// backward keeps and loads nothing else.
#pragma once
#pragma push_macro("LAMINA_ISA")
#undef LAMINA_ISA
#define LAMINA_ISA reads

namespace lamina::reads {

enum : unsigned { kReadsX0 = 1, kReadsX1 = 2, kReadsX2 = 4, kReadsY = 8 };

struct Reading {
  unsigned set = 0;
};
constexpr Reading either(Reading a, Reading b) { return {a.set | b.set}; }
template <class T>
constexpr T constant(double) {
  return {};
}
#define LAMINA_READ2(op) \
  constexpr Reading operator op(Reading a, Reading b) { return either(a, b); }
LAMINA_READ2(+)
LAMINA_READ2(-)
LAMINA_READ2(*)
LAMINA_READ2(/)
LAMINA_READ2(<)
LAMINA_READ2(<=)
LAMINA_READ2(>)
LAMINA_READ2(>=)
LAMINA_READ2(==)
LAMINA_READ2(!=)
LAMINA_READ2(&)
LAMINA_READ2(|)
#undef LAMINA_READ2
constexpr Reading operator-(Reading a) { return a; }
#define LAMINA_READ(f) \
  constexpr Reading f(Reading a) { return a; }
LAMINA_READ(abs)
LAMINA_READ(sign)
LAMINA_READ(sqrt)
LAMINA_READ(exp)
LAMINA_READ(exp2)
LAMINA_READ(expm1)
LAMINA_READ(log)
LAMINA_READ(log2)
LAMINA_READ(log10)
LAMINA_READ(log1p)
LAMINA_READ(sin)
LAMINA_READ(cos)
LAMINA_READ(tan)
LAMINA_READ(sinh)
LAMINA_READ(cosh)
LAMINA_READ(tanh)
LAMINA_READ(erf)
LAMINA_READ(erfc)
LAMINA_READ(sigmoid)
LAMINA_READ(gelu_slope)
LAMINA_READ(floor)
LAMINA_READ(ceil)
LAMINA_READ(trunc)
LAMINA_READ(digamma)
#undef LAMINA_READ
constexpr Reading polygamma(Reading a, double) { return a; }
constexpr Reading pow(Reading a, Reading b) { return either(a, b); }
constexpr Reading min(Reading a, Reading b) { return either(a, b); }
constexpr Reading max(Reading a, Reading b) { return either(a, b); }
constexpr Reading copysign(Reading a, Reading b) { return either(a, b); }
constexpr Reading select(Reading m, Reading a, Reading b) { return either(m, either(a, b)); }

}  // namespace lamina::reads

#include "kernels/formulas.h"

namespace lamina::reads {

// The parameters are none of the values formulas treat specially.
template <class F, int I>
constexpr unsigned reads_of() {
  constexpr Params p{0.37, 0.41, 0.43};
  constexpr Reading g, a{kReadsX0}, b{kReadsX1}, c{kReadsX2}, y{kReadsY};
  if constexpr (F::gradient != Gradient::formula || I >= F::inputs)
    return 0;
  else if constexpr (F::inputs == 1)
    return F::template grad<Reading>(g, a, y, p).set;
  else if constexpr (F::inputs == 2 && I == 0)
    return F::template grad0<Reading>(g, a, b, y, p).set;
  else if constexpr (F::inputs == 2)
    return F::template grad1<Reading>(g, a, b, y, p).set;
  else if constexpr (I == 0)
    return F::template grad0<Reading>(g, a, b, c, y, p).set;
  else if constexpr (I == 1)
    return F::template grad1<Reading>(g, a, b, c, y, p).set;
  else
    return F::template grad2<Reading>(g, a, b, c, y, p).set;
}
struct Masks {
  unsigned by[3];
};
struct Table {
  Masks of[AllElementwise::size];
};
template <class... F>
constexpr Table table_of(List<F...>) {
  return {{{{reads_of<F, 0>(), reads_of<F, 1>(), reads_of<F, 2>()}}...}};
}
constexpr Table kReads = table_of(AllElementwise{});  // by position in AllElementwise

}  // namespace lamina::reads
#pragma pop_macro("LAMINA_ISA")
