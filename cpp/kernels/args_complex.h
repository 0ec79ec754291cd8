// Table entries of the complex kernels (included by kernels.h inside namespace lamina).
#pragma once

// Functions of one or two complex numbers. All give a complex number but kComplexAbs.
enum ComplexFunction : int {
  kComplexMul,
  kComplexDiv,
  kComplexPow,
  kComplexConj,
  kComplexExp,
  kComplexLog,
  kComplexSqrt,
  kComplexSin,
  kComplexCos,
  kComplexTan,
  kComplexSinh,
  kComplexCosh,
  kComplexTanh,
  kComplexAbs,
  kComplexFunctions
};
constexpr int64_t kComplexBlock = 256;  // most elements of one call: planes of 2 kB
// (re, im)[0, n) = f(x0, x1); x holds the operands' planes: re0, im0, re1, im1.
using ComplexFn = void (*)(void* re, void* im, const void* const* x, int64_t n);
// n strided pairs (strides in pairs) to two planes and back.
using SplitFn = void (*)(void* re, void* im, const void* src, int64_t stride, int64_t n);
using JoinFn = void (*)(void* dst, int64_t stride, const void* re, const void* im, int64_t n);

struct ComplexKernels {
  ComplexFn f[kComplexFunctions][2] = {};  // by Compute: float, double
  SplitFn split[2] = {};
  JoinFn join[2] = {};
};
