// What every instruction set shares: types, and functions the compiler lowers well by itself.
// Included by vec_<isa>.h after it has set LAMINA_VEC_BYTES.
#pragma once

namespace lamina::LAMINA_ISA {
namespace {

typedef float F32 __attribute__((vector_size(LAMINA_VEC_BYTES)));
typedef int32_t I32 __attribute__((vector_size(LAMINA_VEC_BYTES)));
typedef double F64 __attribute__((vector_size(LAMINA_VEC_BYTES)));
typedef int64_t I64 __attribute__((vector_size(LAMINA_VEC_BYTES)));
typedef uint32_t U32 __attribute__((vector_size(LAMINA_VEC_BYTES)));
typedef uint64_t U64 __attribute__((vector_size(LAMINA_VEC_BYTES)));
// The same without an alignment demand, for plain loads and stores.
typedef float F32u __attribute__((vector_size(LAMINA_VEC_BYTES), aligned(4)));
typedef int32_t I32u __attribute__((vector_size(LAMINA_VEC_BYTES), aligned(4)));
typedef double F64u __attribute__((vector_size(LAMINA_VEC_BYTES), aligned(8)));
typedef int64_t I64u __attribute__((vector_size(LAMINA_VEC_BYTES), aligned(8)));

template <class V>
struct VecInfo;
template <>
struct VecInfo<F32> {
  using T = float;
  using Mask = I32;
  using U = F32u;
};
template <>
struct VecInfo<I32> {
  using T = int32_t;
  using Mask = I32;
  using U = I32u;
};
template <>
struct VecInfo<F64> {
  using T = double;
  using Mask = I64;
  using U = F64u;
};
template <>
struct VecInfo<I64> {
  using T = int64_t;
  using Mask = I64;
  using U = I64u;
};
template <class V>
using Scalar = typename VecInfo<V>::T;
template <class V>
using Mask = typename VecInfo<V>::Mask;
template <class V>
constexpr int kLanes = int(sizeof(V) / sizeof(Scalar<V>));
// The vector of a scalar type: VecOf<float>::V.
template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  using V = F32;
};
template <>
struct VecOf<double> {
  using V = F64;
};

template <class V>
inline V set1(Scalar<V> s) {
  return s - V{};  // one broadcast: s - 0 is s, also for -0
}
template <class V>
inline V load(const Scalar<V>* p) {
  return *reinterpret_cast<const typename VecInfo<V>::U*>(p);
}
template <class V>
inline void store(Scalar<V>* p, V v);
inline void store(float* p, F32 v) { *reinterpret_cast<F32u*>(p) = v; }
inline void store(double* p, F64 v) { *reinterpret_cast<F64u*>(p) = v; }
inline void store(int32_t* p, I32 v) { *reinterpret_cast<I32u*>(p) = v; }
inline void store(int64_t* p, I64 v) { *reinterpret_cast<I64u*>(p) = v; }

template <class M, class V>
inline V select(M m, V a, V b) {
  return m ? a : b;
}

inline I32 bits(F32 v) { return I32(v); }
inline I64 bits(F64 v) { return I64(v); }
inline F32 from_bits(I32 v) { return F32(v); }
inline F64 from_bits(I64 v) { return F64(v); }
inline F32 abs(F32 v) { return F32(I32(v) & 0x7fffffff); }
inline F64 abs(F64 v) { return F64(I64(v) & 0x7fffffffffffffffll); }
inline F32 to_float(I32 v) { return __builtin_convertvector(v, F32); }
inline F64 to_float(I64 v) { return __builtin_convertvector(v, F64); }

// Fixed trees: halves are added until one lane is left.
template <class V, class F>
inline Scalar<V> fold(V v, F f) {
  Scalar<V> x[kLanes<V>];
  store(x, v);
  for (int n = kLanes<V> / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) x[i] = f(x[i], x[i + n]);
  return x[0];
}
template <class V>
inline Scalar<V> hsum(V v) {
  return fold(v, [](auto a, auto b) { return a + b; });
}
template <class V>
inline Scalar<V> hmax(V v) {
  return fold(v, [](auto a, auto b) { return a > b ? a : b; });
}
template <class V>
inline Scalar<V> hmin(V v) {
  return fold(v, [](auto a, auto b) { return a < b ? a : b; });
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
