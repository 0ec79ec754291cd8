// Depthwise convolution, a plane at a time (the loops are in depthwise_cpu.h).
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"

namespace lamina {
namespace {

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

constexpr int64_t kBlock = 6144;  // elements of u: half of a 48 kB L1

// The planes of x that the taps of y read, and where; `planes` channels of an image together.
struct Taps {
  DepthwiseArgs args{};
  std::vector<int64_t> place;
  int64_t planes, blocks, u_size, flat_size;
  explicit Taps(const ConvGeometry& a) {
    const int64_t far_row = (a.KH - 1) * a.dh, far_column = (a.KW - 1) * a.dw;
    args.H = a.H, args.W = a.W, args.OH = a.OH, args.OW = a.OW;
    args.row_stride = a.sh, args.column_stride = a.sw;
    args.first_row = -a.ph, args.first_column = -a.pw;
    args.rows = a.OH + far_row / a.sh, args.width = a.OW + far_column / a.sw;
    args.K = a.KH * a.KW;
    args.outputs = a.OH * args.width;
    args.x_plane = a.H * a.W;
    args.tail = far_column / a.sw;
    const int64_t plane = args.plane = args.rows * args.width + args.tail;
    const int64_t phases = a.sh * a.sw;
    planes = std::clamp<int64_t>(kBlock / (phases * plane), 1, a.C);
    blocks = (a.C + planes - 1) / planes;
    args.phase_stride = planes * plane;
    const int64_t multiplier = a.M / a.C;
    args.w_plane = multiplier * args.K, args.bias_plane = multiplier;
    args.y_plane = args.g_plane = multiplier * a.OH * a.OW;
    for (int64_t r = 0; r < a.KH; ++r)
      for (int64_t s = 0; s < a.KW; ++s)
        place.push_back((r * a.dh % a.sh * a.sw + s * a.dw % a.sw) * args.phase_stride +
                        r * a.dh / a.sh * args.width + s * a.dw / a.sw);
    u_size = phases * args.phase_stride + kDepthwiseSlack;
    flat_size = args.phase_stride + kDepthwiseSlack;
  }
};

// One phase in one direction of a stride-s data gradient: positions h with (h + p) mod s = phase,
// h + p = s m + phase, take dy[m + (phase - r d) / s] for the taps r with r d mod s = phase.
struct Phase {
  std::vector<int64_t> taps, shift;
  int64_t first, skip;  // of the phase's positions in the plane; of m before them
  Phase(int64_t phase, int64_t K, int64_t stride, int64_t pad, int64_t dilation) {
    for (int64_t r = 0; r < K; ++r)
      if (r * dilation % stride == phase) {
        taps.push_back(r);
        shift.push_back((phase - r * dilation) / stride);
      }
    skip = std::max<int64_t>(0, floor_div(pad - phase + stride - 1, stride));
    first = stride * skip + phase - pad;
  }
};

double plane_nanoseconds(const ConvGeometry& a, Compute t) {
  return double(a.KH * a.KW * a.OH * a.OW) * (t == kF32 ? 0.02 : 0.04) +
         double(a.H * a.W + a.OH * a.OW) * 0.2 + 50;
}

}  // namespace

template <class T>
void DepthwiseConv<T>::forward(const ConvGeometry& a, const T* x, const T* w, const T* bias, T* y) {
  const Compute t = kConvType<T>;
  const DepthwiseKernels& kernels = cpu_kernels().depthwise;
  const Taps taps(a);
  const int64_t multiplier = a.M / a.C, zero = 0, tasks = a.N * taps.blocks;
  const double ns = plane_nanoseconds(a, t) * double(a.N * a.M);
  parallel_rows(tasks, ns / double(tasks), [&](int64_t b, int64_t e) {
    Scratch u(size_t(taps.u_size) * sizeof(T)), flat(size_t(taps.flat_size) * sizeof(T));
    DepthwiseArgs p = taps.args;
    p.place = taps.place.data();
    p.u = u.as<T>(), p.flat = flat.as<T>();
    p.y_row = p.y_columns = a.OW, p.y_rows = a.OH, p.phases = 1, p.columns = &zero;
    for (int64_t task = b; task < e; ++task) {
      const int64_t n = task / taps.blocks, c = task % taps.blocks * taps.planes;
      p.planes = std::min(taps.planes, a.C - c);
      p.x = x + (n * a.C + c) * a.H * a.W;
      kernels.planes[t](p);
      for (int64_t k = 0; k < multiplier; ++k) {
        const int64_t m = c * multiplier + k;
        p.w = w + m * p.K;
        p.bias = bias ? bias + m : nullptr;
        p.y = y + (n * a.M + m) * a.OH * a.OW;
        kernels.correlate[t](p);
        kernels.rows[t](p);
      }
    }
  });
}

template <class T>
void DepthwiseConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const Compute t = kConvType<T>;
  const DepthwiseKernels& kernels = cpu_kernels().depthwise;
  std::vector<Phase> down, across;
  for (int64_t r = 0; r < a.sh; ++r) down.emplace_back(r, a.KH, a.sh, a.ph, a.dh);
  for (int64_t s = 0; s < a.sw; ++s) across.emplace_back(s, a.KW, a.sw, a.pw, a.dw);
  // dy with room before for every shift, and after for as many positions as dx needs.
  const int64_t top = (a.KH - 1) * a.dh / a.sh, left = (a.KW - 1) * a.dw / a.sw;
  DepthwiseArgs base{};
  base.x_plane = a.OH * a.OW;
  base.H = a.OH, base.W = a.OW, base.row_stride = base.column_stride = 1;
  base.first_row = -top, base.first_column = -left;
  base.rows = (a.H + a.ph + a.sh - 1) / a.sh + top;
  base.width = (a.W + a.pw + a.sw - 1) / a.sw + left;
  base.outputs = (base.rows - top) * base.width;
  base.y_plane = a.H * a.W, base.y_row = a.sh * a.W, base.y_columns = a.W;
  base.phases = a.sw;
  base.tail = left;
  const int64_t plane = base.plane = base.rows * base.width + base.tail;
  const int64_t planes = std::clamp<int64_t>(kBlock / plane, 1, a.C);
  const int64_t blocks = (a.C + planes - 1) / planes, tasks = a.N * blocks;
  const int64_t flat_size = planes * plane + kDepthwiseSlack;
  const int64_t u_size = planes * plane + kDepthwiseSlack, K = a.KH * a.KW;
  base.flat_stride = flat_size;
  const double ns = plane_nanoseconds(a, t) * double(a.N * a.C);
  parallel_rows(tasks, ns / double(tasks), [&](int64_t b, int64_t e) {
    Scratch u(size_t(u_size) * sizeof(T)), flat(size_t(a.sw * flat_size) * sizeof(T));
    Scratch weights(size_t(planes * K) * sizeof(T));
    std::vector<int64_t> place(K, 0), taps(K, 0), first(a.sw, 0);
    DepthwiseArgs p = base;
    p.u = u.as<T>(), p.place = place.data(), p.w = weights.as<T>(), p.columns = first.data();
    for (int64_t task = b; task < e; ++task) {
      const int64_t n = task / blocks, c = task % blocks * planes;
      p.planes = std::min(planes, a.C - c);
      p.x = dy + (n * a.C + c) * a.OH * a.OW;
      kernels.planes[t](p);
      for (const Phase& r : down) {
        for (size_t f = 0; f < across.size(); ++f) {
          const Phase& s = across[f];
          p.K = 0;
          for (size_t k = 0; k < r.taps.size(); ++k)
            for (size_t l = 0; l < s.taps.size(); ++l, ++p.K) {
              taps[size_t(p.K)] = r.taps[k] * a.KW + s.taps[l];
              place[size_t(p.K)] = (top + r.shift[k]) * base.width + left + s.shift[l];
            }
          p.w_plane = p.K;
          for (int64_t i = 0; i < p.planes; ++i)
            for (int64_t k = 0; k < p.K; ++k)
              weights.as<T>()[i * p.K + k] = w[(c + i) * K + taps[size_t(k)]];
          p.flat = flat.as<T>() + int64_t(f) * flat_size;
          kernels.correlate[t](p);
        }
        // Column q of dx is of phase (q + pw) mod sw.
        for (int64_t q = 0; q < a.sw; ++q) {
          const int64_t f = (q + a.pw) % a.sw;
          first[size_t(q)] = (q + a.pw - f) / a.sw + (f - q) * flat_size;
        }
        p.flat = flat.as<T>();
        p.flat_row = r.skip;
        p.y_rows = r.first < a.H ? (a.H - r.first + a.sh - 1) / a.sh : 0;
        p.y = dx + (n * a.C + c) * a.H * a.W + r.first * a.W;
        kernels.rows[t](p);
      }
    }
  });
}

