// Batches of images out of data sets held in memory.
#pragma once
#include <optional>

#include "ops/apply.h"

namespace lamina {

// y[b, c, i, j] = (x[rows[b], c, ...] / divisor - mean[c]) / std[c], float32 (B, C, h, w).
//   x        uint8 or float32 (N, C, H, W) or (N, H, W), which counts as one channel
//   rows     int64 (B), in [-N, N)
//   stats    float32 (C, 2): mean and std of each channel
//   windows  int64 (B, 4): top, left, flip left-right, flip up-down of a window of height x width
//            (sizes below 1 or no windows: the whole image); pixels outside the image are `fill`,
//            in the units of x
// With divisor 1 and no stats, uint8 images stay uint8 unless `to_float`. No gradient flows.
Tensor gather_batch(const Tensor& x, const Tensor& rows, double divisor,
                    std::optional<Tensor> stats, std::optional<Tensor> windows, int64_t height,
                    int64_t width, double fill, bool to_float);

}  // namespace lamina
