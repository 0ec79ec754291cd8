// The functions of ops/conv.h as Python builtins.
#include "ops/conv.h"

#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<conv>("conv", kLower),
    def<conv_transpose>("conv_transpose", kLower),
    def<unfold>("unfold_patches"),
    def<fold>("fold_patches"),
    def<float32_precision>("float32_precision"),
    def<set_float32_precision>("set_float32_precision"),
};
}  // namespace lamina
