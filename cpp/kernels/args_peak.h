// Table entry of the machine's peak (included by kernels.h inside namespace lamina).
#pragma once

struct PeakKernels {
  // Runs `steps` rounds of independent multiply-adds from registers; returns their floating-point
  // operations. `out` gets a value that depends on all of them.
  double (*multiply_adds)(int64_t steps, float* out) = nullptr;
};
