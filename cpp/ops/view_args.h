// Arguments of the ops that join, cut and rearrange tensors, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct JoinArgs {
  int64_t dim;
};
struct SliceGradArgs {
  int64_t dim, start, step, size;
};

struct FlipArgs {
  uint32_t mask;  // bit d: dimension d is reversed
};

struct RollArgs {
  int64_t dim, shift;  // 0 <= shift < size
};

struct TriangleArgs {
  int64_t diagonal;
  bool lower;
};

struct DiagEmbedArgs {
  int64_t offset, dim1, dim2;
};

enum PadMode : int64_t { kConstant, kReflect, kReplicate, kCircular };
struct PadArgs {
  int8_t n;  // dimensions padded: the last n
  int8_t mode;
  int64_t before[12], after[12];  // [i]: of dimension dim() - 1 - i
  double value;
};

}  // namespace lamina
