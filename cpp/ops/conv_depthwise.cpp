// Depthwise convolution, cut into blocks of images, rows and L channels (the loops are in
// depthwise_cpu.h). How it is cut changes no bits of y and dx.
#include <algorithm>
#include <vector>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"
#include "ops/conv_strips.h"

namespace lamina {
namespace {

// Task i of a map over `channels` inputs: a block of images and rows, and a block of L channels.
// Output channel c k + j of k is input channel c's j-th.
template <class T>
DepthwiseArgs task_of(const ConvStrips& p, int64_t i, int64_t channels, int64_t k, int64_t j,
                      const T* x, T* u, const T* y, T* v) {
  const int64_t blocks = p.blocks_of(channels), c = i % blocks * p.L;
  const ConvLanesArgs a = p.block<T>(i / blocks, 0, 1, x, u, y, v);
  DepthwiseArgs d{};
  d.u = a.u, d.v = a.v;
  const int64_t image = i / blocks / p.pieces * p.images;
  d.u.x = x + (image * channels + c) * a.u.plane, d.u.x_image = channels * a.u.plane;
  d.v.x = y + ((image * channels + c) * k + j) * a.v.plane;
  d.v.x_image = channels * k * a.v.plane;
  d.v.plane = k * a.v.plane;
  d.u.C = d.v.C = std::min(p.L, channels - c);
  d.u_shift = a.u_shift, d.v_shift = a.v_shift;
  d.strips = a.strips, d.n_strips = a.n_strips, d.taps = p.taps;
  return d;
}

template <class T>
double nanoseconds(const ConvStrips& p, int64_t channels) {
  return double(p.N * channels * sizeof(T)) / 60 *
         (double(p.rows.out * p.columns.out) * double(2 + p.taps) +
          double(p.rows.in * p.columns.in));
}

template <class T>
void run_forward(const ConvStrips& p, int64_t channels, int64_t k, const T* x, const T* w,
                 const ConvEpilogue& e, T* y) {
  const int64_t blocks = p.blocks_of(channels), tasks = p.blocks() * blocks;
  parallel_rows(
      tasks, nanoseconds<T>(p, channels * k) / double(tasks), [&](int64_t begin, int64_t end) {
        Scratch u(size_t(p.u_size()) * sizeof(T)), v(size_t(p.v_block) * sizeof(T));
        Scratch weights(size_t(p.taps * p.L) * sizeof(T));
        std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
        for (int64_t i = begin; i < end; ++i)
          for (int64_t j = 0; j < k; ++j) {
            DepthwiseArgs a = task_of(p, i, channels, k, j, x, u.as<T>(), y, v.as<T>());
            const int64_t m = i % blocks * p.L * k + j;
            a.w = w + m * p.taps, a.w_channel = k * p.taps;
            a.epilogue = e.from<T>(m, static_cast<const T*>(a.v.x) - y), a.epilogue_channel = k;
            a.sum = weights.as<T>();
            cpu_kernels().depthwise.forward[kConvType<T>](a);
          }
      });
}

}  // namespace

template <class T>
void DepthwiseConv<T>::forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                               const ConvEpilogue& e, T* y) {
  const int64_t L = cpu_kernels().conv.lanes[kConvType<T>];
  const ConvStrips p(ConvAxis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, L, L, a.KH, a.KW, L,
                     true, num_threads(), false);
  run_forward(p, a.C, a.M / a.C, x, w.given, e, y);
}

template <class T>
void DepthwiseConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const int64_t L = cpu_kernels().conv.lanes[kConvType<T>];
  const ConvStrips p(ConvAxis::backward(a.OH, a.H, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::backward(a.OW, a.W, a.KW, a.sw, a.pw, a.dw), a.N, L, L, a.KH, a.KW,
                     L, true, num_threads(), false);
  run_forward<T>(p, a.C, 1, dy, w, {}, dx);
}

template <class T>
void DepthwiseConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const int64_t L = cpu_kernels().conv.lanes[t], k = a.M / a.C, taps = a.KH * a.KW;
  if (a.N * a.OH * a.OW == 0) return std::fill(dw, dw + a.M * taps, T(0));
  const ConvStrips p(ConvAxis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                     ConvAxis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, L, L, a.KH, a.KW, L,
                     true, 4, false);
  const ConvRuns runs(p);
  const int64_t blocks = p.blocks_of(a.C), units = p.blocks(), each = taps * L;
  const double ns = nanoseconds<T>(p, a.M);
  const int64_t chunks = conv_chunks(units, blocks * k * each, ns / double(blocks));
  Scratch sums(size_t(blocks * k * each * chunks) * sizeof(T));
  parallel_rows(blocks * chunks, ns / double(blocks * chunks), [&](int64_t b, int64_t e) {
    Scratch u(size_t(p.u_size()) * sizeof(T)), v(size_t(p.v_block) * sizeof(T));
    std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
    std::vector<int64_t> bounds(size_t(2 * taps));
    for (int64_t i = b; i < e; ++i) {
      const int64_t block = i / chunks, chunk = i % chunks;
      T* const sum = sums.as<T>() + (chunk * blocks + block) * k * each;
      std::fill(sum, sum + k * each, T(0));
      for (int64_t unit = units * chunk / chunks; unit < units * (chunk + 1) / chunks; ++unit)
        for (int64_t j = 0; j < k; ++j) {
          DepthwiseArgs f =
              task_of(p, unit * blocks + block, a.C, k, j, x, u.as<T>(), dy, v.as<T>());
          if (f.u.images < p.images) {  // fewer images than the runs have
            std::fill(u.as<T>(), u.as<T>() + p.u_size(), T(0));
            std::fill(v.as<T>(), v.as<T>() + p.v_block, T(0));
          }
          runs.of_rows(f.v.row, f.v.rows, bounds.data());
          f.runs = runs.list.data(), f.begin = bounds.data();
          f.sum = sum + j * each;
          cpu_kernels().depthwise.outer[t](f);
        }
    }
  });
  for (int64_t i = 0; i < blocks * k; ++i) {
    const int64_t c = i / k * L;
    cpu_kernels().depthwise.finish[t]({sums.as<T>() + i * each, chunks, blocks * k * each, taps,
                                       std::min(L, a.C - c), k * taps,
                                       dw + (c * k + i % k) * taps});
  }
}

template struct DepthwiseConv<float>;
template struct DepthwiseConv<double>;

}  // namespace lamina
