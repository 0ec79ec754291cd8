// The functions of ops/fft.h as Python builtins.
#include "ops/fft.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{def<fft_complex>("fft_complex", kFloat32OnCPU),
                             def<fft_to_half>("fft_to_half", kFloat32OnCPU),
                             def<fft_from_half>("fft_from_half", kFloat32OnCPU)};
}  // namespace lamina
