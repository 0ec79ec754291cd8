// Any CPU: 4 floats or 2 doubles through the compiler's vector types (SSE2 on plain x86-64). No
// fused multiply-add is assumed: fma() is a product and a sum.
#pragma once
#define LAMINA_VEC_BYTES 16
#include "kernels/vec_base.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
inline V load(const Scalar<V>* p, int n, Scalar<V> fill = 0) {
  V v = V{};
  for (int i = 0; i < kLanes<V>; ++i) v[i] = i < n ? p[i] : fill;
  return v;
}
template <class V>
inline void store_part(Scalar<V>* p, V v, int n) {
  for (int i = 0; i < kLanes<V> && i < n; ++i) p[i] = v[i];
}
inline void store(float* p, F32 v, int n) { store_part(p, v, n); }
inline void store(double* p, F64 v, int n) { store_part(p, v, n); }
inline void store(int32_t* p, I32 v, int n) { store_part(p, v, n); }

inline F32 fma(F32 a, F32 b, F32 c) { return a * b + c; }
inline F64 fma(F64 a, F64 b, F64 c) { return a * b + c; }
inline F32 fnma(F32 a, F32 b, F32 c) { return c - a * b; }
inline F64 fnma(F64 a, F64 b, F64 c) { return c - a * b; }
template <class V, class F>
inline V each(V v, F f) {
  V r;
  for (int i = 0; i < kLanes<V>; ++i) r[i] = f(v[i]);
  return r;
}
inline F32 sqrt(F32 v) {
  return each(v, [](float x) { return __builtin_sqrtf(x); });
}
inline F64 sqrt(F64 v) {
  return each(v, [](double x) { return __builtin_sqrt(x); });
}
template <class V>
inline V min(V a, V b) {
  return a < b ? a : b;
}
template <class V>
inline V max(V a, V b) {
  return a > b ? a : b;
}
// |v| < 2^23 (2^52) has fraction bits; adding and taking away 1.5 * 2^23 rounds half to even.
inline F32 round(F32 v) {
  const F32 magic = set1<F32>(8388608.0f), a = abs(v);
  const F32 r = from_bits(bits((a + magic) - magic) | (bits(v) & bits(set1<F32>(-0.0f))));
  return a < magic ? r : v;
}
inline F64 round(F64 v) {
  const F64 magic = set1<F64>(4503599627370496.0), a = abs(v);
  const F64 r = from_bits(bits((a + magic) - magic) | (bits(v) & bits(set1<F64>(-0.0))));
  return a < magic ? r : v;
}
template <class V>
inline V floor(V v) {
  const V r = round(v);
  const V one = set1<V>(1), zero = V{};
  return r - (r > v ? one : zero);
}
template <class V>
inline V ceil(V v) {
  const V r = round(v);
  const V one = set1<V>(1), zero = V{};
  return r + (r < v ? one : zero);
}
template <class V>
inline V trunc(V v) {
  return v < V{} ? ceil(v) : floor(v);
}
inline I32 to_int(F32 v) { return __builtin_convertvector(round(v), I32); }
inline I64 to_int(F64 v) { return __builtin_convertvector(round(v), I64); }
template <class M>
inline bool any(M m) {
  for (int i = 0; i < kLanes<M>; ++i)
    if (m[i]) return true;
  return false;
}
template <class M>
inline bool all(M m) {
  for (int i = 0; i < kLanes<M>; ++i)
    if (!m[i]) return false;
  return true;
}
inline F32 gather(const float* base, I32 index) {
  F32 r;
  for (int i = 0; i < kLanes<F32>; ++i) r[i] = base[index[i]];
  return r;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
