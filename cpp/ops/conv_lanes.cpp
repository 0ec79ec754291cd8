// Direct convolution with channels in the lanes (the loops are in conv_lanes_cpu.h). How it is cut
// changes no bits of y and dx.
#include <algorithm>
#include <vector>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"
#include "ops/conv_strips.h"

namespace lamina {
namespace {

template <class T>
void run_forward(const ConvStrips& p, int64_t groups, const T* x, const T* w, int64_t wg,
                 int64_t wo, int64_t wc, const ConvEpilogue& e, T* y) {
  const Compute t = kConvType<T>;
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t blocks = p.blocks_of(p.M);
  Scratch packed(size_t(groups * p.weights()) * sizeof(T));
  // Cut along w's longer stride, to read it in order.
  const int64_t cuts = wc < wo ? blocks : (p.C + 15) / 16;
  parallel_rows(groups * cuts, double(p.C * blocks * p.taps) / double(cuts) * 4,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t g = i / cuts, cut = i % cuts;
                    ConvPackArgs a{w + g * wg,
                                   wo,
                                   wc,
                                   p.M,
                                   p.C,
                                   p.taps,
                                   0,
                                   blocks,
                                   0,
                                   p.C,
                                   packed.as<T>() + g * p.weights()};
                    if (wc < wo)
                      a.block = cut, a.block_end = cut + 1;
                    else
                      a.c = cut * 16, a.c_end = std::min(a.c + 16, p.C);
                    kernels.pack[t](a);
                  }
                });
  const int64_t tasks = groups * p.blocks();
  parallel_rows(tasks, p.nanoseconds() * double(groups) / double(tasks),
                [&](int64_t begin, int64_t end) {
                  Scratch u(size_t(p.u_size()) * sizeof(T)), v(size_t(p.v_size(false)) * sizeof(T));
                  std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
                  for (int64_t task = begin; task < end; ++task) {
                    const int64_t b = task / groups, g = task % groups;
                    ConvLanesArgs a = p.block<T>(b, g, groups, x, u.as<T>(), y, v.as<T>());
                    a.w = packed.as<T>() + g * p.weights();
                    a.epilogue =
                        e.from<T>(g * p.M, static_cast<const T*>(a.v.x) - y);
                    kernels.gather[t](a.u);
                    kernels.forward[t](a);
                  }
                });
}

}  // namespace

template <class T>
void LanesConv<T>::forward(const ConvGeometry& a, const T* x, const T* w, const ConvEpilogue& e,
                           T* y) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  const ConvStrips p(ConvAxis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, C, M, a.KH, a.KW,
                     cpu_kernels().conv.lanes[kConvType<T>], false, num_threads());
  run_forward(p, a.groups, x, w, M * C * taps, C * taps, taps, e, y);
}

template <class T>
void LanesConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  const ConvStrips p(ConvAxis::backward(a.OH, a.H, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::backward(a.OW, a.W, a.KW, a.sw, a.pw, a.dw), a.N, M, C, a.KH, a.KW,
                     cpu_kernels().conv.lanes[kConvType<T>], false, num_threads());
  run_forward<T>(p, a.groups, dy, w, M * C * taps, taps, C * taps, {}, dx);
}

template <class T>
void LanesConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  if (a.N * a.OH * a.OW == 0) return std::fill(dw, dw + a.M * C * taps, T(0));
  const ConvStrips p(ConvAxis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, C, M, a.KH, a.KW,
                     cpu_kernels().conv.lanes[t], true, 4);
  const ConvRuns runs(p);
  const int64_t each = p.weights(), units = p.blocks(), elements = a.groups * each;
  const double ns = a.nanoseconds(t);
  const int64_t chunks = conv_chunks(units, elements, ns);
  Scratch sums(size_t(elements * chunks) * sizeof(T));
  T* const first = sums.as<T>();
  parallel_rows(chunks, ns / double(chunks), [&](int64_t begin, int64_t end) {
    Scratch u(size_t(p.u_size()) * sizeof(T)), v(size_t(p.v_size(true)) * sizeof(T));
    std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
    std::vector<int64_t> bounds(size_t(2 * taps));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t from = units * chunk / chunks;
      for (int64_t unit = from; unit < units * (chunk + 1) / chunks; ++unit)
        for (int64_t g = 0; g < a.groups; ++g) {
          ConvLanesArgs f = p.block<T>(unit, g, a.groups, x, u.as<T>(), dy, v.as<T>());
          runs.of_rows(f.v.row, f.v.rows, bounds.data());
          f.runs = runs.list.data(), f.begin = bounds.data();
          f.sum = first + chunk * elements + g * each, f.add = unit > from;
          if (f.u.images < p.images) {  // fewer images than the runs have
            std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
            std::fill(v.as<T>(), v.as<T>() + p.v_size(true), T(0));
          }
          kernels.gather[t](f.u);
          kernels.gather[t](f.v);
          kernels.outer[t](f);
        }
    }
  });
  const int64_t blocks = p.blocks_of(M);
  parallel_rows(a.groups * blocks, double(C * taps * chunks) * 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels.unpack[t]({first + i / blocks * each, chunks, elements, M, C, taps, i % blocks,
                         dw + i / blocks * M * C * taps});
  });
}

template struct LanesConv<float>;
template struct LanesConv<double>;

}  // namespace lamina
