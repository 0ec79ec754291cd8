// Matrix products.
#pragma once
#include "ops/apply.h"

namespace lamina {}  // namespace lamina
