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

// The lanes of v, all in [0, 255], as bytes at p.
inline void store_bytes(uint8_t* p, I32 v) {
#if defined(LAMINA_ISA_AVX512)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(__m512i(v)));
#elif defined(LAMINA_ISA_AVX2)
  const __m128i lo = _mm256_castsi256_si128(__m256i(v)),
                hi = _mm256_extracti128_si256(__m256i(v), 1);
  const __m128i words = _mm_packus_epi32(lo, hi);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
#elif defined(LAMINA_ISA_NEON)
  const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(int32x4_t(v)));
  const uint64_t bytes =
      vget_lane_u64(vreinterpret_u64_u8(vmovn_u16(vcombine_u16(words, words))), 0);
  __builtin_memcpy(p, &bytes, 4);
#elif defined(__SSE2__)
  const __m128i words = _mm_packs_epi32(__m128i(v), __m128i(v));
  const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  __builtin_memcpy(p, &bytes, 4);
#else
  for (int i = 0; i < kLanes<I32>; ++i) p[i] = uint8_t(v[i]);
#endif
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
