// The functions of ops/grid.h as Python builtins.
#include "ops/grid.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{def<grid_sample>("grid_sample", {Cast::float32, Cast::widest})};
}  // namespace lamina
