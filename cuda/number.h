// Numbers on the device: storage types to the types arithmetic is done in (float, double, int64)
// and back, with the rules of cpp/ops/convert_cpu.h, and the vocabulary of formulas.h for them.
#pragma once
#include <cuda_runtime.h>
#include <math.h>

#include "kernels/kernels.h"

#define LAMINA_ISA on_device
#include "kernels/formula_ints.h"
#include "kernels/special.h"

#define LAMINA_HD __host__ __device__ inline
#define LAMINA_CALLED __host__ __device__ __attribute__((noinline))  // one copy, not one a kernel

namespace lamina::on_device {
namespace {

template <>
constexpr float constant<float>(double v) {
  return float(v);
}
template <>
constexpr double constant<double>(double v) {
  return v;
}

// One line per function of CUDA's library: its float and its double form.
#define LAMINA_BOTH_OF(name)                             \
  LAMINA_HD float name(float x) { return ::name##f(x); } \
  LAMINA_HD double name(double x) { return ::name(x); }
LAMINA_BOTH_OF(sqrt)
LAMINA_BOTH_OF(exp)
LAMINA_BOTH_OF(exp2)
LAMINA_BOTH_OF(expm1)
LAMINA_BOTH_OF(log)
LAMINA_BOTH_OF(log2)
LAMINA_BOTH_OF(log10)
LAMINA_BOTH_OF(log1p)
LAMINA_BOTH_OF(sin)
LAMINA_BOTH_OF(cos)
LAMINA_BOTH_OF(tan)
LAMINA_BOTH_OF(asin)
LAMINA_BOTH_OF(acos)
LAMINA_BOTH_OF(atan)
LAMINA_BOTH_OF(sinh)
LAMINA_BOTH_OF(cosh)
LAMINA_BOTH_OF(tanh)
LAMINA_BOTH_OF(asinh)
LAMINA_BOTH_OF(acosh)
LAMINA_BOTH_OF(atanh)
LAMINA_BOTH_OF(erf)
LAMINA_BOTH_OF(erfc)
LAMINA_BOTH_OF(lgamma)
LAMINA_BOTH_OF(floor)
LAMINA_BOTH_OF(ceil)
LAMINA_BOTH_OF(trunc)
#undef LAMINA_BOTH_OF
#define LAMINA_BOTH_OF2(name)                                        \
  LAMINA_HD float name(float x, float y) { return ::name##f(x, y); } \
  LAMINA_HD double name(double x, double y) { return ::name(x, y); }
LAMINA_BOTH_OF2(pow)
LAMINA_BOTH_OF2(atan2)
LAMINA_BOTH_OF2(hypot)
LAMINA_BOTH_OF2(fmod)
LAMINA_BOTH_OF2(copysign)
#undef LAMINA_BOTH_OF2
LAMINA_HD float round(float x) { return ::rintf(x); }
LAMINA_HD double round(double x) { return ::rint(x); }
LAMINA_HD float abs(float x) { return ::fabsf(x); }
LAMINA_HD double abs(double x) { return ::fabs(x); }
#define LAMINA_EACH(T)                                                             \
  LAMINA_HD T select(bool m, T a, T b) { return m ? a : b; }                       \
  LAMINA_HD T min(T a, T b) { return a < b ? a : b; } /* b where one is NaN */     \
  LAMINA_HD T max(T a, T b) { return a > b ? a : b; }                              \
  LAMINA_HD T sign(T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x * T(0); }        \
  LAMINA_HD T sigmoid(T x) {                                                       \
    const T e = exp(-abs(x));                                                      \
    return (x < 0 ? e : T(1)) / (T(1) + e);                                        \
  }                                                                                \
  LAMINA_HD T signbit(T x) { return copysign(T(1), x) < 0 ? T(1) : T(0); }         \
  LAMINA_HD T remainder(T a, T b) { /* the sign of b */                            \
    const T r = fmod(a, b);                                                        \
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;                               \
  }                                                                                \
  LAMINA_HD T floor_divide(T a, T b) { /* floor of the exact quotient */           \
    const T r = fmod(a, b), q = round((a - r) / b);                                \
    return b == 0 ? a / b : r != 0 && (r < 0) != (b < 0) ? q - 1 : q;              \
  }                                                                                \
  LAMINA_HD T gelu(T x) { return x * T(0.5) * erfc(x * T(-0.70710678118654752)); } \
  LAMINA_HD T gelu_slope(T x) {                                                    \
    return T(0.5) * erfc(x * T(-0.70710678118654752)) +                            \
           x * T(0.39894228040143268) * exp(x * x * T(-0.5));                      \
  }                                                                                \
  LAMINA_HD T erfinv(T x) { return T(erfinv_double(x)); }                          \
  LAMINA_HD T digamma(T x) { return T(digamma_double(x)); }                        \
  LAMINA_HD T polygamma(T x, double n) { return T(polygamma_double(n, x)); }
LAMINA_EACH(float)
LAMINA_EACH(double)
#undef LAMINA_EACH

}  // namespace
}  // namespace lamina::on_device

namespace lamina::cuda {

// What arithmetic on int64 is written with.
using on_device::Int;

LAMINA_HD float float_of_bits(uint32_t b) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(b);
#else
  return __builtin_bit_cast(float, b);
#endif
}
LAMINA_HD uint32_t bits_of_float(float f) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(f);
#else
  return __builtin_bit_cast(uint32_t, f);
#endif
}
struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};
LAMINA_HD float widen(Half h) {
#ifdef __CUDA_ARCH__
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h.bits));
  return f;
