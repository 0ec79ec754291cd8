// The elementwise functions of floats (a file of its own: they take long to compile).
#include "elementwise.h"

namespace lamina::cuda {

const ElementwiseTable& elementwise_floats() {
  static const ElementwiseTable t = filled_table<float>();
  return t;
}

}  // namespace lamina::cuda
