// The elementwise functions of doubles (a file of its own: they take long to compile).
#include "elementwise.h"

namespace lamina::cuda {

const ElementwiseTable& elementwise_doubles() {
  static const ElementwiseTable t = filled_table<double>();
  return t;
}

}  // namespace lamina::cuda
