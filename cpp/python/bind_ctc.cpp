// The functions of ops/ctc.h as Python builtins.
#include "ops/ctc.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{def<ctc_loss>("ctc_loss", kFloat32)};
}  // namespace lamina
