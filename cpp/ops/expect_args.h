// Arguments of `expect`, for every device.
#pragma once
#include <cstdint>

namespace lamina {

struct ExpectArgs {
  const char* message;  // kept for good
  const char* format;   // the same for printf
  int64_t kind;         // of the error
};

}  // namespace lamina
