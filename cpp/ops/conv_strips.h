// Which inputs each output of a convolution sees, as lists of strips and taps over pixels of L
// channels (args_conv_lanes.h), and how the work is cut into blocks.
//
// The outputs of a strip are neighbours in a row of one image or, where rows are short, the same
// output of several images; then taps outside the image are left out. The data gradient of a
// strided convolution has sh * sw classes of outputs, each seeing every sh-th, sw-th tap of dy.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace lamina {

// One dimension of a map from `in` sources to `out` outputs. Outputs o = q + step * j of class q
// see the source first + stride * j through tap k, for each of the class's (k, first).
struct ConvAxis {
  struct Tap {
    int64_t k, first;
  };
  int64_t in, out, stride, step, left, right;  // sources before 0 and from `in` on that are seen
  std::vector<std::vector<Tap>> classes;
  int64_t count(int64_t q) const { return out > q ? (out - q + step - 1) / step : 0; }
  static ConvAxis forward(int64_t in, int64_t out, int64_t K, int64_t stride, int64_t pad,
                          int64_t dilation) {
    ConvAxis a{in, out, stride, 1, 0, 0, {{}}};
    for (int64_t k = 0; k < K; ++k) a.classes[0].push_back({k, k * dilation - pad});
    return a.with_reach();
  }
  static ConvAxis backward(int64_t in, int64_t out, int64_t K, int64_t stride, int64_t pad,
                           int64_t dilation) {
    ConvAxis a{in, out, 1, stride, 0, 0, {}};
    for (int64_t q = 0; q < stride; ++q) {
      a.classes.emplace_back();
      for (int64_t k = 0; k < K; ++k)
        if ((q + pad - k * dilation) % stride == 0)
          a.classes[size_t(q)].push_back({k, (q + pad - k * dilation) / stride});
    }
    return a.with_reach();
  }
  ConvAxis with_reach() {
    for (int64_t q = 0; q < int64_t(classes.size()); ++q)
      for (const Tap& tap : classes[size_t(q)]) {
        left = std::max(left, -tap.first);
        right = std::max(right, tap.first + stride * (count(q) - 1) + 1 - in);
      }
    return *this;
  }
};

// A map from planes (C, rows.in, columns.in) to (M, rows.out, columns.out) through KH KW taps.
struct ConvStrips {
  ConvAxis rows, columns;
  int64_t N, C, M, KW, taps, L;
  bool together;                           // strips over images
  bool by_panels;                          // a block is worth cutting by its outputs' panels
  int64_t images, height, groups, pieces;  // of a block; blocks of images and of output rows
  int64_t phase, u_row, u_block, v_row, v_block, u_rows;
  std::vector<int64_t> u_column, v_column;
  std::vector<ConvTap> tap_list;
  std::vector<ConvStrip> strips;
  std::vector<int64_t> first_strip, low, high;  // of each output row: strips; source rows seen

  // whole: outputs of all M planes of a block at a time, not of a panel. shares: blocks of images
  // there should be a multiple of, or of rows where images are fewer. many_weights: blocks should
  // be large rather than many.
  ConvStrips(ConvAxis r, ConvAxis c, int64_t N, int64_t C, int64_t M, int64_t KH, int64_t KW,
             int64_t L, bool whole, int64_t shares, bool many_weights);
  // The rows of x that a piece of the output rows sees.
  std::pair<int64_t, int64_t> sources(int64_t piece) const;
  int64_t blocks_of(int64_t channels) const { return (channels + L - 1) / L; }
  int64_t blocks() const { return groups * pieces; }
  int64_t u_size() const { return blocks_of(C) * u_block; }
  int64_t v_size(bool whole) const {
    return (whole ? blocks_of(M)
                  : std::min<int64_t>(blocks_of(M), cpu_kernels().conv_lanes.panel)) *
           v_block;
  }
  int64_t weights() const { return blocks_of(M) * L * taps * C; }
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
           rows.in * columns.in,
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
           rows.out * columns.out,
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
  void make_strips(int64_t left);
  bool follows(int64_t c, const std::vector<size_t>& begin) const;
};

// The strips turned about: for each tap, the runs of outputs that see it, in the order of the rows.
struct ConvRuns {
  explicit ConvRuns(const ConvStrips& p);
  // The bounds [2 taps] of each tap's runs of output rows [row, row + rows).
  void of_rows(int64_t row, int64_t rows, int64_t* bounds) const;
  std::vector<ConvRun> list;

 private:
  int64_t taps_, height_;
  std::vector<int64_t> at_;  // [tap][output row]
};

}  // namespace lamina
