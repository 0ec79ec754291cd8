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
    def<tf32_products>("tf32_products"),
    def<set_tf32_products>("set_tf32_products"),
    def<tf32_convolutions>("tf32_convolutions"),
    def<set_tf32_convolutions>("set_tf32_convolutions"),
};
}  // namespace lamina
