// The functions of ops/softmax.h as Python builtins.
#include "ops/softmax.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<softmax>("softmax"),
    def<log_softmax>("log_softmax"),
    def<cross_entropy>("cross_entropy"),
};
}  // namespace lamina
