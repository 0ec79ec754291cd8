// The functions of ops/dropout.h as Python builtins.
#include "ops/dropout.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<dropout>("dropout"),
    def<dropout_>("dropout_"),
};
}  // namespace lamina
