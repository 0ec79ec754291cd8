// Convolution by im2col and a matrix product: the reference path, and 1x1 convolution, whose
// patches are x itself.
#include <cstring>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"
#include "ops/gemm.h"

namespace lamina {
namespace {

// Sizes of one image and group: w (M, K), patches (K, P), y (M, P).
template <class T>
struct Patches {
  explicit Patches(const ConvGeometry& a)
      : a(a), C(a.C / a.groups), M(a.M / a.groups), K(C * a.KH * a.KW), P(a.OH * a.OW) {
    args.C = C, args.H = a.H, args.W = a.W, args.KH = a.KH, args.KW = a.KW;
    args.OH = a.OH, args.OW = a.OW, args.sh = a.sh, args.sw = a.sw;
    args.ph = a.ph, args.pw = a.pw, args.dh = a.dh, args.dw = a.dw;
  }
  size_t bytes() const { return a.pointwise() ? 0 : size_t(K * P) * sizeof(T); }
  const T* columns(const T* x, T* scratch) const {
    if (!scratch) return x;
    PatchArgs p = args;
    p.x = const_cast<T*>(x);
    p.columns = scratch;
    cpu_kernels().conv.im2col[kConvType<T>](p);
    return scratch;
  }
  const ConvGeometry& a;
  const int64_t C, M, K, P;
  PatchArgs args{};
};

}  // namespace

template <class T>
void PatchConv<T>::forward(const ConvGeometry& a, const T* x, const T* w, const T* bias, T* y) {
  const Patches<T> p(a);
  const int64_t tasks = a.N * a.groups;
  parallel_rows(tasks, a.nanoseconds(kConvType<T>) / double(tasks), [&](int64_t b, int64_t e) {
    Scratch scratch(p.bytes());
    for (int64_t task = b; task < e; ++task) {
      const int64_t g = task % a.groups;
      const T* const columns = p.columns(x + task * p.C * a.H * a.W, scratch.as<T>());
      Epilogue epilogue;
      epilogue.row_bias = bias ? bias + g * p.M : nullptr;
      gemm_serial<T>(false, false, p.M, p.P, p.K, w + g * p.M * p.K, p.K, columns, p.P,
                     y + task * p.M * p.P, p.P, false, &epilogue);
    }
  });
}

template <class T>
void PatchConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const Patches<T> p(a);
  const int64_t tasks = a.N * a.groups, plane = p.C * a.H * a.W;
  parallel_rows(tasks, a.nanoseconds(kConvType<T>) / double(tasks), [&](int64_t b, int64_t e) {
    Scratch scratch(p.bytes());
    for (int64_t task = b; task < e; ++task) {
      T* const to = dx + task * plane;
      T* const columns = p.bytes() ? scratch.as<T>() : to;
      gemm_serial<T>(true, false, p.K, p.P, p.M, w + task % a.groups * p.M * p.K, p.K,
                     dy + task * p.M * p.P, p.P, columns, p.P);
      if (columns == to) continue;
      std::memset(to, 0, size_t(plane) * sizeof(T));
      PatchArgs args = p.args;
      args.x = to;
      args.columns = columns;
      cpu_kernels().conv.col2im[kConvType<T>](args);
    }
  });
}

template <class T>
void PatchConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Patches<T> p(a);
  const int64_t elements = a.M * p.K;
  const double ns = a.nanoseconds(kConvType<T>);
  const int64_t chunks = conv_chunks(a.N, elements, ns);
  Scratch sums(size_t(elements * (chunks - 1)) * sizeof(T));
  T* const rest = sums.as<T>();
  parallel_rows(chunks, ns / double(chunks), [&](int64_t b, int64_t e) {
    Scratch scratch(p.bytes());
    for (int64_t chunk = b; chunk < e; ++chunk) {
      T* const sum = chunk ? rest + (chunk - 1) * elements : dw;
      std::memset(sum, 0, size_t(elements) * sizeof(T));
      const int64_t first = a.N * chunk / chunks, last = a.N * (chunk + 1) / chunks;
      for (int64_t task = first * a.groups; task < last * a.groups; ++task) {
        const T* const columns = p.columns(x + task * p.C * a.H * a.W, scratch.as<T>());
        gemm_serial<T>(false, true, p.M, p.K, p.P, dy + task * p.M * p.P, p.P, columns, p.P,
                       sum + task % a.groups * p.M * p.K, p.K, true);
      }
    }
  });
  for (int64_t chunk = 0; chunk + 1 < chunks; ++chunk)
    for (int64_t i = 0; i < elements; ++i) dw[i] += rest[chunk * elements + i];
}

template struct PatchConv<float>;
template struct PatchConv<double>;

}  // namespace lamina
