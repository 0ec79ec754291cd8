// Random numbers of the usual distributions, from Philox words (block layout: vec_philox.h).
//
//   uniform, normal, exponential, bernoulli, cauchy: philox_draws.h
//   integers     low + floor(range u), u of 64 bits
//   poisson      rejection_draws.h
//
// Cost per value on one thread with 512-bit vectors: uniform 0.5 ns, normal 1 ns.
#pragma once
#include "kernels/vec_math.h"
#include "kernels/vec_philox.h"

#include "kernels/rejection_draws.h"  // after what it is written in

namespace lamina::LAMINA_ISA {
namespace {

// The words of a vector of blocks as the numbers V takes.
inline U32 words(U64 w, F32) { return U32(w); }
inline U64 words(U64 w, F64) { return w; }

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
        distribution.make(words(w[v].w01, V{}), words(w[v].w23, V{}), &first, &second);
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
      distribution.make(words(w.w01, V{}), words(w.w23, V{}), &first, &second);
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