template <class T>
void DepthwiseConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const DepthwiseKernels& kernels = cpu_kernels().depthwise;
  const Taps taps(a);
  const int64_t multiplier = a.M / a.C, each = taps.args.K * cpu_kernels().conv.lanes[t];
  const double ns = plane_nanoseconds(a, t) * double(a.N * a.M);
  parallel_rows(taps.blocks, ns / double(taps.blocks), [&](int64_t b, int64_t e) {
    Scratch u(size_t(taps.u_size) * sizeof(T)), flat(size_t(taps.flat_size) * sizeof(T));
    Scratch sums(size_t(taps.planes * multiplier * each) * sizeof(T));
    DepthwiseArgs p = taps.args;
    p.place = taps.place.data();
    p.u = u.as<T>(), p.flat = flat.as<T>();
    p.sums_plane = multiplier * each;
    for (int64_t block = b; block < e; ++block) {
      const int64_t c = block * taps.planes;
      p.planes = std::min(taps.planes, a.C - c);
      std::memset(sums.as<void>(), 0, size_t(p.planes * p.sums_plane) * sizeof(T));
      for (int64_t n = 0; n < a.N; ++n) {
        p.x = x + (n * a.C + c) * a.H * a.W;
        kernels.planes[t](p);
        for (int64_t k = 0; k < multiplier; ++k) {
          p.g = dy + (n * a.M + c * multiplier + k) * a.OH * a.OW;
          p.sums = sums.as<T>() + k * each;
          kernels.spread[t](p);
          kernels.outer[t](p);
        }
      }
      for (int64_t k = 0; k < multiplier; ++k) {
        p.sums = sums.as<T>() + k * each;
        p.dw = dw + (c * multiplier + k) * p.K;
        kernels.finish[t](p);
      }
    }
  });
}

template struct DepthwiseConv<float>;
template struct DepthwiseConv<double>;

}  // namespace lamina
