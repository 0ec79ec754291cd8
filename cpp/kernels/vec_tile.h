// How many rows a tile of sums in registers has whose rows are two vectors: two accumulators a row,
// the two vectors and one broadcast fit the registers, 32 of them on AVX-512 and NEON, 16 on AVX2
// and SSE2 (which needs one more for the product).
#pragma once

namespace lamina::LAMINA_ISA {
namespace {

#if defined(LAMINA_ISA_AVX512)
constexpr int kPairRows = 14;
#elif defined(LAMINA_ISA_NEON)
constexpr int kPairRows = 12;
#elif defined(LAMINA_ISA_AVX2)
constexpr int kPairRows = 6;
#else
constexpr int kPairRows = 4;
#endif

}  // namespace
}  // namespace lamina::LAMINA_ISA
