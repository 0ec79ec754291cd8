// The functions of ops/softmax.h and ops/nll_loss.h as Python builtins.
#include "ops/softmax.h"

#include "ops/nll_loss.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<softmax>("softmax", kFloat32OnCuda),
    def<log_softmax>("log_softmax", kFloat32OnCuda),
    def<cross_entropy>("cross_entropy", kFloat32),
    def<nll_loss>("nll_loss", kFloat32),
};
}  // namespace lamina
