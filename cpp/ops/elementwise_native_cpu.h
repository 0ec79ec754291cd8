// Elementwise functions in the storage type itself, without going through a compute type's blocks:
// arithmetic modulo 2^bits of int32, int16, int8 and uint8, comparisons of any numbers into bool,
// logic of bool, where() of any type. y[i] = f(x0[i], x1[i], x2[i]; p), all arrays dense; y may be
// one of the x, and is of the inputs' type or bool. Only functions whose value modulo 2^bits
// depends on the operands modulo 2^bits stand here, so the result is what int64 would give.
// gather[k] copies n elements of 2^k bytes that lie `stride` apart into a dense array.
// Cost: one read of each input, one write.
#pragma once
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
constexpr T constant(double v);

// A number of storage type T; integers wrap.
template <class T>
struct Native {
  T v;
};
template <class T>
struct Unsigned {  // wide enough that C++ does not promote it to int before a product
  using U = uint32_t;
};
template <>
struct Unsigned<int64_t> {
  using U = uint64_t;
};
#define LAMINA_NATIVE(T)                                               \
  template <>                                                          \
  [[maybe_unused]] constexpr Native<T> constant<Native<T>>(double v) { \
    return {T(int64_t(v))};                                            \
  }
LAMINA_NATIVE(float)
LAMINA_NATIVE(double)
LAMINA_NATIVE(int64_t)
LAMINA_NATIVE(int32_t)
LAMINA_NATIVE(int16_t)
LAMINA_NATIVE(int8_t)
LAMINA_NATIVE(uint8_t)
#undef LAMINA_NATIVE
#define LAMINA_WRAP(op)                                       \
  template <class T>                                          \
  constexpr Native<T> operator op(Native<T> a, Native<T> b) { \
    using U = typename Unsigned<T>::U;                        \
    return {T(U(a.v) op U(b.v))};                             \
  }
LAMINA_WRAP(+)
LAMINA_WRAP(-)
LAMINA_WRAP(*)
#undef LAMINA_WRAP
#define LAMINA_COMPARE(op)                               \
  template <class T>                                     \
  constexpr bool operator op(Native<T> a, Native<T> b) { \
    return a.v op b.v;                                   \
  }
LAMINA_COMPARE(==)
LAMINA_COMPARE(!=)
LAMINA_COMPARE(<)
LAMINA_COMPARE(<=)
LAMINA_COMPARE(>)
LAMINA_COMPARE(>=)
#undef LAMINA_COMPARE
template <class T>
constexpr Native<T> operator-(Native<T> a) {
  return Native<T>{} - a;
}
template <class T>
constexpr Native<T> select(bool m, Native<T> a, Native<T> b) {
  return {m ? a.v : b.v};
}
template <class T>
constexpr Native<T> min(Native<T> a, Native<T> b) {
  return {a.v < b.v ? a.v : b.v};
}
template <class T>
constexpr Native<T> max(Native<T> a, Native<T> b) {
  return {a.v > b.v ? a.v : b.v};
}
template <class T>
constexpr Native<T> bitwise_not(Native<T> a) {
  return {T(~a.v)};
}
template <class T>
constexpr Native<T> bitwise_and(Native<T> a, Native<T> b) {
  return {T(a.v & b.v)};
}
template <class T>
constexpr Native<T> bitwise_or(Native<T> a, Native<T> b) {
  return {T(a.v | b.v)};
}
template <class T>
constexpr Native<T> bitwise_xor(Native<T> a, Native<T> b) {
  return {T(a.v ^ b.v)};
}

}  // namespace
}  // namespace lamina::LAMINA_ISA

#include "kernels/formulas.h"

