// The functions of ops/sort.h and ops/count.h as Python builtins.
#include "ops/sort.h"

#include "ops/count.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<bincount>("bincount"), def<one_hot>("one_hot"),           def<sort>("sort"),
    def<topk>("topk"),         def<searchsorted>("searchsorted"),
};
}  // namespace lamina
