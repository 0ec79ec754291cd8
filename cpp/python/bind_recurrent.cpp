// The functions of ops/recurrent.h as Python builtins.
#include "ops/recurrent.h"

#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<recurrent_layer>("recurrent_layer", kLower),
};
}  // namespace lamina