namespace lamina::LAMINA_ISA {
namespace {

// O: the result's storage type. A bool is a byte: 0 or 1 as a result (`truth`), while as an input
// (`masks`) any but 0 is true.
template <class F, class T, class O, bool truth, bool masks>
void native(void* y, const void* const* x, int64_t n, const double* q) {
  const Params p{q[0], q[1], q[2]};
  O* out = static_cast<O*>(y);
  const T *a = static_cast<const T*>(x[0]), *b = static_cast<const T*>(x[1]);
  auto f = [p](T u, T v) -> O {
    if (masks) u = u != 0, v = v != 0;
    Native<T> r;
    if constexpr (F::inputs == 1)
      r = F::template value<Native<T>>({u}, p);
    else
      r = F::template value<Native<T>>({u}, {v}, p);
    return truth ? O(r.v != 0) : O(r.v);
  };
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i], F::inputs > 1 ? b[i] : T());
}
// y = b where the byte a is not zero, else c.
template <class T>
void native_where(void* y, const void* const* x, int64_t n, const double*) {
  T* out = static_cast<T*>(y);
  const uint8_t* a = static_cast<const uint8_t*>(x[0]);
  const T *b = static_cast<const T*>(x[1]), *c = static_cast<const T*>(x[2]);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] ? b[i] : c[i];
}
template <class T>
void native_gather(void* dst, const void* src, int64_t stride, int64_t n) {
  T* d = static_cast<T*>(dst);
  const T* s = static_cast<const T*>(src);
  if (stride == 0) {
    const T v = *s;
    for (int64_t i = 0; i < n; ++i) d[i] = v;
  } else {
    for (int64_t i = 0; i < n; ++i) d[i] = s[i * stride];
  }
}

constexpr int kNativeLog2[] = {2, 3, 1, 1, 3, 2, 1, 0, 0, 0};  // of a dtype's size, by DType

template <class F, class... All>
constexpr int native_position(List<All...>) {
  int at = 0;
  bool found = false;
  ((found = found || __is_same(F, All), at += !found), ...);
  return at;
}
template <bool truth, class T>
struct Stored {
  using O = T;
};
template <class T>
struct Stored<true, T> {
  using O = uint8_t;
};
template <class T, bool truth, bool masks = false, class... F>
void native_fill(Kernels& k, DType d, List<F...>) {
  using O = typename Stored<truth, T>::O;
  ((k.elementwise_native[native_position<F>(AllElementwise{})][int(d)] =
        native<F, T, O, truth, masks>),
   ...);
}
using Wrapping = List<Add, Sub, Mul, Neg, Square, Maximum, Minimum, BitwiseNot, BitwiseAnd,
                      BitwiseOr, BitwiseXor>;
using Logic = List<Add, Mul, Maximum, Minimum, BitwiseAnd, BitwiseOr, BitwiseXor>;
using Compares = List<Eq, Ne, Lt, Le, Gt, Ge, LogicalNot, LogicalAnd, LogicalOr, LogicalXor>;

template <class T>
void native_whole(Kernels& k, DType d) {
  native_fill<T, false>(k, d, Wrapping{});
  native_fill<T, true>(k, d, Compares{});
}

}  // namespace

void fill_elementwise_native(Kernels& k) {
  native_whole<int32_t>(k, DType::int32);
  native_whole<int16_t>(k, DType::int16);
  native_whole<int8_t>(k, DType::int8);
  native_whole<uint8_t>(k, DType::uint8);
  native_fill<int64_t, true>(k, DType::int64, Compares{});
  native_fill<float, true>(k, DType::float32, Compares{});
  native_fill<double, true>(k, DType::float64, Compares{});
  native_fill<uint8_t, true, true>(k, DType::boolean, Compares{});
  native_fill<uint8_t, true, true>(k, DType::boolean, Logic{});
  const BlockFn where[4] = {native_where<uint8_t>, native_where<uint16_t>, native_where<uint32_t>,
                            native_where<uint64_t>};
  for (int d = 0; d <= int(DType::boolean); ++d)
    k.elementwise_native[kWhere][d] = where[kNativeLog2[d]];
  k.gather[0] = native_gather<uint8_t>;
  k.gather[1] = native_gather<uint16_t>;
  k.gather[2] = native_gather<uint32_t>;
  k.gather[3] = native_gather<uint64_t>;
}

}  // namespace lamina::LAMINA_ISA
