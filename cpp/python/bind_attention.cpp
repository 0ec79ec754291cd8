// The functions of ops/attention.h as Python builtins.
#include "ops/attention.h"

#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<scaled_dot_product_attention>("scaled_dot_product_attention", kLower),
    def<attend_cached>("attend_cached"),
};
}  // namespace lamina