#else
  const uint32_t sign = uint32_t(h.bits & 0x8000) << 16, rest = h.bits & 0x7fff;
  if (rest >= 0x7c00) return float_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  if (rest >= 0x400) return float_of_bits(sign | ((rest << 13) + 0x38000000));
  return float_of_bits(sign | bits_of_float(float(rest) * 5.9604644775390625e-8f));
#endif
}
LAMINA_HD Half narrow_half(float f) {
#ifdef __CUDA_ARCH__
  Half h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(f));
  return h;
#else
  const uint32_t b = bits_of_float(f), sign = (b >> 16) & 0x8000, a = b & 0x7fffffff;
  if (a > 0x7f800000) return {uint16_t(sign | 0x7e00)};
  if (a >= 0x477ff000) return {uint16_t(sign | 0x7c00)};
  if (a < 0x38800000) return {uint16_t(sign | uint32_t(::rintf(float_of_bits(a) * 16777216.0f)))};
  return {uint16_t(sign | ((a + 0xfff + ((a >> 13) & 1) - 0x38000000) >> 13))};
#endif
}
LAMINA_HD float widen(Brain h) { return float_of_bits(uint32_t(h.bits) << 16); }
LAMINA_HD Brain narrow_brain(float f) {
  const uint32_t b = bits_of_float(f);
  if ((b & 0x7fffffff) > 0x7f800000) return {uint16_t(b >> 16 | 0x40)};
  return {uint16_t((b + 0x7fff + ((b >> 16) & 1)) >> 16)};
}

