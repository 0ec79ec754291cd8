// The elementwise functions of integers (a file of its own: they take long to compile).
#include "elementwise.h"

namespace lamina::cuda {

const ElementwiseTable& elementwise_ints() {
  static const ElementwiseTable t = filled_table<Int>();
  return t;
}

}  // namespace lamina::cuda
