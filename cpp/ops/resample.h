// Resizing along one dimension: nearest, linear or cubic interpolation, or filtered (antialiased).
#pragma once
#include "ops/apply.h"

namespace lamina {

// y[.., i, ..] = sum over taps of w x[.., j, ..] along `dim`, of `size` outputs. kind: "nearest",
// "nearest-exact", "linear", "cubic" (the kernel of Keys, 1981, with a = -0.75), or "linear-aa" and
// "cubic-aa" (a = -0.5; the kernel widened by the scale, normalised). scale: inputs per output, or
// 0 for n / size. align: first and last elements correspond.
Tensor resample(const Tensor& x, int64_t dim, int64_t size, const std::string& kind, double scale,
                bool align);

}  // namespace lamina
