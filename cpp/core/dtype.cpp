// The promotion table and the default dtype.
#include "core/dtype.h"

#include <utility>

namespace lamina {

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_complex(a) || is_complex(b)) {
    const bool wide = complex_type(a) == DType::complex128 || complex_type(b) == DType::complex128;
    return wide ? DType::complex128 : DType::complex64;
  }
  const bool fa = is_floating(a), fb = is_floating(b);
  if (fa != fb) return fa ? a : b;
  if (fa) {  // two different floats: the wider, and the two halves meet in float32
    if (a == DType::float64 || b == DType::float64) return DType::float64;
    return DType::float32;
  }
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  if (a == DType::uint8 || b == DType::uint8) {
    const DType other = a == DType::uint8 ? b : a;
    return other == DType::int8 ? DType::int16 : other;
  }
  return item_size(a) > item_size(b) ? a : b;
}

namespace {
DType g_default = DType::float32;
}
DType default_dtype() { return g_default; }
void set_default_dtype(DType d) {
  check(is_floating(d), ErrorKind::type,
        "set_default_dtype: only floating point dtypes are allowed, got ", d,
        "; use float32 or float64");
  g_default = d;
}

}  // namespace lamina
