// The functions of ops/batch.h as Python builtins.
#include "ops/batch.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{def<gather_batch>("gather_batch")};
}  // namespace lamina
