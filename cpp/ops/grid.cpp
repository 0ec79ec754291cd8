// grid_sample: each point has 2^nd corners (one, for "nearest"), and every channel uses the same
// ones; so corners and weights are worked out for a block of points and then used plane by plane.
//   y = sum over corners of w x[corner]
//   gx[corner] += w g                          ggrid = sum over channels and corners of dw x g
// Cost: 2^nd gathered elements per point and channel. Blocks and channels are divided by size only,
// and every sum has one order.
#include "ops/grid.h"

#include <cstring>

#include "core/threads.h"
#include "ops/grid_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

constexpr int64_t kBlock = 256, kCorners = 8, kChannels = 16;

int64_t blocks_of(const GridCall& a) { return (a.P + kBlock - 1) / kBlock; }
Dims volume(const GridCall& a) {
  return a.nd == 2 ? Dims{a.N, a.C, a.size[1], a.size[0]}
                   : Dims{a.N, a.C, a.size[2], a.size[1], a.size[0]};
}
Dims sampled(const GridCall& a) {
  return a.nd == 2 ? Dims{a.N, a.C, a.out[0], a.out[1]}
                   : Dims{a.N, a.C, a.out[0], a.out[1], a.out[2]};
}

// Corners of points [begin, begin + count): places in a plane, weights, and with `slopes` the
// weights' derivatives by each coordinate.
template <class T>
struct Corners {
  int count;
  int64_t place[kCorners][kBlock];
  T weight[kCorners][kBlock];
  T slope[3][kCorners][kBlock];

  void find(const GridCall& a, const T* grid, int64_t points, bool slopes) {
    count = a.nearest ? 1 : 1 << a.nd;
    for (int64_t p = 0; p < points; ++p) {
      GridTaps<T> t[3];
      for (int d = 0; d < a.nd; ++d) t[d] = grid_taps(grid[p * a.nd + d], a.size[d], a);
      for (int k = 0; k < count; ++k) {
        int64_t at = 0;
        T w = 1;
        for (int d = a.nd - 1; d >= 0; --d) {
          const int side = k >> d & 1;
          at = at * a.size[d] + t[d].index[side];
          w *= t[d].weight[side];
        }
        place[k][p] = at;
        weight[k][p] = w;
        for (int e = 0; slopes && e < a.nd; ++e) {
          T s = 1;
          for (int d = 0; d < a.nd; ++d)
            s *= d == e ? t[d].slope[k >> d & 1] : t[d].weight[k >> d & 1];
          slope[e][k][p] = s;
        }
      }
    }
  }
};

// f(sample, first point, points, corners) for units [b, e) of blocks of points.
template <class T, class F>
void each_block(const GridCall& a, const T* grid, bool slopes, int64_t b, int64_t e, const F& f) {
  Scratch memory(sizeof(Corners<T>));
  Corners<T>& corners = *memory.as<Corners<T>>();
  for (int64_t unit = b; unit < e; ++unit) {
    const int64_t n = unit / blocks_of(a), from = unit % blocks_of(a) * kBlock;
    const int64_t points = a.P - from < kBlock ? a.P - from : kBlock;
    corners.find(a, grid + (n * a.P + from) * a.nd, points, slopes);
    f(n, from, points, corners);
  }
}

// Points of `planes` channels, which share the corners: y (planes, P) from x (planes, plane).
template <int planes, int count, class T>
void sample_planes(const Corners<T>& k, const T* x, int64_t plane, int64_t points, T* y,
                   int64_t P) {
  for (int64_t p = 0; p < points; ++p) {
    T sum[planes] = {};
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) {
      const T w = k.weight[i][p];
      const T* const at = x + k.place[i][p];
#pragma GCC unroll 4
      for (int c = 0; c < planes; ++c) sum[c] += w * at[c * plane];
    }
#pragma GCC unroll 4
    for (int c = 0; c < planes; ++c) y[c * P + p] = sum[c];
  }
}
template <int count, class T>
void sample_block(const GridCall& a, const Corners<T>& k, const T* x, int64_t points, T* y) {
  int64_t c = 0;
  for (; c + 4 <= a.C; c += 4)
    sample_planes<4, count>(k, x + c * a.plane(), a.plane(), points, y + c * a.P, a.P);
  for (; c < a.C; ++c)
    sample_planes<1, count>(k, x + c * a.plane(), a.plane(), points, y + c * a.P, a.P);
}
template <class T>
void sample(const GridCall& a, const T* x, const T* grid, T* y) {
  const double cost = double(kBlock) * (20 + double(a.C) * (a.nearest ? 2 : 3 << a.nd));
  parallel_rows(a.N * blocks_of(a), cost, [&](int64_t b, int64_t e) {
    each_block(a, grid, false, b, e,
               [&](int64_t n, int64_t from, int64_t points, const Corners<T>& k) {
                 const T* const from_x = x + n * a.C * a.plane();
                 T* const to = y + n * a.C * a.P + from;
                 if (k.count == 1) return sample_block<1>(a, k, from_x, points, to);
                 if (k.count == 4) return sample_block<4>(a, k, from_x, points, to);
                 sample_block<8>(a, k, from_x, points, to);
               });
  });
}

