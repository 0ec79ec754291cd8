// A sum whose NaN is the same wherever it is formed.
#pragma once
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// a + b, and of two NaNs the second's sign, as elementwise addition has it: the compiler may
// exchange the operands of a sum.
template <class V>
V sum_of(V a, V b) {
  return select(b != b, b + b, a + b);
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
