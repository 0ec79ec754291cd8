// Random numbers of the usual distributions, from Philox words (block layout: vec_philox.h).
//
//   uniform      a + (b - a) u           u: the top 24 bits of a word (53 of two for float64)
//   normal       a + b z                 Box and Muller, Ann. Math. Stat. 29 (1958): of a group,
//   the
//                                        first half of the words gives radii, the second angles
//   exponential  -ln(u) / a
//   bernoulli    1 where u < a
//   cauchy       a + b cos / sin of a random angle
//   integers     low + floor(range u), u of 64 bits
//   poisson      rate < 10: products of uniforms (Knuth, TAOCP 2, 3.4.1); above: the transformed
//                rejection PTRS of Hoermann, Insurance: Mathematics and Economics 12 (1993)
//
// Cost per value on one thread with 512-bit vectors: uniform 0.5 ns, normal 1 ns.
#pragma once
#include "kernels/vec_philox.h"

namespace lamina::LAMINA_ISA {
namespace {

inline F32 unit(U64 w, F32) { return unit_f32(w); }
inline F64 unit(U64 w, F64) { return unit_f64(w); }
inline F32 open_unit(U64 w, F32) { return open_unit_f32(w); }
inline F64 open_unit(U64 w, F64) { return open_unit_f64(w); }
inline Point32 point(U64 w, F32) { return circle(U32(w)); }
inline Point64 point(U64 w, F64) { return circle(w); }

// Each distribution: constructed from a call's parameters, makes the values of one vector of words
// of the first half (x) and one of the second (y) of a group.
template <class V>
struct Uniform {
  using T = Scalar<V>;
  V low, width;
  T last, first;
  explicit Uniform(const RandomArgs& a)
      : low(set1<V>(T(a.a))), width(set1<V>(T(a.b) - T(a.a))), last(T(a.b)), first(T(a.a)) {}
  V one(U64 w) const {
    const V v = low + width * unit(w, V{});
    return select(v < set1<V>(last), v, low);  // the sum may round up to b, which is excluded
  }
  void make(U64 x, U64 y, V* first_half, V* second_half) const {
    *first_half = one(x);
    *second_half = one(y);
  }
};
template <class V>
struct Normal {
  V mean, deviation;
  explicit Normal(const RandomArgs& a)
      : mean(set1<V>(Scalar<V>(a.a))), deviation(set1<V>(Scalar<V>(a.b))) {}
  void make(U64 x, U64 y, V* first, V* second) const {
    const V radius = sqrt(plain_log(open_unit(x, V{})) * set1<V>(-2));
    const auto p = point(y, V{});
    const V r = from_bits(bits(radius * deviation) ^ p.sign);
    *first = mean + r * p.c;
    *second = mean + r * p.s;
  }
};
template <class V>
struct Exponential {
  V scale;
  explicit Exponential(const RandomArgs& a) : scale(set1<V>(Scalar<V>(-1 / a.a))) {}
  void make(U64 x, U64 y, V* first, V* second) const {
    *first = plain_log(open_unit(x, V{})) * scale;
    *second = plain_log(open_unit(y, V{})) * scale;
  }
};
template <class V>
struct Bernoulli {
  V p;
  explicit Bernoulli(const RandomArgs& a) : p(set1<V>(Scalar<V>(a.a))) {}
  V one(U64 w) const { return select(unit(w, V{}) < p, set1<V>(1), V{}); }
  void make(U64 x, U64 y, V* first, V* second) const {
    *first = one(x);
    *second = one(y);
  }
};
template <class V>
struct Cauchy {
  V median, sigma;
  explicit Cauchy(const RandomArgs& a)
      : median(set1<V>(Scalar<V>(a.a))), sigma(set1<V>(Scalar<V>(a.b))) {}
  V one(U64 w) const {
    const auto p = point(w, V{});
    return median + sigma * (p.s / select(p.c == V{}, set1<V>(Scalar<V>(0x1p-60)), p.c));
  }
  void make(U64 x, U64 y, V* first, V* second) const {
    *first = one(x);
    *second = one(y);
  }
};

template <class V, template <class> class D>
void fill(const RandomArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  constexpr int kWords64 = int(sizeof(int64_t) / sizeof(T));  // values per 64-bit word
  constexpr int64_t group = kGroupWords * 4 / int64_t(sizeof(T)), half_group = group / 2;
  const RoundKeys keys(a.seed);
  const D<V> distribution(a);
  T* const y = static_cast<T*>(a.y);
  constexpr int vectors = int(kGroupBlocks) / kBlockLanes;  // of a group
  // Whole groups, as many at a time as the registers hold.
  constexpr int together = LAMINA_VEC_BYTES == 64 ? 4 : 2,
                made = together > vectors ? together : vectors;
  constexpr int64_t groups = made / vectors;
  int64_t g = begin;
  for (; g + groups <= end && (g + groups) * group <= a.n; g += groups) {
    for (int half = 0; half < made; half += together) {
      U64 block[together];
      BlockWords w[together];
      for (int v = 0; v < together; ++v)
        block[v] =
            lane_numbers() + (a.offset + uint64_t(g * kGroupBlocks + (half + v) * kBlockLanes));
      philox(keys, block, w);
#pragma GCC unroll 8
      for (int v = 0; v < together; ++v) {
        V first, second;
        distribution.make(w[v].w01, w[v].w23, &first, &second);
        const int at = half + v;
        T* const to = y + (g + at / vectors) * group + at % vectors * kBlockLanes * kWords64;
        store(to, first);
        store(to + half_group, second);
      }
    }
  }
  for (; g < end; ++g) {
    T last[group];
    T* const to = (g + 1) * group <= a.n ? y + g * group : last;
    philox_group(keys, a.offset + uint64_t(g * kGroupBlocks), [&](int at, BlockWords w) {
      V first, second;
      distribution.make(w.w01, w.w23, &first, &second);
      store(to + at * kWords64, first);
      store(to + half_group + at * kWords64, second);
    });
    if (to == last)
      for (int64_t i = g * group; i < a.n; ++i) y[i] = last[i - g * group];
  }
}

void integers(const RandomArgs& a, int64_t begin, int64_t end) {
  const RoundKeys keys(a.seed);
  int64_t* const y = static_cast<int64_t*>(a.y);
  for (int64_t g = begin; g < end; ++g) {
    alignas(64) uint64_t words[16];
    philox_group(keys, a.offset + uint64_t(g * kGroupBlocks), [&](int at, BlockWords w) {
      store(reinterpret_cast<int64_t*>(words) + at, I64(w.w01));
      store(reinterpret_cast<int64_t*>(words) + 8 + at, I64(w.w23));
    });
    const int64_t n = a.n - g * 16 < 16 ? a.n - g * 16 : 16;
    for (int64_t i = 0; i < n; ++i) {
      const uint64_t u =
          a.range ? uint64_t((unsigned __int128)(words[i]) * a.range >> 64) : words[i];
      y[g * 16 + i] = int64_t(uint64_t(a.low) + u);
    }
  }
}

double poisson_one(double rate, OwnStream u) {
  if (!(rate > 0)) return rate == 0 ? 0 : __builtin_nan("");
  if (rate < 10) {
    const double least = __builtin_exp(-rate);
    double product = u.next();
    int64_t k = 0;
    for (; product > least; ++k) product *= u.next();
    return double(k);
  }
  const double log_rate = __builtin_log(rate), b = 0.931 + 2.53 * __builtin_sqrt(rate);
  const double a = -0.059 + 0.02483 * b, inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double v_r = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double U = u.next() - 0.5, V = u.next(), us = 0.5 - __builtin_fabs(U);
    const double k = __builtin_floor((2 * a / us + b) * U + rate + 0.43);
    if (us >= 0.07 && V <= v_r) return k;
    if (k < 0 || (us < 0.013 && V > us)) continue;
    if (__builtin_log(V) + __builtin_log(inverse_alpha) - __builtin_log(a / (us * us) + b) <=
        -rate + k * log_rate - __builtin_lgamma(k + 1))
      return k;
  }
}
void poisson(const PoissonArgs& a, int64_t begin, int64_t end) {
  const RoundKeys keys(a.seed);
  for (int64_t i = begin; i < end; ++i)
    a.y[i] = poisson_one(a.rate[i], OwnStream{keys, a.offset + uint64_t(i)});
}

}  // namespace

void fill_random(Kernels& k) {
  RandomKernels& r = k.random;
  r.fill[kUniform][kF32] = fill<F32, Uniform>;
  r.fill[kUniform][kF64] = fill<F64, Uniform>;
  r.fill[kNormal][kF32] = fill<F32, Normal>;
  r.fill[kNormal][kF64] = fill<F64, Normal>;
  r.fill[kExponential][kF32] = fill<F32, Exponential>;
  r.fill[kExponential][kF64] = fill<F64, Exponential>;
  r.fill[kBernoulli][kF32] = fill<F32, Bernoulli>;
  r.fill[kBernoulli][kF64] = fill<F64, Bernoulli>;
  r.fill[kCauchy][kF32] = fill<F32, Cauchy>;
  r.fill[kCauchy][kF64] = fill<F64, Cauchy>;
  r.integers = integers;
  r.poisson = poisson;
}

}  // namespace lamina::LAMINA_ISA
