// Rows written past the caches. A result larger than the last cache is gone from it before anybody
// reads it, and an ordinary store first reads the line it overwrites: a third of a copy's traffic.
#pragma once
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// p is aligned to a vector.
#if defined(LAMINA_ISA_AVX512)
inline void stream(float* p, F32 v) { _mm512_stream_ps(p, __m512(v)); }
inline void stream(double* p, F64 v) { _mm512_stream_pd(p, __m512d(v)); }
#elif defined(LAMINA_ISA_AVX2)
inline void stream(float* p, F32 v) { _mm256_stream_ps(p, __m256(v)); }
inline void stream(double* p, F64 v) { _mm256_stream_pd(p, __m256d(v)); }
#else
inline void stream(float* p, F32 v) { store(p, v); }
inline void stream(double* p, F64 v) { store(p, v); }
#endif
// y[i] = f(i, n), n elements from i on, for a row of `size`. past: not through the caches; the
// kernel ends with streamed().
template <bool past, class V, class F>
inline void write_row(Scalar<V>* y, int64_t size, F f) {
  constexpr int64_t L = kLanes<V>;
  int64_t i = 0;
  if constexpr (past) {
    const int64_t bytes = -int64_t(reinterpret_cast<uintptr_t>(y)) & int64_t(sizeof(V) - 1);
    const int64_t head = bytes / int64_t(sizeof(Scalar<V>));
    if (head && head < size) {
      store(y, f(0, head), int(head));
      i = head;
    }
    for (; i + L <= size; i += L) stream(y + i, f(i, L));
  } else {
    for (; i + L <= size; i += L) store(y + i, f(i, L));
  }
  if (i < size) store(y + i, f(i, size - i), int(size - i));
}
inline void streamed() {  // other threads see what was streamed
#if defined(LAMINA_ISA_AVX512) || defined(LAMINA_ISA_AVX2)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
