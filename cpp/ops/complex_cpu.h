// Elementwise functions of complex numbers z = a + ib.
//
// Layout: a block of pairs is split into a plane of real and one of imaginary parts, the function
// works on vectors of each, and the result is joined to pairs again; dense pairs in registers
// (im null: re and each of x hold pairs). Cost: one pass.
//   z w       (ac - bd) + i(ad + bc)
//   z / w     z (c - id) / |w|^2, w divided by its larger part first (Smith, CACM 5, 1962)
//   exp z     e^a (cos b + i sin b)              log z   log|z| + i atan2(b, a)
//   sqrt z    t = sqrt((|a| + |z|) / 2): t + i b/2t for a >= 0, |b|/2t + i sign(b) t else
//   sin z     sin a cosh b + i cos a sinh b      cos z   cos a cosh b - i sin a sinh b
//   sinh z    sinh a cos b + i cosh a sin b      cosh z  cosh a cos b + i sinh a sin b
//   tanh z    with t = tan b, s = sinh a: ((1 + t^2) sqrt(1 + s^2) s + i t) / (1 + (1 + t^2) s^2)
//             (Kahan, "Branch cuts for complex elementary functions", 1987); tan z = -i tanh iz
//   z^w       exp(w log z); 0^w = 0, 0^0 = 1     |z|     larger part * sqrt(1 + (smaller/larger)^2)
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec_math.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
struct Pair {
  V re, im;
};
template <class V>
inline V num(double v) {
  return set1<V>(Scalar<V>(v));
}

template <class V>
inline Pair<V> mul(Pair<V> x, Pair<V> y) {
  return {fnma(x.im, y.im, x.re * y.re), fma(x.im, y.re, x.re * y.im)};
}
template <class V>
inline Pair<V> div(Pair<V> x, Pair<V> y) {
  const V m = max(abs(y.re), abs(y.im));
  const V c = y.re / m, d = y.im / m, den = fma(c, c, d * d) * m;
  const auto none = m == num<V>(0);  // each part over 0
  return {select(none, x.re / m, fma(x.re, c, x.im * d) / den),
          select(none, x.im / m, fnma(x.re, d, x.im * c) / den)};
}
// |z| = larger * root, root in [1, sqrt 2]
template <class V>
inline V modulus(Pair<V> z) {
  const V a = abs(z.re), b = abs(z.im);
  const V large = select(a > b, a, b), small = select(a > b, b, a);
  const V r = select(large > num<V>(0), small / large, num<V>(0));
  const V y = large * sqrt(fma(r, r, num<V>(1)));
  const V inf = num<V>(__builtin_inf());
  const auto nan = (a != a) | (b != b);
  return select((a == inf) | (b == inf), inf, select(nan, a + b, y));
}
template <class V>
inline Pair<V> polar_exp(V a, V b) {
  const V e = exp(a);
  return {e * cos(b), select(b == num<V>(0), b, e * sin(b))};
}
template <class V>
inline Pair<V> logarithm(Pair<V> z) {
  const V a = abs(z.re), b = abs(z.im);
  const V large = select(a > b, a, b), small = select(a > b, b, a);
  const V r = select(large > num<V>(0), small / large, num<V>(0));
  // near |z| = 1: log1p((large - 1)(large + 1) + small^2) / 2, without cancellation
  const V near = num<V>(0.5) * log1p(fma(large - num<V>(1), large + num<V>(1), small * small));
  const V far = log(large) + num<V>(0.5) * log1p(r * r);
  const auto close = (large > num<V>(0.5)) & (large < num<V>(1.5));
  return {select(close, near, far), atan2(z.im, z.re)};
}
template <class V>
inline Pair<V> root(Pair<V> z) {
  const V zero = num<V>(0), half = num<V>(0.5);
  const V t = sqrt(fma(abs(z.re), half, modulus(z) * half));
  const V u = abs(z.im) / (t + t);
  const auto right = z.re >= zero, none = t == zero;
  return {select(none, zero, select(right, t, u)),
          select(none, z.im, copysign(select(right, u, t), z.im))};
}
template <class V>
inline Pair<V> hyperbolic_tangent(V a, V b) {
  const V one = num<V>(1), limit = num<V>(sizeof(Scalar<V>) == 4 ? 11 : 22);
  const auto far = abs(a) > limit;
  const V t = tan(b), s = sinh(select(far, num<V>(0), a));
  const V beta = fma(t, t, one), rho = sqrt(fma(s, s, one)), den = fma(beta * s, s, one);
  const V e = exp(num<V>(-2) * abs(a));
  return {select(far, copysign(one, a), beta * rho * s / den),
          select(far, num<V>(4) * sin(b) * cos(b) * e, t / den)};
}

