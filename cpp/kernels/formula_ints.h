// The vocabulary of formulas.h for integers, on the CPU and on a GPU.
// (No include guard: each reading of it has its own LAMINA_ISA.)
#include <stdint.h>

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
constexpr T constant(double v);

// An integer modulo 2^64.
struct Int {
  int64_t v;
};
template <>
constexpr Int constant<Int>(double v) {
  return {int64_t(v)};
}
constexpr Int wrapped(uint64_t v) { return {int64_t(v)}; }
constexpr Int operator+(Int a, Int b) { return wrapped(uint64_t(a.v) + uint64_t(b.v)); }
constexpr Int operator-(Int a, Int b) { return wrapped(uint64_t(a.v) - uint64_t(b.v)); }
constexpr Int operator*(Int a, Int b) { return wrapped(uint64_t(a.v) * uint64_t(b.v)); }
constexpr Int operator-(Int a) { return wrapped(0 - uint64_t(a.v)); }
constexpr bool operator==(Int a, Int b) { return a.v == b.v; }
constexpr bool operator!=(Int a, Int b) { return a.v != b.v; }
constexpr bool operator<(Int a, Int b) { return a.v < b.v; }
constexpr bool operator<=(Int a, Int b) { return a.v <= b.v; }
constexpr bool operator>(Int a, Int b) { return a.v > b.v; }
constexpr bool operator>=(Int a, Int b) { return a.v >= b.v; }
constexpr Int select(bool m, Int a, Int b) { return m ? a : b; }
constexpr Int abs(Int x) { return x.v < 0 ? -x : x; }
constexpr Int sign(Int x) { return {(x.v > 0) - (x.v < 0)}; }
constexpr Int min(Int a, Int b) { return a < b ? a : b; }
constexpr Int max(Int a, Int b) { return a > b ? a : b; }
constexpr Int floor(Int x) { return x; }
constexpr Int ceil(Int x) { return x; }
constexpr Int trunc(Int x) { return x; }
constexpr Int round(Int x) { return x; }
constexpr Int sqrt(Int x) { return x; }  // pow_scalar on integers never asks for these two
constexpr Int operator/(Int a, Int) { return a; }
constexpr Int signbit(Int x) { return {x.v < 0}; }
constexpr Int bitwise_not(Int x) { return {~x.v}; }
constexpr Int bitwise_and(Int a, Int b) { return {a.v & b.v}; }
constexpr Int bitwise_or(Int a, Int b) { return {a.v | b.v}; }
constexpr Int bitwise_xor(Int a, Int b) { return {a.v ^ b.v}; }
constexpr Int shift_left(Int a, Int b) {
  return b.v < 0 || b.v > 63 ? Int{0} : wrapped(uint64_t(a.v) << b.v);
}
constexpr Int shift_right(Int a, Int b) { return {a.v >> (b.v < 0 || b.v > 63 ? 63 : b.v)}; }
constexpr Int fmod(Int a, Int b) { return {b.v == 0 || b.v == -1 ? 0 : a.v % b.v}; }
// Corrections without a branch: signs and rests are anyone's guess, and a wrong guess costs as much
// as the division.
constexpr Int remainder(Int a, Int b) {  // the sign of b
  const Int r = fmod(a, b);
  return r + b * Int{int64_t((r.v ^ b.v) < 0) & int64_t(r.v != 0)};
}
constexpr Int floor_divide(Int a, Int b) {
  if (b.v == 0) return {0};
  if (b.v == -1) return -a;
  const int64_t q = a.v / b.v;
  return {q - (int64_t((a.v ^ b.v) < 0) & int64_t(q * b.v != a.v))};
}
constexpr Int pow(Int base, Int e) {
  if (e.v < 0) return {base.v == 1 ? 1 : base.v == -1 ? (e.v & 1 ? -1 : 1) : 0};
  Int r{1};
  for (int64_t k = e.v; k; k >>= 1, base = base * base)
    if (k & 1) r = r * base;
  return r;
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