// The transpose of sample_planes: gx (planes, plane) += what g (planes, P) sends to its corners.
template <int planes, class T>
void spread_planes(const Corners<T>& k, T* gx, int64_t plane, int64_t points, const T* g,
                   int64_t P) {
  for (int64_t p = 0; p < points; ++p)
    for (int i = 0; i < k.count; ++i) {
      const T w = k.weight[i][p];
      T* const at = gx + k.place[i][p];
#pragma GCC unroll 4
      for (int c = 0; c < planes; ++c) at[c * plane] += w * g[c * P + p];
    }
}

template <class T>
void input_grad(const GridCall& a, const T* g, const T* grid, T* gx) {
  const int64_t parts = (a.C + kChannels - 1) / kChannels;  // of the channels of a sample
  const double cost = double(a.P) * (20 + kChannels * (a.nearest ? 2 : 3 << a.nd));
  parallel_rows(a.N * parts, cost, [&](int64_t b, int64_t e) {
    for (int64_t unit = b; unit < e; ++unit) {
      const int64_t n = unit / parts, first = unit % parts * kChannels;
      const int64_t last = first + kChannels < a.C ? first + kChannels : a.C;
      const int64_t bytes = (last - first) * a.plane() * int64_t(sizeof(T));
      std::memset(gx + (n * a.C + first) * a.plane(), 0, size_t(bytes));
      each_block(a, grid, false, n * blocks_of(a), (n + 1) * blocks_of(a),
                 [&](int64_t, int64_t from, int64_t points, const Corners<T>& k) {
                   for (int64_t c = first; c < last;) {
                     T* const to = gx + (n * a.C + c) * a.plane();
                     const T* const of = g + (n * a.C + c) * a.P + from;
                     if (c + 4 <= last)
                       spread_planes<4>(k, to, a.plane(), points, of, a.P), c += 4;
                     else
                       spread_planes<1>(k, to, a.plane(), points, of, a.P), c += 1;
                   }
                 });
    }
  });
}

// d loss / d the nd coordinates of points, from x (C, plane) and g (C, P).
template <int nd, int count, class T>
void slope_block(const GridCall& a, const Corners<T>& k, const T* x, const T* g, int64_t points,
                 T* ggrid) {
  for (int64_t p = 0; p < points; ++p) {
    T sum[nd] = {};
    for (int64_t c = 0; c < a.C; ++c) {
      const T* const plane = x + c * a.plane();
      const T of = g[c * a.P + p];
      T inner[nd] = {};
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) {
        const T v = plane[k.place[i][p]];
#pragma GCC unroll 3
        for (int d = 0; d < nd; ++d) inner[d] += k.slope[d][i][p] * v;
      }
#pragma GCC unroll 3
      for (int d = 0; d < nd; ++d) sum[d] += inner[d] * of;
    }
    for (int d = 0; d < nd; ++d) ggrid[p * nd + d] = sum[d];
  }
}
template <class T>
void grid_grad(const GridCall& a, const T* g, const T* x, const T* grid, T* ggrid) {
  const double cost = double(kBlock) * (40 + double(a.C) * (3 << a.nd));
  parallel_rows(a.N * blocks_of(a), cost, [&](int64_t b, int64_t e) {
    each_block(a, grid, true, b, e,
               [&](int64_t n, int64_t from, int64_t points, const Corners<T>& k) {
                 const T *const xs = x + n * a.C * a.plane(), *const gs = g + n * a.C * a.P + from;
                 T* const to = ggrid + (n * a.P + from) * a.nd;
                 if (a.nd == 2 && k.count == 4)
                   slope_block<2, 4>(a, k, xs, gs, points, to);
                 else if (a.nd == 2)
                   slope_block<2, 1>(a, k, xs, gs, points, to);
                 else if (k.count == 8)
                   slope_block<3, 8>(a, k, xs, gs, points, to);
                 else
                   slope_block<3, 1>(a, k, xs, gs, points, to);
               });
  });
}

