// Direct convolution with channels in the lanes (the loops are in conv_lanes_cpu.h): which inputs
// each output sees, as lists of strips and taps, and how the work is cut.
//
// The outputs of a strip are neighbours in a row of one image or, where rows are short, the same
// output of several images. The data gradient of a strided convolution has sh * sw classes of
// outputs, each seeing every sh-th, sw-th tap of dy. How it is cut changes no bits of y and dx.
#include <algorithm>
#include <vector>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"

namespace lamina {
namespace {

constexpr int64_t kBlockElements = 128 * 1024;  // of a block's inputs: half of a 1 MB L2
constexpr int64_t kTogether = 14;               // images at most

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One dimension of a map from `in` sources to `out` outputs. Outputs o = q + step * j of class q
// see the source first + stride * j through tap k, for each of the class's (k, first).
struct Axis {
  struct Tap {
    int64_t k, first;
  };
  int64_t in, out, stride, step, left, right;  // sources before 0 and from `in` on that are seen
  std::vector<std::vector<Tap>> classes;
  int64_t count(int64_t q) const { return out > q ? ceil_div(out - q, step) : 0; }
  static Axis forward(int64_t in, int64_t out, int64_t K, int64_t stride, int64_t pad,
                      int64_t dilation) {
    Axis a{in, out, stride, 1, 0, 0, {{}}};
    for (int64_t k = 0; k < K; ++k) a.classes[0].push_back({k, k * dilation - pad});
    return a.with_reach();
  }
  static Axis backward(int64_t in, int64_t out, int64_t K, int64_t stride, int64_t pad,
                       int64_t dilation) {
    Axis a{in, out, 1, stride, 0, 0, {}};
    for (int64_t q = 0; q < stride; ++q) {
      a.classes.emplace_back();
      for (int64_t k = 0; k < K; ++k)
        if ((q + pad - k * dilation) % stride == 0)
          a.classes[size_t(q)].push_back({k, (q + pad - k * dilation) / stride});
    }
    return a.with_reach();
  }
  Axis with_reach() {
    for (int64_t q = 0; q < int64_t(classes.size()); ++q)
      for (const Tap& tap : classes[size_t(q)]) {
        left = std::max(left, -tap.first);
        right = std::max(right, tap.first + stride * (count(q) - 1) + 1 - in);
      }
    return *this;
  }
};

// A map from planes (C, rows.in, columns.in) to (M, rows.out, columns.out) through KH KW taps.
struct Lanes {
  Axis rows, columns;
  int64_t N, C, M, KW, taps, L;
  bool together;                           // strips over images
  int64_t images, height, groups, pieces;  // of a block; blocks of images and of output rows
  int64_t phase, u_row, u_block, v_row, v_block, u_rows;
  std::vector<int64_t> u_column, v_column;
  std::vector<ConvTap> tap_list;
  std::vector<ConvStrip> strips;
  std::vector<int64_t> first_strip, low, high;  // of each output row: strips; source rows seen

