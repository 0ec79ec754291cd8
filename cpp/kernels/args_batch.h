// Arguments and table entries of the kernels that make batches of images (included by kernels.h
// inside namespace lamina).
#pragma once

struct BatchArgs {
  const void* x;           // (N, C, H, W)
  void* y;                 // (B, C, h, w)
  const int64_t* rows;     // (B): images of x, in [-N, N)
  const int64_t* windows;  // (B, 4): top, left, flip left-right, flip up-down; or null: all of it
  const float* stats;      // (C, 2): mean, std; or null
  int64_t N, C, H, W, h, w;
  float divisor;  // 1: none
  float fill;     // pixels of a window outside the image, in the units of x
};
// Planes [begin, end) of the B * C planes of y.
using BatchFn = void (*)(const BatchArgs& a, int64_t begin, int64_t end);

struct BatchKernels {
  BatchFn bytes_to_float = nullptr;
  BatchFn float_to_float = nullptr;
  BatchFn bytes = nullptr;  // uint8 to uint8, no arithmetic
};
