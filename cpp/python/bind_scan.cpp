// The functions of ops/scan.h as Python builtins.
#include "ops/scan.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<cumsum>("cumsum", kFloat32OnCuda),
    def<cumprod>("cumprod", kFloat32OnCuda),
    def<cummax>("cummax"),
    def<cummin>("cummin"),
    def<logcumsumexp>("logcumsumexp"),
};
}  // namespace lamina
