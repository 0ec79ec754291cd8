// Arguments of the random ops, for every device. The key of a draw is the first member, so that
// whoever replays a call can give it other blocks of the generator.
#pragma once
#include "core/random.h"
#include "kernels/kernels.h"
#include "ops/packed_dims.h"

namespace lamina {

struct DrawArgs {
  PhiloxKey key;
  int32_t kind;  // RandomKind, or -1: integers
  DType dtype;   // float32, float64 or int64
  double a, b;
  int64_t low;
  uint64_t range;
  PackedDims shape;
};
struct OwnStreams {  // value i draws from block offset + i
  PhiloxKey key;
};
struct PermutationArgs {
  PhiloxKey key;
  int64_t n;
};
struct MultinomialArgs {
  PhiloxKey key;
  int64_t count;
  int64_t replacement;
};
constexpr int64_t kMultinomialPiece = 256;  // weights summed on their own, then the pieces' sums

}  // namespace lamina
