// Reads of 16 bytes.
#pragma once
#include "number.h"

namespace lamina::cuda {

// 16 bytes of S.
template <class S>
struct alignas(16) Chunk {
  static constexpr int n = 16 / int(sizeof(S));
  S v[n];
};
// Elements [k, k + n) of a row of K elements, zeros past its end; null: all zeros.
template <class S>
__device__ inline Chunk<S> chunk_of(const S* row, int64_t k, int64_t K, bool aligned) {
  Chunk<S> c;
  if (row && aligned && k + Chunk<S>::n <= K) return *reinterpret_cast<const Chunk<S>*>(row + k);
#pragma unroll
  for (int i = 0; i < Chunk<S>::n; ++i) c.v[i] = row && k + i < K ? row[k + i] : S(0);
  return c;
}
// Whether every row of an array (rows `row` elements apart) begins at a multiple of 16 bytes.
template <class S>
bool chunks_fit(const void* p, int64_t row) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && row * int64_t(sizeof(S)) % 16 == 0;
}

}  // namespace lamina::cuda
