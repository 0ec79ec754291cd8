// The functions of ops/pool.h as Python builtins.
#include "ops/pool.h"

#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<max_pool>("max_pool"),
    def<adaptive_max_pool>("adaptive_max_pool"),
    def<avg_pool>("avg_pool"),
    def<adaptive_avg_pool>("adaptive_avg_pool"),
};
}  // namespace lamina
