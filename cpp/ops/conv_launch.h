// The three bilinear maps of a convolution over dense memory: y from x and w, dx from dy and w, dw
// from x and dy.
#pragma once
#include <cstdint>

#include "kernels/kernels.h"

namespace lamina {

struct ConvGeometry {
  int64_t N, C, H, W, M, KH, KW, OH, OW, sh, sw, ph, pw, dh, dw, groups;
  int64_t nd;  // 1: tensors have no H dimension (H = KH = OH = 1)
};

// How a convolution is computed. direct: the image is unrolled by tap columns and the product runs
// over it in place; patches: im2col and a matrix product. LAMINA_CONV=direct|im2col forces one.
void conv_forward(const ConvGeometry& a, Compute t, const void* x, const void* w, const void* bias,
                  void* y);
void conv_input_grad(const ConvGeometry& a, Compute t, const void* dy, const void* w, void* dx);
void conv_weight_grad(const ConvGeometry& a, Compute t, const void* x, const void* dy, void* dw);

}  // namespace lamina
