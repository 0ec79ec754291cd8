// Moving lanes about: pairs apart and together, and transposes through registers.
#pragma once
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

template <int... l>
struct Lanes {};
template <int n>
struct LanesOf;
template <>
struct LanesOf<2> {
  using type = Lanes<0, 1>;
};
template <>
struct LanesOf<4> {
  using type = Lanes<0, 1, 2, 3>;
};
template <>
struct LanesOf<8> {
  using type = Lanes<0, 1, 2, 3, 4, 5, 6, 7>;
};
template <>
struct LanesOf<16> {
  using type = Lanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>;
};
template <class V>
using AllLanes = typename LanesOf<kLanes<V>>::type;

// Lane l of the result is lane f(l) of (x, y), whose lanes are counted 0 to 2n - 1.
#if defined(__clang__)
#define LAMINA_SHUFFLE(x, y, f) __builtin_shufflevector(x, y, (f)...)
#else
#define LAMINA_SHUFFLE(x, y, f) __builtin_shuffle(x, y, Mask<V>{(f)...})
#endif

template <class V, int... l>
inline V evens(V x, V y, Lanes<l...>) {
  return LAMINA_SHUFFLE(x, y, 2 * l);
}
template <class V, int... l>
inline V odds(V x, V y, Lanes<l...>) {
  return LAMINA_SHUFFLE(x, y, 2 * l + 1);
}
template <class V, int... l>
inline V zip_low(V x, V y, Lanes<l...>) {
  constexpr int n = sizeof...(l);
  return LAMINA_SHUFFLE(x, y, (l & 1) ? n + l / 2 : l / 2);
}
template <class V, int... l>
inline V zip_high(V x, V y, Lanes<l...>) {
  constexpr int n = sizeof...(l);
  return LAMINA_SHUFFLE(x, y, n / 2 + ((l & 1) ? n + l / 2 : l / 2));
}
// Even and odd elements of the 2n in (x, y), and back.
template <class V>
inline V evens(V x, V y) {
  return evens(x, y, AllLanes<V>{});
}
template <class V>
inline V odds(V x, V y) {
  return odds(x, y, AllLanes<V>{});
}
template <class V>
inline V zip_low(V x, V y) {
  return zip_low(x, y, AllLanes<V>{});
}
template <class V>
inline V zip_high(V x, V y) {
  return zip_high(x, y, AllLanes<V>{});
}

template <class V, int... l>
inline V reversed(V x, Lanes<l...>) {
  constexpr int n = sizeof...(l);
  return LAMINA_SHUFFLE(x, x, n - 1 - l);
}
template <class V>
inline V reversed(V x) {
  return reversed(x, AllLanes<V>{});
}

// The first n elements at p as a pair of vectors, zeros after them; and back. n <= 2 * lanes.
template <class V>
inline void load_two(const Scalar<V>* p, int n, V* x, V* y) {
  constexpr int L = kLanes<V>;
  *x = n >= L ? load<V>(p) : load<V>(p, n);
  *y = n >= 2 * L ? load<V>(p + L) : n > L ? load<V>(p + L, n - L) : V{};
}
template <class V>
inline void store_two(Scalar<V>* p, int n, V x, V y) {
  constexpr int L = kLanes<V>;
  if (n >= 2 * L) {
    store(p, x);
    store(p + L, y);
  } else if (n > L) {
    store(p, x);
    store(p + L, y, n - L);
  } else {
    store(p, x, n);
  }
}

// (x, y) -> their s-wide blocks exchanged across the diagonal: lanes with bit s clear come from x.
template <int s, class V, int... l>
inline void exchange(V& x, V& y, Lanes<l...>) {
  constexpr int n = sizeof...(l);
  const V lo = LAMINA_SHUFFLE(x, y, (l & s) ? n + l - s : l);
  const V hi = LAMINA_SHUFFLE(x, y, (l & s) ? n + l : l + s);
  x = lo;
  y = hi;
}
// r as a square matrix becomes its transpose (called with s = 1).
template <int s, class V>
inline void transpose_step(V* r) {
  if constexpr (s < kLanes<V>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<V>; ++i)
      if (!(i & s)) exchange<s>(r[i], r[i + s], AllLanes<V>{});
    transpose_step<2 * s>(r);
  }
}
template <class V>
inline void transpose_square(V* r) {
  transpose_step<1>(r);
}
#if defined(LAMINA_ISA_AVX512)
// In 64 shuffles that overwrite nothing (the compiler's own choice for the steps above copies).
// Within quarters of four lanes first, then whole quarters.
inline void transpose_square(F32* r) {
  __m512 a[16], b[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const __m512 l0 = _mm512_unpacklo_ps(__m512(r[i]), __m512(r[i + 1]));
    const __m512 h0 = _mm512_unpackhi_ps(__m512(r[i]), __m512(r[i + 1]));
    const __m512 l1 = _mm512_unpacklo_ps(__m512(r[i + 2]), __m512(r[i + 3]));
    const __m512 h1 = _mm512_unpackhi_ps(__m512(r[i + 2]), __m512(r[i + 3]));
    a[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(l0), _mm512_castps_pd(l1)));
    a[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(l0), _mm512_castps_pd(l1)));
    a[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(h0), _mm512_castps_pd(h1)));
    a[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(h0), _mm512_castps_pd(h1)));
  }
  // a[4 g + c]: column 4 q + c of rows 4 g to 4 g + 3 in quarter q.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    b[c] = _mm512_shuffle_f32x4(a[c], a[c + 4], 0x88);  // quarters 0 and 2
    b[c + 4] = _mm512_shuffle_f32x4(a[c], a[c + 4], 0xdd);
    b[c + 8] = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0x88);
    b[c + 12] = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0xdd);
    r[c] = F32(_mm512_shuffle_f32x4(b[c], b[c + 8], 0x88));
    r[c + 8] = F32(_mm512_shuffle_f32x4(b[c], b[c + 8], 0xdd));
    r[c + 4] = F32(_mm512_shuffle_f32x4(b[c + 4], b[c + 12], 0x88));
    r[c + 12] = F32(_mm512_shuffle_f32x4(b[c + 4], b[c + 12], 0xdd));
  }
}
#endif

}  // namespace
}  // namespace lamina::LAMINA_ISA