// Storage types, and the type arithmetic on them is done in.
template <class T>
struct ComputeTypeOf {
  using S = T;
};
template <>
struct ComputeTypeOf<Half> {
  using S = float;
};
template <>
struct ComputeTypeOf<Brain> {
  using S = float;
};
template <class T>
using ComputeOf = typename ComputeTypeOf<T>::S;
LAMINA_HD float widen(float v) { return v; }
LAMINA_HD double widen(double v) { return v; }
template <class T>
LAMINA_HD T narrow(ComputeOf<T> v) {
  if constexpr (__is_same(T, Half))
    return narrow_half(v);
  else if constexpr (__is_same(T, Brain))
    return narrow_brain(v);
  else
    return v;
}
// W neighbouring elements, moved 16 bytes at a time where they fill that.
template <class T, int W>
struct alignas(sizeof(T) * W < 16 ? sizeof(T) * W : 16) Vector {
  T v[W];
};
template <class T>
constexpr int kVector = 16 / int(sizeof(T));  // elements of 16 bytes
template <class T, int W>
LAMINA_HD void load_vector(ComputeOf<T> (&to)[W], const T* p) {
  const Vector<T, W> x = *reinterpret_cast<const Vector<T, W>*>(p);
  for (int e = 0; e < W; ++e) to[e] = widen(x.v[e]);
}
template <class T, int W>
LAMINA_HD void store_vector(T* p, const ComputeOf<T> (&from)[W]) {
  Vector<T, W> y;
  for (int e = 0; e < W; ++e) y.v[e] = narrow<T>(from[e]);
  *reinterpret_cast<Vector<T, W>*>(p) = y;
}

// NaN and what does not fit become the smallest integer.
template <class T>
LAMINA_HD int64_t truncated(T v) {
  return v > T(-9.3e18) && v < T(9.2233715e18) ? int64_t(v) : INT64_MIN;
}

// Between compute types: S is float, double or Int.
template <class S>
struct Number {  // float and double
  LAMINA_HD static S from(float v) { return S(v); }
  LAMINA_HD static S from(double v) { return S(v); }
  LAMINA_HD static S from(int64_t v) { return S(v); }
  LAMINA_HD static double to_double(S v) { return double(v); }
  LAMINA_HD static int64_t to_int(S v) { return truncated(v); }
  LAMINA_HD static bool nonzero(S v) { return v != 0; }
};
template <>
struct Number<Int> {
  LAMINA_HD static Int from(float v) { return {truncated(v)}; }
  LAMINA_HD static Int from(double v) { return {truncated(v)}; }
  LAMINA_HD static Int from(int64_t v) { return {v}; }
  LAMINA_HD static double to_double(Int v) { return double(v.v); }
  LAMINA_HD static int64_t to_int(Int v) { return v.v; }
  LAMINA_HD static bool nonzero(Int v) { return v.v != 0; }
};

// Element i of an array of dtype d as S, and back.
template <class S>
LAMINA_CALLED S load_as(const void* p, int64_t i, DType d) {
  using N = Number<S>;
  switch (d) {
    case DType::float32:
      return N::from(static_cast<const float*>(p)[i]);
    case DType::float64:
      return N::from(static_cast<const double*>(p)[i]);
    case DType::float16:
      return N::from(widen(static_cast<const Half*>(p)[i]));
    case DType::bfloat16:
      return N::from(widen(static_cast<const Brain*>(p)[i]));
    case DType::int64:
      return N::from(static_cast<const int64_t*>(p)[i]);
    case DType::int32:
      return N::from(int64_t(static_cast<const int32_t*>(p)[i]));
    case DType::int16:
      return N::from(int64_t(static_cast<const int16_t*>(p)[i]));
    case DType::int8:
      return N::from(int64_t(static_cast<const int8_t*>(p)[i]));
    case DType::uint8:
      return N::from(int64_t(static_cast<const uint8_t*>(p)[i]));
    default:  // bool: any byte but 0 is true
      return N::from(int64_t(static_cast<const uint8_t*>(p)[i] != 0));
  }
}
template <class S>
LAMINA_CALLED void store_as(void* p, int64_t i, DType d, S v) {
  using N = Number<S>;
  switch (d) {
    case DType::float32:
      static_cast<float*>(p)[i] = float(N::to_double(v));
      break;
    case DType::float64:
      static_cast<double*>(p)[i] = N::to_double(v);
      break;
    case DType::float16:
      static_cast<Half*>(p)[i] = narrow_half(float(N::to_double(v)));
      break;
    case DType::bfloat16:
      static_cast<Brain*>(p)[i] = narrow_brain(float(N::to_double(v)));
      break;
    case DType::int64:
      static_cast<int64_t*>(p)[i] = N::to_int(v);
      break;
    case DType::int32:
      static_cast<int32_t*>(p)[i] = int32_t(N::to_int(v));
      break;
    case DType::int16:
      static_cast<int16_t*>(p)[i] = int16_t(N::to_int(v));
      break;
    case DType::int8:
      static_cast<int8_t*>(p)[i] = int8_t(N::to_int(v));
      break;
    case DType::uint8:
      static_cast<uint8_t*>(p)[i] = uint8_t(N::to_int(v));
      break;
    default:
      static_cast<uint8_t*>(p)[i] = N::nonzero(v);
  }
}

