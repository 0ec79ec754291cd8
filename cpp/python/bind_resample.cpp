// The functions of ops/resample.h as Python builtins.
#include "ops/resample.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{def<resample>("resample", kFloat32OnCuda)};
}  // namespace lamina
