// The functions of ops/sort.h as Python builtins.
#include "ops/sort.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<sort>("sort"),
    def<topk>("topk"),
    def<searchsorted>("searchsorted"),
};
}  // namespace lamina