  // whole: outputs of all M planes of a block at a time, not of a panel. shares: blocks of images
  // there should be a multiple of.
  Lanes(Axis r, Axis c, int64_t N, int64_t C, int64_t M, int64_t KH, int64_t KW, int64_t L,
        bool whole, int64_t shares)
      : rows(std::move(r)), columns(std::move(c)), N(N), C(C), M(M), KW(KW), taps(KH * KW), L(L) {
    together = N >= 4 && columns.count(0) < 14 && columns.count(0) % 8 != 0;
    groups = together ? std::min(N, ceil_div(ceil_div(N, kTogether), shares) * shares) : N;
    images = ceil_div(N, groups);
    groups = ceil_div(N, images);
    const int64_t out = rows.out;
    for (int64_t y = 0; y < out; ++y) {
      int64_t lo = rows.in, hi = 0;
      for (const Axis::Tap& tap : rows.classes[size_t(y % rows.step)]) {
        const int64_t source = tap.first + rows.stride * (y / rows.step);
        if (source < 0 || source >= rows.in) continue;
        lo = std::min(lo, source), hi = std::max(hi, source + 1);
      }
      low.push_back(lo), high.push_back(hi);
    }
    // Inputs: columns of one residue modulo the stride together, so that a strip's are neighbours.
    const int64_t blocks = ceil_div(C, L), left = together ? 0 : columns.left;
    const int64_t width =
        together ? columns.in : left + columns.in + std::max(columns.right, int64_t(0));
    const int64_t residues = together ? 1 : columns.stride;
    phase = ceil_div(width, residues);
    u_row = residues * phase * images * L;
    for (int64_t w = 0; w < columns.in; ++w) u_column.push_back(place(w + left) * images * L);
    v_row = columns.out * images * L;
    for (int64_t w = 0; w < columns.out; ++w) v_column.push_back(w * images * L);
    const int64_t per_row =
        u_row * blocks * rows.stride / rows.step + (whole ? v_row * ceil_div(M, L) : 0);
    height = std::clamp<int64_t>(kBlockElements / std::max<int64_t>(per_row, 1),
                                 std::min<int64_t>(4 * rows.step, out), out);
    if (together) height = out;
    pieces = ceil_div(out, height);
    height = ceil_div(out, pieces);
    pieces = ceil_div(out, height);
    u_rows = 0;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const auto [lo, hi] = sources(piece);
      u_rows = std::max(u_rows, hi - lo);
    }
    u_block = odd(u_rows * u_row), v_block = odd(height * v_row);
    make_strips(left);
  }
  // The rows of x that a piece of the output rows sees.
  std::pair<int64_t, int64_t> sources(int64_t piece) const {
    int64_t lo = rows.in, hi = 0;
    for (int64_t y = piece * height; y < std::min(rows.out, (piece + 1) * height); ++y)
      lo = std::min(lo, low[size_t(y)]), hi = std::max(hi, high[size_t(y)]);
    return {lo < hi ? lo : 0, lo < hi ? hi : 0};
  }
  int64_t blocks() const { return groups * pieces; }
  int64_t u_size() const { return ceil_div(C, L) * u_block; }
  int64_t v_size(bool whole) const {
    return (whole ? ceil_div(M, L)
                  : std::min<int64_t>(ceil_div(M, L), cpu_kernels().conv_lanes.panel)) *
           v_block;
  }
  int64_t weights() const { return ceil_div(M, L) * L * taps * C; }
  double nanoseconds() const {
    return double(N * M * C * rows.out * columns.out) * double(taps) /
           double(rows.step * columns.step) / 60;
  }

  // Block b of group g of `of`; x and y hold all groups' planes.
  template <class T>
  ConvLanesArgs block(int64_t b, int64_t g, int64_t of, const T* x, T* u, const T* y, T* v) const {
    ConvLanesArgs a{};
    const int64_t image = b / pieces * images, piece = b % pieces, y0 = piece * height;
    const auto [lo, hi] = sources(piece);
    a.u = {x + (image * of + g) * C * rows.in * columns.in,
           std::min(images, N - image),
           of * C * rows.in * columns.in,
           C,
           rows.in,
           columns.in,
           lo,
           hi - lo,
           u,
           u_block,
           u_row,
           L,
           u_column.data()};
    a.v = {y + (image * of + g) * M * rows.out * columns.out,
           a.u.images,
           of * M * rows.out * columns.out,
           M,
           rows.out,
           columns.out,
           y0,
           std::min(height, rows.out - y0),
           v,
           v_block,
           v_row,
           L,
           v_column.data()};
    a.u_shift = lo * u_row, a.v_shift = y0 * v_row;
    a.strips = strips.data() + first_strip[size_t(y0)];
    a.n_strips = first_strip[size_t(y0 + a.v.rows)] - first_strip[size_t(y0)];
    a.taps = taps;
    return a;
  }

