// Choosing how a convolution is computed.
#include "ops/conv_launch.h"

#include <cstdlib>
#include <cstring>

namespace lamina {
namespace {

enum class ConvPath { choose, direct, lanes, winograd, patches, depthwise };
ConvPath forced_path() {
  static const ConvPath path = [] {
    const char* s = std::getenv("LAMINA_CONV");
    if (s && !std::strcmp(s, "im2col")) return ConvPath::patches;
    if (s && !std::strcmp(s, "winograd")) return ConvPath::winograd;
    if (s && !std::strcmp(s, "lanes")) return ConvPath::lanes;
    if (s && !std::strcmp(s, "direct")) return ConvPath::direct;
    return ConvPath::choose;
  }();
  return path;
}
// For a map from planes of C to planes of M channels of a group: y from x, dx from dy (from M to
// C), dw. The limits are measured.
ConvPath path_of(const ConvGeometry& a, int64_t C, int64_t M, int64_t fewest) {
  const ConvPath forced = forced_path();
  if (forced == ConvPath::winograd) return a.winograd() ? forced : ConvPath::direct;
  if (forced != ConvPath::choose) return forced;
  if (a.depthwise()) return ConvPath::depthwise;
  if (a.pointwise() || a.whole_image()) return ConvPath::patches;
  const bool many = C >= 16 && M >= 16;
  // A block of Winograd tiles is a whole row of them: not of very wide images.
  const bool narrow = (a.OW + 1) / 2 * (C + M) * 16 <= (1 << 22);
  if (a.winograd() && many && narrow && a.OH >= 4 && a.OW >= 4 && !a.few_tiles())
    return ConvPath::winograd;
  if (many && a.N < 4 && (a.few_tiles() || a.OH * a.OW <= 16)) return ConvPath::patches;
  // Long signals, which only the direct loops cut along a row.
  if (a.OH < 4 && a.OW > 64 && (a.N < 8 || C * a.OW > (1 << 19))) return ConvPath::direct;
  return C >= fewest && M >= 16 ? ConvPath::lanes : ConvPath::direct;
}

template <class T>
void forward(const ConvGeometry& a, const void* x, const ConvWeights<void>& w,
             const ConvEpilogue& e, void* y) {
  const ConvPath path = path_of(a, a.C / a.groups, a.M / a.groups, 4);
  (path == ConvPath::patches     ? PatchConv<T>::forward
   : path == ConvPath::winograd  ? WinogradConv<T>::forward
   : path == ConvPath::depthwise ? DepthwiseConv<T>::forward
   : path == ConvPath::lanes     ? LanesConv<T>::forward
                                 : DirectConv<T>::forward)(
      a, static_cast<const T*>(x),
      {static_cast<const T*>(w.given), static_cast<const T*>(w.prepared)}, e, static_cast<T*>(y));
}
template <class T>
int64_t prepared(const ConvGeometry& a) {
  const ConvPath path = path_of(a, a.C / a.groups, a.M / a.groups, 4);
  return path == ConvPath::patches    ? PatchConv<T>::prepared(a)
         : path == ConvPath::winograd ? WinogradConv<T>::prepared(a)
         : path == ConvPath::lanes    ? LanesConv<T>::prepared(a)
                                      : 0;
}
template <class T>
void prepare(const ConvGeometry& a, const void* w, void* to) {
  const ConvPath path = path_of(a, a.C / a.groups, a.M / a.groups, 4);
  const T* const given = static_cast<const T*>(w);
  if (path == ConvPath::patches) PatchConv<T>::prepare(a, given, static_cast<T*>(to));
  if (path == ConvPath::winograd) WinogradConv<T>::prepare(a, given, static_cast<T*>(to));
  if (path == ConvPath::lanes) LanesConv<T>::prepare(a, given, static_cast<T*>(to));
}
template <class T>
void input_grad(const ConvGeometry& a, const void* dy, const void* w, void* dx) {
  const ConvPath path = path_of(a, a.M / a.groups, a.C / a.groups, 4);
  (path == ConvPath::patches                   ? PatchConv<T>::input_grad
   : path == ConvPath::winograd                ? WinogradConv<T>::input_grad
   : path == ConvPath::depthwise && a.M == a.C ? DepthwiseConv<T>::input_grad
   : path == ConvPath::lanes                   ? LanesConv<T>::input_grad
                                               : DirectConv<T>::input_grad)(
      a, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx));
}
template <class T>
void weight_grad(const ConvGeometry& a, const void* x, const void* dy, void* dw) {
  ConvPath path = path_of(a, a.C / a.groups, a.M / a.groups, 5);
  // Of small planes: several images together.
  if (path == ConvPath::patches && a.pointwise() && a.OH * a.OW <= 64 && a.N >= 4 &&
      a.M / a.groups >= 16 && forced_path() == ConvPath::choose)
    path = ConvPath::lanes;
  (path == ConvPath::patches     ? PatchConv<T>::weight_grad
   : path == ConvPath::winograd  ? WinogradConv<T>::weight_grad
   : path == ConvPath::depthwise ? DepthwiseConv<T>::weight_grad
   : path == ConvPath::lanes     ? LanesConv<T>::weight_grad
                                 : DirectConv<T>::weight_grad)(
      a, static_cast<const T*>(x), static_cast<const T*>(dy), static_cast<T*>(dw));
}

}  // namespace

void conv_forward(const ConvGeometry& a, Compute t, const void* x, const ConvWeights<void>& w,
                  const ConvEpilogue& e, void* y) {
  if (a.N * a.M * a.OH * a.OW == 0) return;
  (t == kF64 ? forward<double> : forward<float>)(a, x, w, e, y);
}
int64_t conv_prepared(const ConvGeometry& a, Compute t) {
  if (a.N * a.M * a.OH * a.OW == 0) return 0;
  return t == kF64 ? prepared<double>(a) : prepared<float>(a);
}
void conv_prepare(const ConvGeometry& a, Compute t, const void* w, void* to) {
  (t == kF64 ? prepare<double> : prepare<float>)(a, w, to);
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
