// Bytes as vectors of integers. Written with each set's own instructions: GCC takes
// __builtin_convertvector between vectors of so different widths apart into scalars (measured: 20
// times slower).
#pragma once
#include "kernels/vec.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(LAMINA_ISA_NEON)
#include <arm_neon.h>
#endif

namespace lamina::LAMINA_ISA {
namespace {

// As many bytes at p as I32 has lanes, zero-extended.
inline I32 load_bytes(const uint8_t* p) {
#if defined(LAMINA_ISA_AVX512)
  return I32(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(LAMINA_ISA_AVX2)
  return I32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  uint32_t word;
  __builtin_memcpy(&word, p, 4);
#if defined(LAMINA_ISA_NEON)
  return I32(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(word))))));
#elif defined(__SSE2__)
  const __m128i zero = _mm_setzero_si128(), bytes = _mm_cvtsi32_si128(int(word));
  return I32(_mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero));
#else
  return I32{p[0], p[1], p[2], p[3]};
#endif
#endif
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