 private:
  int64_t odd(int64_t elements) const { return (elements / L | 1) * L; }
  int64_t place(int64_t w) const {
    const int64_t residues = together ? 1 : columns.stride;
    return w % residues * phase + w / residues;
  }
  void make_strips(int64_t left) {
    std::vector<size_t> begin;  // of each strip's taps
    const auto strip = [&](int64_t y, const std::vector<Axis::Tap>& across, int64_t x, int64_t j,
                           int64_t count) {
      begin.push_back(tap_list.size());
      for (const Axis::Tap& r : rows.classes[size_t(y % rows.step)]) {
        const int64_t h = r.first + rows.stride * (y / rows.step);
        if (h < 0 || h >= rows.in) continue;
        for (const Axis::Tap& c : across) {
          const int64_t w = c.first + columns.stride * j;
          if (together && (w < 0 || w >= columns.in)) continue;
          tap_list.push_back({h * u_row + place(w + left) * images * L, (r.k * KW + c.k) * C});
        }
      }
      strips.push_back({y * v_row + x * images * L, columns.step * images * L, count, nullptr, 0});
      if (together) strips.back().c_row = L;
    };
    for (int64_t y = 0; y < rows.out; ++y) {
      first_strip.push_back(int64_t(strips.size()));
      for (int64_t q = 0; q < columns.step; ++q) {
        const auto& across = columns.classes[size_t(q)];
        if (!together && columns.count(q)) strip(y, across, q, 0, columns.count(q));
        for (int64_t j = 0; together && j < columns.count(q); ++j)
          strip(y, across, q + columns.step * j, j, images);
      }
    }
    first_strip.push_back(int64_t(strips.size()));
    begin.push_back(tap_list.size());
    for (size_t i = 0; i < strips.size(); ++i) {
      strips[i].taps = tap_list.data() + begin[i];
      strips[i].n_taps = int64_t(begin[i + 1] - begin[i]);
    }
  }
};

template <class T>
void run_forward(const Lanes& p, int64_t groups, const T* x, const T* w, int64_t wg, int64_t wo,
                 int64_t wc, const T* bias, T* y) {
  const Compute t = kConvType<T>;
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t blocks = ceil_div(p.M, p.L);
  Scratch packed(size_t(groups * p.weights()) * sizeof(T));
  // Cut along w's longer stride, to read it in order.
  const int64_t cuts = wc < wo ? blocks : ceil_div(p.C, 16);
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
                    a.bias = bias ? bias + g * p.M : nullptr;
                    kernels.gather[t](a.u);
                    kernels.forward[t](a);
                  }
                });
}

}  // namespace

template <class T>
void LanesConv<T>::forward(const ConvGeometry& a, const T* x, const T* w, const T* bias, T* y) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  const Lanes p(Axis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                Axis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, C, M, a.KH, a.KW,
                cpu_kernels().conv.lanes[kConvType<T>], false, num_threads());
  run_forward(p, a.groups, x, w, M * C * taps, C * taps, taps, bias, y);
}

template <class T>
void LanesConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  const Lanes p(Axis::backward(a.OH, a.H, a.KH, a.sh, a.ph, a.dh),
                Axis::backward(a.OW, a.W, a.KW, a.sw, a.pw, a.dw), a.N, M, C, a.KH, a.KW,
                cpu_kernels().conv.lanes[kConvType<T>], false, num_threads());
  run_forward<T>(p, a.groups, dy, w, M * C * taps, taps, C * taps, nullptr, dx);
}

template <class T>
void LanesConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const ConvLanesKernels& kernels = cpu_kernels().conv_lanes;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, taps = a.KH * a.KW;
  if (a.N * a.OH * a.OW == 0) return std::fill(dw, dw + a.M * C * taps, T(0));
  const Lanes p(Axis::forward(a.H, a.OH, a.KH, a.sh, a.ph, a.dh),
                Axis::forward(a.W, a.OW, a.KW, a.sw, a.pw, a.dw), a.N, C, M, a.KH, a.KW,
                cpu_kernels().conv.lanes[t], true, 4);
  // The runs of each tap, in the order of the strips; where each output row's begin.
  std::vector<ConvRun> runs;
  std::vector<int64_t> at;  // [tap][output row]
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t y = 0; y <= a.OH; ++y) {
      at.push_back(int64_t(runs.size()));
      if (y == a.OH) break;
      for (int64_t i = p.first_strip[size_t(y)]; i < p.first_strip[size_t(y + 1)]; ++i) {
        const ConvStrip& s = p.strips[size_t(i)];
        for (int64_t j = 0; j < s.n_taps; ++j)
          if (s.taps[j].b == tap * C) runs.push_back({s.taps[j].a, s.c, s.rows});
      }
    }
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
          for (int64_t tap = 0; tap < taps; ++tap) {
            const int64_t* const row = at.data() + tap * (a.OH + 1) + f.v.row;
            bounds[size_t(2 * tap)] = row[0], bounds[size_t(2 * tap + 1)] = row[f.v.rows];
          }
          f.runs = runs.data(), f.begin = bounds.data();
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
  const int64_t blocks = ceil_div(M, p.L);
  parallel_rows(a.groups * blocks, double(C * taps * chunks) * 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels.unpack[t]({first + i / blocks * each, chunks, elements, M, C, taps, i % blocks,
                         dw + i / blocks * M * C * taps});
  });
}

template struct LanesConv<float>;
template struct LanesConv<double>;

}  // namespace lamina
