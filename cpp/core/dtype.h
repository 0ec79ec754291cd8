// dtypes: names, sizes, kinds, and the promotion table (PyTorch's).
#pragma once
#include "core/error.h"
#include "kernels/kernels.h"

namespace lamina {

constexpr int kItemSize[kDTypes] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1, 8, 16};
constexpr const char* kDTypeName[kDTypes] = {"float32", "float64", "float16",   "bfloat16",
                                             "int64",   "int32",   "int16",     "int8",
                                             "uint8",   "bool",    "complex64", "complex128"};

inline int64_t item_size(DType d) { return kItemSize[int(d)]; }
inline const char* name(DType d) { return kDTypeName[int(d)]; }
inline std::ostream& operator<<(std::ostream& out, DType d) { return out << name(d); }
inline bool is_floating(DType d) { return d <= DType::bfloat16; }
inline bool is_complex(DType d) { return d >= DType::complex64; }
inline bool is_integral(DType d) { return d > DType::bfloat16 && d < DType::boolean; }
// Gradients flow through floats and complex numbers.
inline bool has_gradients(DType d) { return is_floating(d) || is_complex(d); }
// The float type of a complex type's parts, and the complex type whose parts hold a real type.
inline DType part_type(DType d) {
  return d == DType::complex128 ? DType::float64 : d == DType::complex64 ? DType::float32 : d;
}
inline DType complex_type(DType d) {
  return d == DType::float64 || d == DType::complex128 ? DType::complex128 : DType::complex64;
}
// The type arithmetic on d is done in (complex types have kernels of their own).
inline Compute compute_type(DType d) {
  return d == DType::float64 ? kF64 : is_floating(d) ? kF32 : kI64;
}

// The dtype both operands are converted to. Complex beats floats beat integers beat bool; float16
// with bfloat16 gives float32; uint8 with a signed type gives the next wider signed type.
DType promote(DType a, DType b);

DType default_dtype();
void set_default_dtype(DType d);

}  // namespace lamina
