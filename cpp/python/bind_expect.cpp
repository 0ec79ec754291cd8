// expect: conditions on values.
#include "ops/expect.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<expect>("expect"),
};
}  // namespace lamina
