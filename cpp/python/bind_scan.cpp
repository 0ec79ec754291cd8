// The functions of ops/scan.h as Python builtins.
#include "ops/scan.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<cumsum>("cumsum"), def<cumprod>("cumprod"),           def<cummax>("cummax"),
    def<cummin>("cummin"), def<logcumsumexp>("logcumsumexp"),
};
}  // namespace lamina