// ---- the ops -----------------------------------------------------------------------------------
void sample_infer(Call& c) { c.output(sampled(c.args<GridCall>()), c.in[0].dtype()); }
void sample_launch(Call& c) {
  const auto& a = c.args<GridCall>();
  const Tensor &x = c.in[0], &grid = c.in[1], &y = c.out[0];
  if (y.numel() == 0) return;
  if (x.dtype() == DType::float64)
    sample(a, x.data<double>(), grid.data<double>(), y.data<double>());
  else
    sample(a, x.data<float>(), grid.data<float>(), y.data<float>());
}

void input_grad_infer(Call& c) { c.output(volume(c.args<GridCall>()), c.in[0].dtype()); }
void input_grad_launch(Call& c) {
  const auto& a = c.args<GridCall>();
  const Tensor &g = c.in[0], &grid = c.in[1], &gx = c.out[0];
  if (gx.numel() == 0) return;
  if (g.dtype() == DType::float64)
    input_grad(a, g.data<double>(), grid.data<double>(), gx.data<double>());
  else
    input_grad(a, g.data<float>(), grid.data<float>(), gx.data<float>());
}
const Op kInputGrad{
    .name = "grid_sample_input_grad", .infer = input_grad_infer, .launch = input_grad_launch};

void grid_grad_infer(Call& c) { c.output(c.in[2].shape(), c.in[2].dtype()); }
void grid_grad_launch(Call& c) {
  const auto& a = c.args<GridCall>();
  const Tensor &g = c.in[0], &x = c.in[1], &grid = c.in[2], &gg = c.out[0];
  if (gg.numel() == 0) return;
  if (g.dtype() == DType::float64)
    grid_grad(a, g.data<double>(), x.data<double>(), grid.data<double>(), gg.data<double>());
  else
    grid_grad(a, g.data<float>(), x.data<float>(), grid.data<float>(), gg.data<float>());
}
const Op kGridGrad{
    .name = "grid_sample_grid_grad", .infer = grid_grad_infer, .launch = grid_grad_launch};

void sample_vjp(Vjp& c) {
  const auto& a = c.args<GridCall>();
  const Tensor g = contiguous(c.g());
  if (c.needs(0)) c.set(0, apply(kInputGrad, {g, c.in(1)}, a));
  if (c.needs(1)) c.set(1, apply(kGridGrad, {g, c.in(0), c.in(1)}, a));
}
Saves sample_saves(const Call& c) { return {2u | (c.source[1].edge.needed() ? 1u : 0u), 0}; }
const Op kGridSample{.name = "grid_sample",
                     .infer = sample_infer,
                     .launch = sample_launch,
                     .vjp = sample_vjp,
                     .saves_for = sample_saves};

}  // namespace

Tensor grid_sample(const Tensor& x, const Tensor& grid, const std::string& mode,
                   const std::string& padding, bool align) {
  const int nd = x.dim() - 2;
  check(is_floating(x.dtype()) && x.dtype() == grid.dtype(), ErrorKind::dtype,
        "grid_sample: input and grid must have one floating dtype, got ", x, " and ", grid,
        "; convert with .to()");
  check((nd == 2 || nd == 3) && grid.dim() == nd + 2 && grid.size(-1) == nd &&
            grid.size(0) == x.size(0),
        ErrorKind::shape, "grid_sample: expected input (N, C, H, W) and grid (N, H', W', 2), or ",
        "input (N, C, D, H, W) and grid (N, D', H', W', 3), got shapes ", x.shape(), " and ",
        grid.shape());
  check(mode == "bilinear" || mode == "nearest", ErrorKind::value, "grid_sample: unknown mode ",
        mode);
  GridCall a{};
  a.nd = int8_t(nd), a.nearest = mode == "nearest", a.align = align;
  a.padding = padding == "border"       ? kGridBorder
              : padding == "reflection" ? kGridReflection
                                        : kGridZeros;
  a.N = x.size(0), a.C = x.size(1), a.P = 1;
  for (int d = 0; d < nd; ++d) {
    a.size[d] = x.size(-1 - d);
    a.out[d] = grid.size(1 + d);
    a.P *= a.out[d];
    check(a.size[d] > 0, ErrorKind::shape, "grid_sample: the input's sizes must not be 0, got ",
          x.shape());
  }
  const DType t = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const Tensor y =
      apply(kGridSample, {contiguous(to_dtype(x, t)), contiguous(to_dtype(grid, t))}, a);
  return to_dtype(y, x.dtype());
}

}  // namespace lamina
