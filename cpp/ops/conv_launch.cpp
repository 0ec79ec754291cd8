// Choosing how a convolution is computed.
#include "ops/conv_launch.h"

#include <cstdlib>
#include <cstring>

namespace lamina {
namespace {

enum class ConvPath { choose, direct, patches };
ConvPath forced_path() {
  static const ConvPath path = [] {
    const char* s = std::getenv("LAMINA_CONV");
    if (s && !std::strcmp(s, "im2col")) return ConvPath::patches;
    if (s && !std::strcmp(s, "direct")) return ConvPath::direct;
    return ConvPath::choose;
  }();
  return path;
}
bool by_patches(const ConvGeometry& a) {
  if (forced_path() != ConvPath::choose) return forced_path() == ConvPath::patches;
  return a.pointwise();
}

template <class T>
void forward(const ConvGeometry& a, const void* x, const void* w, const void* bias, void* y) {
  (by_patches(a) ? PatchConv<T>::forward : DirectConv<T>::forward)(
      a, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<const T*>(bias),
      static_cast<T*>(y));
}
template <class T>
void input_grad(const ConvGeometry& a, const void* dy, const void* w, void* dx) {
  (by_patches(a) ? PatchConv<T>::input_grad : DirectConv<T>::input_grad)(
      a, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx));
}
template <class T>
void weight_grad(const ConvGeometry& a, const void* x, const void* dy, void* dw) {
  (by_patches(a) ? PatchConv<T>::weight_grad : DirectConv<T>::weight_grad)(
      a, static_cast<const T*>(x), static_cast<const T*>(dy), static_cast<T*>(dw));
}

}  // namespace

void conv_forward(const ConvGeometry& a, Compute t, const void* x, const void* w, const void* bias,
                  void* y) {
  if (a.N * a.M * a.OH * a.OW == 0) return;
  (t == kF64 ? forward<double> : forward<float>)(a, x, w, bias, y);
}
void conv_input_grad(const ConvGeometry& a, Compute t, const void* dy, const void* w, void* dx) {
  if (a.N * a.C * a.H * a.W == 0) return;
  (t == kF64 ? input_grad<double> : input_grad<float>)(a, dy, w, dx);
}
void conv_weight_grad(const ConvGeometry& a, Compute t, const void* x, const void* dy, void* dw) {
  if (a.M * a.C * a.KH * a.KW == 0) return;
  (t == kF64 ? weight_grad<double> : weight_grad<float>)(a, x, dy, dw);
}

}  // namespace lamina
