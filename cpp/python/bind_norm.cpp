// The functions of ops/norm.h as Python builtins.
#include "ops/norm.h"

#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<batch_norm>("batch_norm"),
    def<layer_norm>("layer_norm", kFloat32OnCuda),
    def<rms_norm>("rms_norm", kFloat32OnCuda),
    def<group_norm>("group_norm", kFloat32OnCuda),
};
}  // namespace lamina
