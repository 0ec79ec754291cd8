// Sampling of images and volumes at given points.
#pragma once
#include "ops/apply.h"

namespace lamina {

// y[n, c, p] = x[n, c] at the point grid[n, p], multilinear between the nearest elements or
// ("nearest") the nearest one. x (N, C, D, H, W) or (N, C, H, W); grid (N, .., nd) in [-1, 1], x
// first; padding: "zeros", "border" or "reflection"; align: -1 and 1 are the centres of the end
// elements, else their outer edges.
Tensor grid_sample(const Tensor& x, const Tensor& grid, const std::string& mode,
                   const std::string& padding, bool align);

}  // namespace lamina