// As load_as, without a call for the floating dtypes of S's own kind.
template <class S>
LAMINA_HD S load_one(const void* p, int64_t i, DType d) {
  if constexpr (__is_same(S, float)) {
    if (d == DType::float32) return static_cast<const float*>(p)[i];
    if (d == DType::bfloat16) return widen(static_cast<const Brain*>(p)[i]);
    if (d == DType::float16) return widen(static_cast<const Half*>(p)[i]);
  } else if constexpr (__is_same(S, double)) {
    if (d == DType::float64) return static_cast<const double*>(p)[i];
  }
  return load_as<S>(p, i, d);
}
// kWide<S> neighbours from element i on: 32 bytes of S. The dtypes of S's own kind are moved 16
// bytes at a time (the address must be a multiple of that, or of the whole where it is less).
template <class S>
constexpr int kWide = 32 / int(sizeof(S));
template <class S>
LAMINA_HD void load_wide(S (&to)[kWide<S>], const void* p, int64_t i, DType d) {
  constexpr int W = kWide<S>;
  if constexpr (__is_same(S, float)) {
    if (d == DType::float32) return load_vector<float, W>(to, static_cast<const float*>(p) + i);
    if (d == DType::float16) return load_vector<Half, W>(to, static_cast<const Half*>(p) + i);
    if (d == DType::bfloat16) return load_vector<Brain, W>(to, static_cast<const Brain*>(p) + i);
  } else {
    const DType own = __is_same(S, double) ? DType::float64 : DType::int64;
    if (d == own) {
      const auto x = *reinterpret_cast<const Vector<S, W>*>(static_cast<const S*>(p) + i);
      for (int e = 0; e < W; ++e) to[e] = x.v[e];
      return;
    }
  }
  for (int e = 0; e < W; ++e) to[e] = load_as<S>(p, i + e, d);
}
template <class S>
LAMINA_HD void store_wide(void* p, int64_t i, DType d, const S (&from)[kWide<S>]) {
  constexpr int W = kWide<S>;
  if constexpr (__is_same(S, float)) {
    if (d == DType::float32) return store_vector<float, W>(static_cast<float*>(p) + i, from);
    if (d == DType::float16) return store_vector<Half, W>(static_cast<Half*>(p) + i, from);
    if (d == DType::bfloat16) return store_vector<Brain, W>(static_cast<Brain*>(p) + i, from);
  } else {
    const DType own = __is_same(S, double) ? DType::float64 : DType::int64;
    if (d == own) {
      Vector<S, W> y;
      for (int e = 0; e < W; ++e) y.v[e] = from[e];
      *reinterpret_cast<Vector<S, W>*>(static_cast<S*>(p) + i) = y;
      return;
    }
  }
  for (int e = 0; e < W; ++e) store_as<S>(p, i + e, d, from[e]);
}

inline int item_size(DType d) {
  constexpr int sizes[kDTypes] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1, 8, 16};
  return sizes[int(d)];
}
inline bool is_floating(DType d) { return d <= DType::bfloat16; }
inline Compute compute_type(DType d) {
  return d == DType::float64 ? kF64 : is_floating(d) ? kF32 : kI64;
}

}  // namespace lamina::cuda
