// Merging dimensions that every operand crosses evenly.
#include "ops/strided.h"

#include <utility>

namespace lamina {

void StridedLoop::merge() {
  int kept = 0;  // drop dimensions of size 1
  for (int d = 0; d < nd; ++d) {
    if (shape[d] == 1) continue;
    shape[kept] = shape[d];
    for (int i = 0; i < operands; ++i) strides[i][kept] = strides[i][d];
    ++kept;
  }
  nd = kept;
  if (nd == 0) {
    shape[0] = 1;
    for (int i = 0; i < operands; ++i) strides[i][0] = 0;
    nd = 1;
    return;
  }
  // Order by the output's strides, largest first, so that it is written in memory order.
  for (int a = 1; a < nd; ++a)
    for (int d = a; d > 0 && strides[0][d - 1] < strides[0][d]; --d) {
      std::swap(shape[d - 1], shape[d]);
      for (int i = 0; i < operands; ++i) std::swap(strides[i][d - 1], strides[i][d]);
    }
  int at = 0;  // merge d into `at` when every operand steps over it evenly
  for (int d = 1; d < nd; ++d) {
    bool even = true;
    for (int i = 0; i < operands; ++i)
      if (strides[i][at] != shape[d] * strides[i][d]) even = false;
    if (even) {
      shape[at] *= shape[d];
      for (int i = 0; i < operands; ++i) strides[i][at] = strides[i][d];
    } else {
      ++at;
      shape[at] = shape[d];
      for (int i = 0; i < operands; ++i) strides[i][at] = strides[i][d];
    }
  }
  nd = at + 1;
}

}  // namespace lamina
