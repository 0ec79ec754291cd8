// Convolution (cross-correlation, as in PyTorch) over the last one, two or three dimensions.
#pragma once
#include <optional>

#include "ops/apply.h"
#include "ops/norm_args.h"

namespace lamina {

// What set_float32_matmul_precision allows: 0 "highest", 1 "high", 2 "medium". From "high" on, 3x3
// convolutions of stride 1 go by tiles of 4 x 4 outputs (conv_winograd.cpp): faster, with about 20
// times the rounding errors of direct float32. Read when a convolution is called; its gradients
// follow.
int64_t float32_precision();
void set_float32_precision(int64_t level);
// Whether devices may compute float32 matrix products (from "high" on) and convolutions with
// operands rounded to TF32.
bool tf32_products();
void set_tf32_products(bool allowed);
bool tf32_convolutions();
void set_tf32_convolutions(bool allowed);

// y[n, m, i, j] = bias[m] + sum over c, r, s of w[m, c, r, s] x[n, g C/groups + c, i sh + r dh -
// ph, j sw + s dw - pw], g the group of m. x: (N, C, H, W) or (C, H, W); w: (M, C/groups, KH, KW),
// both without H for nd = 1. stride, padding, dilation: one number or nd. same: padding is chosen
// so that the output has the input's size (one more after than before when that is odd).
Tensor conv(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias, int64_t nd,
            const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups,
            bool same);
bool is_conv(const Op& op);
// For plans: makes a recorded call of `conv` take relu too; false: it is another op, or it does.
bool extend_conv(const Op& op, void* args);
// The same for a batch norm by given statistics, with what that does besides: its weight, bias,
// mean and variance become inputs 3 to 6, its summand input 7 (input 2, the bias, may be
// undefined).
bool extend_conv(const Op& op, void* args, double eps, BatchNormExtra more);
// For plans: how many elements the weight has as a `conv` on the CPU reads it without work of its
// own (0: it is another op, or that brings nothing); this made of the weight; and the call made to
// read it (undefined: to read the weight itself). The bits are the same.
int64_t conv_panels(const Call& c);
void make_conv_panels(const Call& c, const Tensor& to);
void set_conv_panels(Call& c, const Tensor& panels);
// The transposed map: conv's gradient with respect to x, applied to x. w: (C, M/groups, KH, KW).
Tensor conv_transpose(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
                      int64_t nd, const Dims& stride, const Dims& padding,
                      const Dims& output_padding, int64_t groups, const Dims& dilation);

// Both over (N, C, D, H, W) or (C, D, H, W), by planes (conv_volume.cpp): what conv and
// conv_transpose call for nd = 3.
Tensor conv3d(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
              const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups,
              bool same);
Tensor conv_transpose3d(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
                        const Dims& stride, const Dims& padding, const Dims& output_padding,
                        int64_t groups, const Dims& dilation);

// (N, C, H, W) -> (N, C KH KW, L): column l holds the patch under window l; and the sum of such
// patches back into (N, C, size).
Tensor unfold(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding,
              const Dims& stride);
Tensor fold(const Tensor& columns, const Dims& size, const Dims& kernel, const Dims& dilation,
            const Dims& padding, const Dims& stride);

}  // namespace lamina
