// Storage dtypes to compute types and back: load[d][c] gathers n strided elements of dtype d into
// a dense array of compute type c (float, double or int64), store[d][c] does the reverse. Floats
// round to nearest even, float -> integer truncates, anything -> bool tests for non-zero.
// Cost: one pass; dense same-type cases are copies.
#pragma once
#include "kernels/kernels.h"

#if defined(LAMINA_ISA_AVX2) || defined(LAMINA_ISA_AVX512)
#include <immintrin.h>
#endif

namespace lamina::LAMINA_ISA {
namespace {

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};
struct Truth {  // of memory from elsewhere: any byte but 0 is true
  uint8_t byte;
};

inline float as_float(uint32_t b) { return __builtin_bit_cast(float, b); }
inline uint32_t as_bits(float f) { return __builtin_bit_cast(uint32_t, f); }

inline float widen(Half h) {
  const uint32_t sign = uint32_t(h.bits & 0x8000) << 16;
  const uint32_t rest = h.bits & 0x7fff;
  if (rest >= 0x7c00) return as_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  if (rest >= 0x400) return as_float(sign | ((rest << 13) + 0x38000000));
  const float tiny = float(rest) * 5.9604644775390625e-8f;  // denormal: rest * 2^-24
  return as_float(sign | as_bits(tiny));
}
inline Half narrow_half(float f) {
  const uint32_t b = as_bits(f), sign = (b >> 16) & 0x8000, a = b & 0x7fffffff;
  if (a > 0x7f800000) return {uint16_t(sign | 0x7e00)};
  if (a >= 0x477ff000) return {uint16_t(sign | 0x7c00)};  // rounds to infinity
  if (a < 0x38800000) {                                   // denormal or zero
    const float scaled = as_float(a) * 16777216.0f;       // units of 2^-24; exact
    return {uint16_t(sign | uint32_t(__builtin_rintf(scaled)))};
  }
  const uint32_t rounded = a + 0xfff + ((a >> 13) & 1);
  return {uint16_t(sign | ((rounded - 0x38000000) >> 13))};
}
inline float widen(Brain h) { return as_float(uint32_t(h.bits) << 16); }
inline Brain narrow_brain(float f) {
  const uint32_t b = as_bits(f);
  if ((b & 0x7fffffff) > 0x7f800000) return {uint16_t(b >> 16 | 0x40)};
  return {uint16_t((b + 0x7fff + ((b >> 16) & 1)) >> 16)};
}

// A float of a finite range becomes an int64; NaN and what does not fit become the minimum.
template <class C>
inline int64_t truncate(C v) {
  return v > C(-9.3e18) && v < C(9.2233715e18) ? int64_t(v) : INT64_MIN;
}

template <class C, class S>
inline C from(S s) {
  return C(s);
}
template <>
inline int64_t from<int64_t, float>(float s) {
  return truncate(s);
}
template <>
inline int64_t from<int64_t, double>(double s) {
  return truncate(s);
}
template <>
inline float from<float, Half>(Half s) {
  return widen(s);
}
template <>
inline double from<double, Half>(Half s) {
  return widen(s);
}
template <>
inline int64_t from<int64_t, Half>(Half s) {
  return truncate(widen(s));
}
template <>
inline float from<float, Brain>(Brain s) {
  return widen(s);
}
template <>
inline double from<double, Brain>(Brain s) {
  return widen(s);
}
template <>
inline int64_t from<int64_t, Brain>(Brain s) {
  return truncate(widen(s));
}

template <>
inline float from<float, Truth>(Truth s) {
  return s.byte != 0;
}
template <>
inline double from<double, Truth>(Truth s) {
  return s.byte != 0;
}
template <>
inline int64_t from<int64_t, Truth>(Truth s) {
  return s.byte != 0;
}

template <class S, class C>
struct To {
  static S get(C c) {
    if constexpr (__is_same(C, int64_t) || __is_same(S, float) || __is_same(S, double))
      return S(c);
    else
      return S(truncate(c));
  }
};
template <class C>
struct To<Truth, C> {
  static Truth get(C c) { return {c != 0}; }
};
template <class C>
struct To<Half, C> {
  static Half get(C c) { return narrow_half(float(c)); }
};
template <class C>
struct To<Brain, C> {
  static Brain get(C c) { return narrow_brain(float(c)); }
};

template <class S, class C>
void load_as(void* dst, const void* src, int64_t stride, int64_t n) {
  C* d = static_cast<C*>(dst);
  const S* s = static_cast<const S*>(src);
  if (stride == 0) {
    const C v = from<C, S>(*s);
    for (int64_t i = 0; i < n; ++i) d[i] = v;
  } else if (stride == 1) {
    for (int64_t i = 0; i < n; ++i) d[i] = from<C, S>(s[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) d[i] = from<C, S>(s[i * stride]);
  }
}
// As many floats as an instruction takes to halves at once; returns how many elements that did.
inline int64_t narrow_many([[maybe_unused]] Half* d, [[maybe_unused]] const float* s,
                           [[maybe_unused]] int64_t n) {
  int64_t i = 0;
#if defined(LAMINA_ISA_AVX2) || defined(LAMINA_ISA_AVX512)
  for (; i + 8 <= n; i += 8) {
    const __m256 v = _mm256_loadu_ps(s + i);
    const __m128i h = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    if (_mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q))) {  // one NaN, as everywhere else
      for (int k = 0; k < 8; ++k) d[i + k] = narrow_half(s[i + k]);
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(d + i), h);
    }
  }
#endif
  return i;
}

template <class S, class C>
void store_as(void* dst, int64_t stride, const void* src, int64_t n) {
  S* d = static_cast<S*>(dst);
  const C* s = static_cast<const C*>(src);
  if constexpr (__is_same(S, Half) && __is_same(C, float)) {
    if (stride == 1) {
      const int64_t done = narrow_many(d, s, n);
      d += done;
      s += done;
      n -= done;
    }
  }
  if (stride == 1) {
    for (int64_t i = 0; i < n; ++i) d[i] = To<S, C>::get(s[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) d[i * stride] = To<S, C>::get(s[i]);
  }
}

template <class S>
void fill_storage(Kernels& k, DType d) {
  k.load[int(d)][kF32] = load_as<S, float>;
  k.load[int(d)][kF64] = load_as<S, double>;
  k.load[int(d)][kI64] = load_as<S, int64_t>;
  k.store[int(d)][kF32] = store_as<S, float>;
  k.store[int(d)][kF64] = store_as<S, double>;
  k.store[int(d)][kI64] = store_as<S, int64_t>;
}

}  // namespace

void fill_convert(Kernels& k) {
  fill_storage<float>(k, DType::float32);
  fill_storage<double>(k, DType::float64);
  fill_storage<Half>(k, DType::float16);
  fill_storage<Brain>(k, DType::bfloat16);
  fill_storage<int64_t>(k, DType::int64);
  fill_storage<int32_t>(k, DType::int32);
  fill_storage<int16_t>(k, DType::int16);
  fill_storage<int8_t>(k, DType::int8);
  fill_storage<uint8_t>(k, DType::uint8);
  fill_storage<Truth>(k, DType::boolean);
}

}  // namespace lamina::LAMINA_ISA
