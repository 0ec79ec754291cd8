// What the forward and backward loops of attention share: the exponential and its unit, rows of
// masks and of dropout, transposed copies of key blocks.
//
// Scores are kept in units of u: float32 counts in powers of two (u = 1 / ln 2, one multiplication
// less per exponential), float64 in powers of e.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec_dropout.h"
#include "kernels/vec_math.h"
#include "kernels/vec_pack.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
constexpr double kScoreUnit = sizeof(Scalar<V>) == 4 ? 1.44269504088896340736 : 1.0;

// 2^x for x at most a little above 0, to 0.7 ulp; 0 where it would be below 2^-126; NaN stays.
// 2^n (1 + f q(f)) with n = round(x), f = x - n, q the minimax polynomial on |f| <= 1/2.
inline F32 exp_unit(F32 x) {
#if defined(LAMINA_ISA_AVX512)
  const F32 f = F32(_mm512_reduce_ps(__m512(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  const F32 n = x - f;
#else
  x = max(set1<F32>(-127.0f), x);
  const F32 n = round(x), f = x - n;
#endif
  F32 q = set1<F32>(1.5353361843e-4f);
  q = fma(q, f, set1<F32>(1.3398874438e-3f));
  q = fma(q, f, set1<F32>(9.6184373581e-3f));
  q = fma(q, f, set1<F32>(5.5503324710e-2f));
  q = fma(q, f, set1<F32>(2.4022647914e-1f));
  q = fma(q, f, set1<F32>(6.9314720286e-1f));
  const F32 y = fma(q, f, set1<F32>(1.0f));
#if defined(LAMINA_ISA_AVX512)
  return F32(_mm512_scalef_ps(__m512(y), __m512(n)));
#else
  return y * from_bits((to_int(n) + 127) << 23);
#endif
}
inline F64 exp_unit(F64 x) { return exp(x); }
inline F32 log_unit(F32 x) { return log2(x); }
inline F64 log_unit(F64 x) { return log(x); }

template <class V>
constexpr Scalar<V> kMinusInfinity = -Scalar<V>(__builtin_inf());

// f of all lanes, in every lane, by a fixed tree.
template <int s, class V, class F>
inline V across(V v, F f) {
  if constexpr (s == 0) {
    return v;
  } else {
    V a = v, b = v;
    exchange<s>(a, b, typename LanesOf<kLanes<V>>::type{});  // a, b: lanes without and with bit s
    return across<s / 2>(f(a, b), f);
  }
}
template <class V>
inline V max_across(V v) {
  return across<kLanes<V> / 2>(v, [](V a, V b) { return max(a, b); });
}
template <class V>
inline V sum_across(V v) {
  return across<kLanes<V> / 2>(v, [](V a, V b) { return a + b; });
}

template <class V>
inline Mask<V> first_lanes(int64_t n) {  // lane < n
  using I = Mask<V>;
  I lane{};
  for (int i = 0; i < kLanes<V>; ++i) lane[i] = Scalar<I>(i);
  return lane < I{} + Scalar<I>(n < kLanes<V> ? n : kLanes<V>);
}

template <class T>
inline T* rows_at(const AttentionRows& r, int64_t b, int64_t h, int64_t i) {
  return static_cast<T*>(r.p) + b * r.batch + h * r.head + i * r.row;
}
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t whole(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Keys query i sees of the n that begin at j0.
inline int64_t seen(const AttentionArgs& a, int64_t i, int64_t j0, int64_t n) {
  if (!a.causal) return n;
  const int64_t m = a.past + i - j0 + 1;
  return m < 0 ? 0 : least(m, n);
}

// Whether a bool mask leaves anything of a tile; tiles of which nothing is left are passed over.
inline bool tile_seen(const AttentionArgs& a, int64_t b, int64_t h, int64_t i0, int64_t rows,
                      int64_t j0, int64_t n) {
  if (a.mask_kind != kBoolMask) return true;
  for (int64_t i = 0; i < (a.mask.row ? rows : 1); ++i) {
    const uint8_t* m = rows_at<const uint8_t>(a.mask, b, h, i0 + i) + j0;
    uint8_t seen_here = 0;
    for (int64_t j = 0; j < n; ++j) seen_here |= m[j];
    if (seen_here) return true;
  }
  return false;
}

// What is added to the scores of query i and keys [j0, j0 + n), in units: null without a mask.
template <class V>
inline const Scalar<V>* mask_row(const AttentionArgs& a, int64_t b, int64_t h, int64_t i,
                                 int64_t j0, int64_t n, Scalar<V>* buffer) {
  using T = Scalar<V>;
  if (a.mask_kind == kNoMask) return nullptr;
  if (a.mask_kind == kBoolMask) {
    const uint8_t* m = rows_at<const uint8_t>(a.mask, b, h, i) + j0;
    for (int64_t j = 0; j < n; ++j) buffer[j] = m[j] ? T(0) : kMinusInfinity<V>;
  } else {
    const T* m = rows_at<const T>(a.mask, b, h, i) + j0;
    for (int64_t j = 0; j < n; ++j) buffer[j] = m[j] * T(kScoreUnit<V>);
  }
  return buffer;
}

// z[0, whole(n, 64)) = keep_scale or 0 for query row `row` of B H L and keys from j0, a multiple of
// 64. Element (row, j) is number j mod 64 of group row ceil(S / 64) + j / 64.
template <class V>
inline void keep_row(const AttentionArgs& a, const RoundKeys& keys, int64_t row, int64_t j0,
                     int64_t n, Scalar<V>* z) {
  const V scale = set1<V>(Scalar<V>(a.keep_scale));
  const int64_t groups = (a.S + kDropoutGroup - 1) / kDropoutGroup;
  for (int64_t j = 0; j < n; j += kDropoutGroup) {
    const int64_t group = row * groups + (j0 + j) / kDropoutGroup;
    dropout_group<V>(
        keys, a.offset + uint64_t(group * kGroupBlocks), a.threshold,
        [&](int where, Mask<V> keep) { store(z + j + where, select(keep, scale, V{})); });
  }
}

// Blocks of k (or v) transposed, (width, keys) each, the last one's keys rounded up to kKeyStep
// with zeros so that products over them need no edges. Made in order, when first needed.
constexpr int64_t kKeyStep = 32;
template <class V>
struct KeyBlocks {
  const AttentionRows* rows = nullptr;
  int64_t width = 0, S = 0;  // columns of a row; rows
  Scalar<V>* made = nullptr;
  int64_t b = -1, h = -1, count = 0;  // of which matrix, and how many blocks are made

  const Scalar<V>* block(int64_t batch, int64_t head, int64_t j) {
    if (batch != b || head != h) b = batch, h = head, count = 0;
    for (; count <= j; ++count) pack(count, made + count * kAttentionKeys * width);
    return made + j * kAttentionKeys * width;
  }
  void pack(int64_t j, Scalar<V>* to) const {
    const int64_t n = least(kAttentionKeys, S - j * kAttentionKeys);
    pack_rows<V>(rows_at<Scalar<V>>(*rows, b, h, j * kAttentionKeys), rows->row, int(n), width, to,
                 int(whole(n, kKeyStep)));
  }
};

// C (M, N) (+)= A (M, K) B (K, N).
template <class T>
struct Matrix {
  const T* p;
  int64_t row, column;
};
template <class T>
inline void product(const AttentionArgs& a, int64_t M, int64_t N, int64_t K, Matrix<T> A,
                    Matrix<T> B, T* C, int64_t c_row, bool accumulate, T* scratch) {
  if (M <= 0 || N <= 0) return;
  GemmArgs g{};
  g.M = M, g.N = N, g.K = K;
  g.a = A.p, g.a_row = A.row, g.a_k = A.column;
  g.b = B.p, g.b_k = B.row, g.b_col = B.column;
  g.c = C, g.c_row = c_row;
  g.accumulate = accumulate;
  g.scratch = scratch;
  a.gemm(g);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
