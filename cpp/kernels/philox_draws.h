// What is made of Philox words, for the vectors of every instruction set and for single numbers on
// a GPU: the file that includes it has defined F32 I32 U32 F64 I64 U64, set1, bits, from_bits,
// to_float, select and sqrt for them.
//
//   uniform      a + (b - a) u           u: the top 24 bits of a word (53 of two for float64)
//   normal       a + b z                 Box and Muller, Ann. Math. Stat. 29 (1958): of a group,
//   the
//                                        first half of the words gives radii, the second angles
//   exponential  -ln(u) / a
//   bernoulli    1 where u < a
//   cauchy       a + b sin / cos of a random angle
//
// Written with products, sums, quotients and roots only (no fused multiply-add), each rounded by
// IEEE 754, so every device gives the same bits.
// (No include guard: each reading of it has its own LAMINA_ISA.)
#ifdef __CUDACC__
#define LAMINA_BOTH __host__ __device__
#else
#define LAMINA_BOTH
#endif

namespace lamina::LAMINA_ISA {
namespace {

// ---- words as numbers --------------------------------------------------------------------------
LAMINA_BOTH inline F32 as_f32(double s) { return set1<F32>(float(s)); }
LAMINA_BOTH inline F32 unit(U32 w, F32) {  // [0, 1)
  return to_float(I32(w >> 8)) * as_f32(0x1p-24);
}
LAMINA_BOTH inline F32 open_unit(U32 w, F32) {  // (0, 1]
  return (to_float(I32(w >> 1)) + as_f32(0.5)) * as_f32(0x1p-31);
}
// x < 2^53: the halves through the mantissas of 2^52 and 2^84.
LAMINA_BOTH inline F64 to_double(U64 x) {
  const F64 low = from_bits(I64((x & 0xffffffffu) | 0x4330000000000000u));
  const F64 high = from_bits(I64((x >> 32) | 0x4530000000000000u));
  return (high - set1<F64>(0x1p84 + 0x1p52)) + low;
}
LAMINA_BOTH inline F64 unit(U64 w, F64) {  // [0, 1)
  return to_double(w >> 11) * set1<F64>(0x1p-53);
}
LAMINA_BOTH inline F64 open_unit(U64 w, F64) {  // (0, 1)
  return (to_double(w >> 12) + set1<F64>(0.5)) * set1<F64>(0x1p-52);
}

// ln u for u in (0, 1], no denormals: u = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt 2).
LAMINA_BOTH inline F32 plain_log(F32 u) {
  const I32 i = bits(u) - 0x3f3504f3;
  const F32 n = to_float(i >> 23);
  const F32 f = from_bits((i & 0x7fffff) + 0x3f3504f3) - as_f32(1);
  F32 q = as_f32(7.1497538934e-2);
  q = q * f + as_f32(-1.1571200728e-1);
  q = q * f + as_f32(1.1661511068e-1);
  q = q * f + as_f32(-1.2411050684e-1);
  q = q * f + as_f32(1.4249936533e-1);
  q = q * f + as_f32(-1.6668480240e-1);
  q = q * f + as_f32(2.0000707477e-1);
  q = q * f + as_f32(-2.4999989049e-1);
  q = q * f + as_f32(3.3333331191e-1);
  const F32 f2 = f * f;
  const F32 y = f2 * f * q + n * as_f32(-2.12194440e-4) - f2 * as_f32(0.5);
  return n * as_f32(0.693359375) + (f + y);
}
LAMINA_BOTH inline F64 plain_log(F64 u) {  // 2 atanh(f / (2 + f)) by its series
  const I64 i = bits(u) - 0x3fe6a09e667f3bcdll;
  const F64 n = to_double(U64((i >> 52) + 1024)) - set1<F64>(1024);
  const F64 f = from_bits(I64((i & 0xfffffffffffffll) + 0x3fe6a09e667f3bcdll)) - set1<F64>(1);
  const F64 s = f / (set1<F64>(2) + f), z = s * s;
  F64 q = set1<F64>(2.0 / 21);
  for (int k = 19; k >= 3; k -= 2) q = q * z + set1<F64>(2.0 / k);
  return n * set1<F64>(0.69314718055994530942) + (s + s + s * z * q);
}

// A point (c, s) on the unit circle: a quarter turn around 0 from the low bits of w (float32: 30 of
// 32), swapped by one further bit, and negated by the top bit, which the caller applies to the
// radius (`sign`).
struct Point32 {
  F32 c, s;
  I32 sign;
};
LAMINA_BOTH inline Point32 circle(U32 w, F32) {
  const F32 x = to_float(I32(w << 2)) * as_f32(3.14159265358979323846 / 2 * 0x1p-32), z = x * x;
  F32 s = as_f32(1.0 / 362880);  // Taylor: the next terms are below 3e-9
  s = s * z - as_f32(1.0 / 5040);
  s = s * z + as_f32(1.0 / 120);
  s = s * z - as_f32(1.0 / 6);
  s = s * z * x + x;
  F32 c = as_f32(-1.0 / 3628800);
  c = c * z + as_f32(1.0 / 40320);
  c = c * z - as_f32(1.0 / 720);
  c = c * z + as_f32(1.0 / 24);
  c = c * z * z - z * as_f32(0.5) + as_f32(1);
  const I32 swap = I32(w << 1) < 0;
  return {select(swap, s, c), select(swap, c, s), I32(w & 0x80000000u)};
}
struct Point64 {
  F64 c, s;
  I64 sign;
};
LAMINA_BOTH inline Point64 circle(U64 w, F64) {
  const F64 t = to_double((w << 2) >> 11) - set1<F64>(0x1p52);  // 53 of the low 62 bits
  const F64 x = t * set1<F64>(3.14159265358979323846 / 2 * 0x1p-53), z = x * x;
  F64 s = set1<F64>(1), c = set1<F64>(1);
  for (int k = 18; k >= 2; k -= 2) {
    s = set1<F64>(1) - s * z * set1<F64>(1.0 / (k * (k + 1)));
    c = set1<F64>(1) - c * z * set1<F64>(1.0 / (k * (k - 1)));
  }
  s = s * x;
  const I64 swap = I64(w << 1) < 0;
  return {select(swap, s, c), select(swap, c, s), I64(w & 0x8000000000000000u)};
}

// ---- distributions -----------------------------------------------------------------------------
// Each is constructed from a call's parameters and makes the values of the words of the first half
// (x) and of the second (y) of a group.
template <class V>
struct Uniform {
  using T = Scalar<V>;
  V low, width;
  T last, first;
  LAMINA_BOTH explicit Uniform(const RandomArgs& a)
      : low(set1<V>(T(a.a))), width(set1<V>(T(a.b) - T(a.a))), last(T(a.b)), first(T(a.a)) {}
  template <class W>
  LAMINA_BOTH V one(W w) const {
    const V v = low + width * unit(w, V{});
    return select(v < set1<V>(last), v, low);  // the sum may round up to b, which is excluded
  }
  template <class W>
  LAMINA_BOTH void make(W x, W y, V* first_half, V* second_half) const {
    *first_half = one(x);
    *second_half = one(y);
  }
};
template <class V>
struct Normal {
  V mean, deviation;
  LAMINA_BOTH explicit Normal(const RandomArgs& a)
      : mean(set1<V>(Scalar<V>(a.a))), deviation(set1<V>(Scalar<V>(a.b))) {}
  template <class W>
  LAMINA_BOTH void make(W x, W y, V* first, V* second) const {
    const V radius = sqrt(plain_log(open_unit(x, V{})) * set1<V>(-2));
    const auto p = circle(y, V{});
    const V r = from_bits(bits(radius * deviation) ^ p.sign);
    *first = mean + r * p.c;
    *second = mean + r * p.s;
  }
};
template <class V>
struct Exponential {
  V scale;
  LAMINA_BOTH explicit Exponential(const RandomArgs& a) : scale(set1<V>(Scalar<V>(-1 / a.a))) {}
  template <class W>
  LAMINA_BOTH void make(W x, W y, V* first, V* second) const {
    *first = plain_log(open_unit(x, V{})) * scale;
    *second = plain_log(open_unit(y, V{})) * scale;
  }
};
template <class V>
struct Bernoulli {
  V p;
  LAMINA_BOTH explicit Bernoulli(const RandomArgs& a) : p(set1<V>(Scalar<V>(a.a))) {}
  template <class W>
  LAMINA_BOTH V one(W w) const {
    return select(unit(w, V{}) < p, set1<V>(1), V{});
  }
  template <class W>
  LAMINA_BOTH void make(W x, W y, V* first, V* second) const {
    *first = one(x);
    *second = one(y);
  }
};
template <class V>
struct Cauchy {
  V median, sigma;
  LAMINA_BOTH explicit Cauchy(const RandomArgs& a)
      : median(set1<V>(Scalar<V>(a.a))), sigma(set1<V>(Scalar<V>(a.b))) {}
  template <class W>
  LAMINA_BOTH V one(W w) const {
    const auto p = circle(w, V{});
    return median + sigma * (p.s / select(p.c == V{}, set1<V>(Scalar<V>(0x1p-60)), p.c));
  }
  template <class W>
  LAMINA_BOTH void make(W x, W y, V* first, V* second) const {
    *first = one(x);
    *second = one(y);
  }
};

}  // namespace
}  // namespace lamina::LAMINA_ISA

#undef LAMINA_BOTH
