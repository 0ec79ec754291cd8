// The functions of ops/gamma.h as Python builtins.
#include "ops/gamma.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<log_gamma_draw>("log_gamma_draw"),
    def<random_binomial>("random_binomial"),
};
}  // namespace lamina
