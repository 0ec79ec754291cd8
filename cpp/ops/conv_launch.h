// The three bilinear maps of a convolution over dense memory: y from x and w, dx from dy and w, dw
// from x and dy.
//
// How each is computed (conv_launch.cpp chooses; LAMINA_CONV=direct|lanes|winograd|im2col forces):
//   winograd   conv_winograd.cpp: 3x3 kernels of stride 1
//   lanes      conv_lanes.cpp: any stride and dilation, channels in the lanes of vectors
//   direct     conv_direct.cpp: outputs in the lanes, for few channels
//   patches    conv_patches.cpp: im2col and a matrix product
//   depthwise  conv_depthwise.cpp: L channels at a time
// All but patches multiply zeros where a tap lies outside the image, and Winograd adds inputs
// before it multiplies: an infinite input may give NaN where it would give infinity, and NaN may
// reach outputs of its tile that do not see it.
#pragma once
#include <cstdint>

#include "kernels/kernels.h"

namespace lamina {

// Forward, in plans on the CPU: what conv does of the calls after it (ConvEpilogue).
struct ConvExtra {
  double eps;  // norm: batch norm by given statistics
  bool norm, relu, summand_first;
};
struct ConvGeometry {
  int64_t N, C, H, W, M, KH, KW, OH, OW, sh, sw, ph, pw, dh, dw, groups;
  int64_t nd;    // 1: tensors have no H dimension (H = KH = OH = 1)
  int64_t high;  // float32 may be computed less exactly: Winograd with tiles of 4 x 4
  ConvExtra extra;

  // A matrix product over x itself.
  bool pointwise() const {
    return KH == 1 && KW == 1 && sh == 1 && sw == 1 && ph == 0 && pw == 0 && OH == H && OW == W;
  }
  bool depthwise() const { return C > 1 && groups == C; }
  // One output per image: a matrix product of whole images and kernels.
  bool whole_image() const {
    return KH == H && KW == W && ph == 0 && pw == 0 && OH * OW == 1 && groups == 1;
  }
  // Too few tiles to repay transforming the weights.
  bool few_tiles() const { return N * ((OH + 1) / 2) * ((OW + 1) / 2) < 48; }
  bool winograd() const {
    return KH == 3 && KW == 3 && sh == 1 && sw == 1 && dh == 1 && dw == 1 && ph <= 2 && pw <= 2;
  }
  // Of all images and groups, on one thread, about.
  double nanoseconds(Compute t) const {
    const double flops = 2.0 * double(N * M * OH * OW) * double(C / groups * KH * KW);
    return flops / (t == kF32 ? 60 : 30) + double(N * C * H * W);
  }
};

// Weights of a forward convolution; and the same as its kernels read them, when a plan keeps that.
template <class T>
struct ConvWeights {
  const T *given, *prepared = nullptr;
};

void conv_forward(const ConvGeometry& a, Compute t, const void* x, const ConvWeights<void>& w,
                  const ConvEpilogue& e, void* y);
// How many elements the prepared weights have, 0: they bring nothing; and these.
int64_t conv_prepared(const ConvGeometry& a, Compute t);
void conv_prepare(const ConvGeometry& a, Compute t, const void* w, void* to);
void conv_input_grad(const ConvGeometry& a, Compute t, const void* dy, const void* w, void* dx);
void conv_weight_grad(const ConvGeometry& a, Compute t, const void* x, const void* dy, void* dw);

// ---- one way each (T: float or double) ---------------------------------------------------------
template <class T>
struct DirectConv {
  static void forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                      const ConvEpilogue& e, T* y);
  static void input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx);
  static void weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw);
};
template <class T>
struct LanesConv {
  static void forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                      const ConvEpilogue& e, T* y);
  static int64_t prepared(const ConvGeometry& a);
  static void prepare(const ConvGeometry& a, const T* w, T* to);
  static void input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx);
  static void weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw);
};
template <class T>
struct PatchConv {
  static void forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                      const ConvEpilogue& e, T* y);
  static int64_t prepared(const ConvGeometry& a);
  static void prepare(const ConvGeometry& a, const T* w, T* to);
  static void input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx);
  static void weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw);
};
template <class T>
struct WinogradConv {  // of geometries that say winograd()
  static void forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                      const ConvEpilogue& e, T* y);
  static int64_t prepared(const ConvGeometry& a);
  static void prepare(const ConvGeometry& a, const T* w, T* to);
  static void input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx);
  static void weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw);
};
template <class T>
struct DepthwiseConv {  // of geometries that say depthwise(); input_grad: with M = C
  static void forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                      const ConvEpilogue& e, T* y);
  static void input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx);
  static void weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw);
};
template <class T>
constexpr Compute kConvType = sizeof(T) == 4 ? kF32 : kF64;

// Preparing weights takes a share of the whole that is worth a copy of them: few outputs each.
inline bool conv_few_outputs(const ConvGeometry& a) {
  return a.N * a.OH * a.OW <= 8192 && a.M * a.C / a.groups * a.KH * a.KW >= 4096;
}

// How many sums over `units` pieces of work a weight gradient of `elements` is cut into: by the
// sizes only, so that the order of additions does not depend on the number of threads.
inline int64_t conv_chunks(int64_t units, int64_t elements, double ns) {
  int64_t chunks = (int64_t(4) << 20) / (elements > 0 ? elements : 1);
  chunks = chunks < 2 ? 2 : chunks > 16 ? 16 : chunks;
  const int64_t worth = int64_t(ns / 10000);  // 10 microseconds each at least
  if (chunks > worth) chunks = worth;
  if (chunks > units) chunks = units;
  return chunks < 1 ? 1 : chunks;
}

}  // namespace lamina
