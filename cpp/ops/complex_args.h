// Arguments of the functions of complex numbers, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct ComplexArgs {
  int f;  // ComplexFunction
};

}  // namespace lamina
