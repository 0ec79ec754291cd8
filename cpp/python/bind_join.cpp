// The functions of ops/join.h as Python builtins.
#include "ops/join.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<cat>("cat", kWidestOnCPU),
    def<stack>("stack", kWidestOnCPU),
    def<flip>("flip"),
    def<roll>("roll"),
    def<repeat>("repeat"),
    def<pad>("pad"),
    def<tril>("tril"),
    def<triu>("triu"),
    def<diag_embed>("diag_embed"),
};
}  // namespace lamina
