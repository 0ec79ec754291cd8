// Conditions on values that a replayed step looks at too.
#pragma once
#include <string>

#include "ops/apply.h"

namespace lamina {

// Throws `message` unless all of ok (boolean, any shape) holds. error: "value", "index", "runtime".
void expect(const Tensor& ok, const std::string& message, const std::string& error);

}  // namespace lamina
