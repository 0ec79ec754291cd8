// Which elements dropout keeps, from Philox words that are never stored.
//
// An element is kept when a uniform 32-bit integer u is at least T = p 2^32. Its high 16 bits come
// from a Philox word that serves two elements; only where they equal those of T (one element in
// 65536) are the low bits looked at, from the block with the same number and counter word 2 = 1.
// Layout: 8 blocks (see vec_philox.h) serve a group of 64 elements. Element r of a group belongs to
// words 0-1 (r < 32) or 2-3 of the blocks; the lanes of those words, as wide as an element, are
// used field by field, 16 bits each.
#pragma once
#include "kernels/vec_philox.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
struct Unsigned;
template <>
struct Unsigned<F32> {
  using Word = U32;
};
template <>
struct Unsigned<F64> {
  using Word = U64;
};

constexpr int kDropoutGroup = 64;

// f(where, keep) for the vectors of the group that starts at `block`: keep is the mask of elements
// where ... where + lanes - 1. threshold: p 2^32.
template <class V, class F>
inline void dropout_group(const RoundKeys& keys, uint64_t block, uint64_t threshold, F f) {
  using T = Scalar<V>;
  using Word = typename Unsigned<V>::Word;
  using Lane = Mask<V>;  // signed integers as wide as T
  constexpr int fields = int(sizeof(T)) / 2, run = 32 / fields, per_word = 8 / int(sizeof(T));
  const int64_t high = int64_t(threshold >> 16), low = int64_t(threshold & 0xffff);
  philox_group(keys, block, [&](int at, BlockWords w) {
    for (int half = 0; half < 2; ++half) {
      const Word words = Word(half ? w.w23 : w.w01);
      for (int field = 0; field < fields; ++field) {
        const Lane u = Lane((words >> (16 * field)) & 0xffff);
        Lane keep = u > Lane{} + Scalar<Lane>(high);
        const Lane tie = u == Lane{} + Scalar<Lane>(high);
        if (__builtin_expect(any(tie), 0)) {
          const BlockWords more =
              philox(keys, lane_numbers() + (block + uint64_t(at)), U64{} + uint64_t(1));
          const Word rest = Word(half ? more.w23 : more.w01);
          keep |= tie & (Lane((rest >> (16 * field)) & 0xffff) >= Lane{} + Scalar<Lane>(low));
        }
        f(half * 32 + field * run + at * per_word, keep);
      }
    }
  });
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
