// Vectors of float and double: the same functions for every instruction set.
//
// F32, F64 are GCC/Clang vector types of the set's width, so + - * / and comparisons are the
// language's own (a comparison gives an I32/I64 mask of 0 or -1). Loads and stores of n < lanes
// elements are masked: nothing past the end is touched, and an element gets the same bits
// wherever it sits. Everything lives in an anonymous namespace inside the set's own.
#pragma once
#include <stdint.h>

#if defined(LAMINA_ISA_AVX512)
#include "kernels/vec_avx512.h"
#elif defined(LAMINA_ISA_AVX2)
#include "kernels/vec_avx2.h"
#elif defined(LAMINA_ISA_NEON)
#include "kernels/vec_neon.h"
#else
#include "kernels/vec_generic.h"
#endif