template <int f, class V>
inline Pair<V> evaluate(Pair<V> x, [[maybe_unused]] Pair<V> y) {
  const V zero = num<V>(0);
  if constexpr (f == kComplexMul) return mul(x, y);
  if constexpr (f == kComplexDiv) return div(x, y);
  if constexpr (f == kComplexConj) return {x.re, -x.im};
  if constexpr (f == kComplexExp) return polar_exp(x.re, x.im);
  if constexpr (f == kComplexLog) return logarithm(x);
  if constexpr (f == kComplexSqrt) return root(x);
  if constexpr (f == kComplexSin) return {sin(x.re) * cosh(x.im), cos(x.re) * sinh(x.im)};
  if constexpr (f == kComplexCos) return {cos(x.re) * cosh(x.im), -(sin(x.re) * sinh(x.im))};
  if constexpr (f == kComplexSinh) return {sinh(x.re) * cos(x.im), cosh(x.re) * sin(x.im)};
  if constexpr (f == kComplexCosh) return {cosh(x.re) * cos(x.im), sinh(x.re) * sin(x.im)};
  if constexpr (f == kComplexTanh) return hyperbolic_tangent(x.re, x.im);
  if constexpr (f == kComplexTan) {
    const Pair<V> t = hyperbolic_tangent(-x.im, x.re);
    return {t.im, -t.re};
  }
  if constexpr (f == kComplexPow) {
    const Pair<V> e = mul(y, logarithm(x));
    const Pair<V> p = polar_exp(e.re, e.im);
    const auto none = (x.re == zero) & (x.im == zero);
    const auto empty = (y.re == zero) & (y.im == zero);
    const V one = num<V>(1);
    return {select(empty, one, select(none, zero, p.re)),
            select(empty, zero, select(none, zero, p.im))};
  }
  if constexpr (f == kComplexAbs) return {modulus(x), zero};
}

template <class V>
inline Pair<V> load_pairs(const void* pairs, int64_t i, int m) {
  V x, y;
  load_two(static_cast<const Scalar<V>*>(pairs) + 2 * i, 2 * m, &x, &y);
  return {evens(x, y), odds(x, y)};
}
template <int f, class V>
void complex_block(void* re, void* im, const void* const* x, int64_t n) {
  using S = Scalar<V>;
  constexpr bool two = f == kComplexMul || f == kComplexDiv || f == kComplexPow;
  auto at = [&](int k, int64_t i, int m) {
    const S* p = static_cast<const S*>(x[k]) + i;
    return m == kLanes<V> ? load<V>(p) : load<V>(p, m, S(1));
  };
  S* const to = static_cast<S*>(re);
  for (int64_t i = 0; i < n; i += kLanes<V>) {
    const int m = n - i < kLanes<V> ? int(n - i) : kLanes<V>;
    Pair<V> a, b;
    if (im || f == kComplexAbs) {
      a = im ? Pair<V>{at(0, i, m), at(1, i, m)} : load_pairs<V>(x[0], i, m);
      b = a;
      if constexpr (two) b = {at(2, i, m), at(3, i, m)};
      const Pair<V> y = evaluate<f>(a, b);
      store(to + i, y.re, m);
      if constexpr (f != kComplexAbs) store(static_cast<S*>(im) + i, y.im, m);
      continue;
    }
    a = load_pairs<V>(x[0], i, m);
    b = two ? load_pairs<V>(x[1], i, m) : a;
    const Pair<V> y = evaluate<f>(a, b);
    store_two(to + 2 * i, 2 * m, zip_low(y.re, y.im), zip_high(y.re, y.im));
  }
}

template <class V>
void split(void* re, void* im, const void* src, int64_t stride, int64_t n) {
  using S = Scalar<V>;
  constexpr int L = kLanes<V>;
  S *a = static_cast<S*>(re), *b = static_cast<S*>(im);
  const S* p = static_cast<const S*>(src);
  if (stride == 1) {
    for (int64_t i = 0; i < n; i += L) {
      const int m = n - i < L ? int(n - i) : L;
      V x, y;
      load_two(p + 2 * i, 2 * m, &x, &y);
      if (m == L) {
        store(a + i, evens(x, y));
        store(b + i, odds(x, y));
      } else {
        store(a + i, evens(x, y), m);
        store(b + i, odds(x, y), m);
      }
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    a[i] = p[2 * i * stride];
    b[i] = p[2 * i * stride + 1];
  }
}
template <class V>
void join(void* dst, int64_t stride, const void* re, const void* im, int64_t n) {
  using S = Scalar<V>;
  constexpr int L = kLanes<V>;
  const S *a = static_cast<const S*>(re), *b = static_cast<const S*>(im);
  S* p = static_cast<S*>(dst);
  if (stride == 1) {
    for (int64_t i = 0; i < n; i += L) {
      const int m = n - i < L ? int(n - i) : L;
      const V x = m == L ? load<V>(a + i) : load<V>(a + i, m);
      const V y = m == L ? load<V>(b + i) : load<V>(b + i, m);
      store_two(p + 2 * i, 2 * m, zip_low(x, y), zip_high(x, y));
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    p[2 * i * stride] = a[i];
    p[2 * i * stride + 1] = b[i];
  }
}

template <int f>
void fill_functions(Kernels& k) {
  if constexpr (f < kComplexFunctions) {
    k.complex.f[f][kF32] = complex_block<f, F32>;
    k.complex.f[f][kF64] = complex_block<f, F64>;
    fill_functions<f + 1>(k);
  }
}

}  // namespace

void fill_complex(Kernels& k) {
  fill_functions<0>(k);
  k.complex.split[kF32] = split<F32>;
  k.complex.split[kF64] = split<F64>;
  k.complex.join[kF32] = join<F32>;
  k.complex.join[kF64] = join<F64>;
}

}  // namespace lamina::LAMINA_ISA
