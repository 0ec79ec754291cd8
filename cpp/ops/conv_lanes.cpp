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

constexpr int64_t kManyWeights = 256 * 1024;  // that do not stay in L2

// The weight from c to m through tap t of group g lies at g * wg + m * wo + c * wc + t.
template <class T>
void pack_weights(const ConvStrips& p, int64_t groups, const T* w, int64_t wg, int64_t wo,
                  int64_t wc, T* out) {
  const int64_t blocks = p.blocks_of(p.M);
  // Cut along w's longer stride, to read it in order.
  const int64_t cuts = wc < wo ? blocks : (p.C + 15) / 16;
  parallel_rows(groups * cuts, double(p.C * blocks * p.taps) / double(cuts) * 4,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t g = i / cuts, cut = i % cuts;
                    ConvPackArgs a{
                        w + g * wg,           wo, wc, p.M, p.C, p.taps, 0, blocks, 0, p.C,
                        out + g * p.weights()};
                    if (wc < wo)
                      a.block = cut, a.block_end = cut + 1;
                    else
                      a.c = cut * 16, a.c_end = std::min(a.c + 16, p.C);
                    cpu_kernels().conv_lanes.pack[kConvType<T>](a);
                  }
                });
}

// Each block of outputs by one thread.
template <class T>
void run_blocks(const ConvStrips& p, int64_t groups, const T* x, const T* w, const ConvEpilogue& e,
                T* y) {
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t tasks = groups * p.blocks();
  parallel_rows(tasks, p.nanoseconds() * double(groups) / double(tasks),
                [&](int64_t begin, int64_t end) {
                  Scratch u(size_t(p.u_size()) * sizeof(T)), v(size_t(p.v_size(false)) * sizeof(T));
                  std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
                  for (int64_t task = begin; task < end; ++task) {
                    const int64_t b = task / groups, g = task % groups;
                    ConvLanesArgs a = p.block<T>(b, g, groups, x, u.as<T>(), y, v.as<T>());
                    a.w = w + g * p.weights();
                    a.block_end = p.blocks_of(p.M);
                    a.epilogue = e.from<T>(g * p.M, static_cast<const T*>(a.v.x) - y);
                    kernels.gather[kConvType<T>](a.u);
                    kernels.forward[kConvType<T>](a);
                  }
                });
}
// Each block by all threads, each some panels of it: every weight is read once for the block.
template <class T>
void run_panels(const ConvStrips& p, int64_t groups, const T* x, const T* w, const ConvEpilogue& e,
                T* y) {
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t panel = kernels.panel, in = p.blocks_of(p.C), out = p.blocks_of(p.M);
  const int64_t panels = (out + panel - 1) / panel, tasks = groups * p.blocks();
  const double ns = p.nanoseconds() / double(p.blocks());
  Scratch u(size_t(p.u_size()) * sizeof(T));
  std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t b = task / groups, g = task % groups;
    ConvLanesArgs a = p.block<T>(b, g, groups, x, u.as<T>(), y, static_cast<T*>(nullptr));
    parallel_rows(in, double(a.u.images * a.u.rows * a.u.W) * 3, [&](int64_t begin, int64_t end) {
      ConvPixels part = a.u;
      part.x = static_cast<const T*>(a.u.x) + begin * p.L * a.u.plane;
      part.C = std::min(end * p.L, p.C) - begin * p.L;
      part.pixels = u.as<T>() + begin * a.u.block;
      kernels.gather[kConvType<T>](part);
    });
    parallel_rows(panels, ns / double(panels), [&](int64_t begin, int64_t end) {
      Scratch v(size_t(p.v_size(false)) * sizeof(T));
      ConvLanesArgs part = a;
      part.v.pixels = v.as<void>();
      part.w = w + g * p.weights();
      part.block = begin * panel, part.block_end = std::min(end * panel, out);
      part.epilogue = e.from<T>(g * p.M, static_cast<const T*>(a.v.x) - y);
      kernels.forward[kConvType<T>](part);
    });
  }
}
template <class T>
void run_forward(const ConvStrips& p, int64_t groups, const T* x, const T* w, const ConvEpilogue& e,
                 T* y) {
  (p.by_panels ? run_panels<T> : run_blocks<T>)(p, groups, x, w, e, y);
}

// Small planes, many weights: as many images as go together, so that weights are read less often.
template <class T>
ConvStrips strips_of(ConvAxis rows, ConvAxis columns, int64_t N, int64_t C, int64_t M, int64_t KH,
                     int64_t KW) {
  const bool many = C * M * KH * KW >= kManyWeights;
  return ConvStrips(std::move(rows), std::move(columns), N, C, M, KH, KW,
                    cpu_kernels().conv.lanes[kConvType<T>], false, num_threads(), many);
}
template <class T>
ConvStrips forward_strips(const ConvGeometry& a) {
  return strips_of<T>(ConvAxis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                      ConvAxis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, a.C / a.groups,
                      a.M / a.groups, a.KH, a.KW);
}

}  // namespace

template <class T>
void LanesConv<T>::forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                           const ConvEpilogue& e, T* y) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  const ConvStrips p = forward_strips<T>(a);
  Scratch packed(w.prepared ? 0 : size_t(a.groups * p.weights()) * sizeof(T));
  if (!w.prepared) pack_weights(p, a.groups, w.given, M * C * taps, C * taps, taps, packed.as<T>());
  run_forward(p, a.groups, x, w.prepared ? w.prepared : packed.as<T>(), e, y);
}

template <class T>
int64_t LanesConv<T>::prepared(const ConvGeometry& a) {
  return conv_few_outputs(a) ? a.groups * forward_strips<T>(a).weights() : 0;
}
template <class T>
void LanesConv<T>::prepare(const ConvGeometry& a, const T* w, T* to) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  pack_weights(forward_strips<T>(a), a.groups, w, M * C * taps, C * taps, taps, to);
}

template <class T>
void LanesConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  const ConvStrips p =
      strips_of<T>(ConvAxis::backward(a.OH, a.H, a.KH, a.sh, a.ph, a.dh),
                   ConvAxis::backward(a.OW, a.W, a.KW, a.sw, a.pw, a.dw), a.N, M, C, a.KH, a.KW);
  Scratch packed(size_t(a.groups * p.weights()) * sizeof(T));
  pack_weights(p, a.groups, w, M * C * taps, taps, C * taps, packed.as<T>());
  run_forward<T>(p, a.groups, dy, packed.as<T>(), {}, dx);
}

template <class T>
void LanesConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  if (a.N * a.OH * a.OW == 0) return std::fill(dw, dw + a.M * C * taps, T(0));
  const ConvStrips p(ConvAxis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, C, M, a.KH, a.KW,
                     cpu_kernels().conv.lanes[t], true, 4, false);
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
