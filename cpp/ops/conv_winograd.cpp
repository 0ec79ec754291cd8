// Winograd convolution, cut into blocks of tile rows of one image, or of several small images (the
// loops are in winograd_cpu.h); how it is cut changes no bits of y and dx. The data gradient is a
// forward convolution of dy with the flipped weights.
#include <algorithm>
#include <vector>

#include "core/ceil_div.h"
#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"

namespace lamina {
namespace {

constexpr int64_t kTransformed = 160 * 1024;  // elements of a block's tiles, in and out
constexpr int64_t kFewTiles = 42;             // three tiles of 14 rows: a block has more if it can

// Matrices an odd number of cache lines apart, so that a tile's elements do not share sets.
int64_t plane_of(int64_t vectors, int64_t lanes) { return (vectors | 1) * lanes; }

// Outputs of a tile, across and down. Tiles of 4 x 4 pay where planes hold several (measured).
template <class T>
int64_t tile_of(const ConvGeometry& a) {
  return a.high && sizeof(T) == 4 && a.OH * a.OW > 16 ? 4 : 2;
}

// One map from C planes (H, W) to M planes (OH, OW), per group. A block is `rows` tile rows of
// `images` images; by_rows: its tile rows go one after another (winograd_rows_cpu.h), of up to
// row_vectors vectors of channels.
struct Plan {
  int64_t m, C, H, W, M, OH, OW, ph, pw, lanes;
  int64_t N, down, across, rows, images, pieces, blocks, tiles, v_plane, q_plane;
  bool by_rows;
  std::vector<int64_t> column;
  // shares: blocks of images there should be at least, where there are several images; least: tiles
  // a block should have, even where they leave the cache.
  Plan(int64_t m, int64_t N, int64_t C, int64_t H, int64_t W, int64_t M, int64_t OH, int64_t OW,
       int64_t ph, int64_t pw, int64_t lanes, int64_t shares, int64_t least, int64_t row_vectors)
      : m(m), C(C), H(H), W(W), M(M), OH(OH), OW(OW), ph(ph), pw(pw), lanes(lanes), N(N) {
    down = ceil_div(OH, m), across = ceil_div(OW, m);

    const int64_t fit = std::max(kTransformed / (elements() * (C + M)), least);  // tiles
    rows = std::clamp<int64_t>(fit / across, 1, down);
    pieces = ceil_div(down, rows);
    rows = ceil_div(down, pieces);
    pieces = ceil_div(down, rows);
    const int64_t row = vectors(C) * across;
    by_rows = m == 2 && vectors(C) == vectors(M) && vectors(C) <= row_vectors && rows > 1 &&
              row >= kWinogradRow / 2 && row <= kWinogradRow;
    images = pieces > 1 || by_rows ? 1
                                   : std::clamp<int64_t>(fit / (down * across), 1,
                                                         std::max<int64_t>(1, ceil_div(N, shares)));
    if (N > 0) images = ceil_div(N, ceil_div(N, images));  // evenly
    blocks = ceil_div(N, images) * pieces;
    tiles = by_rows ? kWinogradRow / vectors(C) : images * rows * across;
    v_plane = plane_of(vectors(C) * tiles, lanes);
    q_plane = plane_of(vectors(M) * tiles, lanes);
    for (int64_t w = 0; w < std::max(W, OW); ++w) column.push_back(w * lanes);
  }
  int64_t elements() const { return (m + 2) * (m + 2); }  // of a transformed tile
  int64_t vectors(int64_t channels) const { return ceil_div(channels, lanes); }
  int64_t weights() const { return elements() * winograd_matrix(C, M, lanes); }
  // Of a thread: pixels, v and q, in T's.
  int64_t pixels() const {
    return (by_rows ? vectors(C) * winograd_pixels(m, 2, across)
                    : winograd_pixels(m, rows, across)) *
           lanes;
  }
  int64_t scratch() const { return pixels() + elements() * (v_plane + q_plane); }
  // Block b of group g; x and y hold `groups` groups of C and M planes.
  template <class T>
  WinogradArgs block(int64_t b, int64_t g, int64_t groups, const T* x, T* scratch) const {
    WinogradArgs a{};
    const int64_t image = first_image(b);
    a.images = std::min(images, N - image);
    a.x_image = groups * C * H * W, a.y_image = groups * M * OH * OW;
    a.x = x + (image * groups + g) * C * H * W;
    a.C = C, a.H = H, a.W = W, a.ph = ph, a.pw = pw;
    a.row = b % pieces * rows;
    a.rows = std::min(rows, down - a.row);
    a.across = across;
    a.column = column.data();
    a.pixels = scratch;
    T* const v = scratch + pixels();
    a.v = v, a.v_plane = v_plane;
    a.q = v + elements() * v_plane, a.q_plane = q_plane;
    a.M = M, a.OH = OH, a.OW = OW;
    return a;
  }
  int64_t first_image(int64_t b) const { return b / pieces * images; }
  // Where block b's planes of y begin.
  int64_t y_offset(int64_t b, int64_t g, int64_t groups) const {
    return (first_image(b) * groups + g) * M * OH * OW;
  }
};

template <class T>
Plan forward_plan(const ConvGeometry& a) {
  return Plan(tile_of<T>(a), a.N, a.C / a.groups, a.H, a.W, a.M / a.groups, a.OH, a.OW, a.ph, a.pw,
              cpu_kernels().conv.lanes[kConvType<T>], num_threads(), kFewTiles, kWinogradVectors);
}

// The weight from c to m of group g lies at g * wg + m * wo + c * wc.
template <class T>
void transform_weights(const Plan& p, int64_t groups, const T* w, int64_t wg, int64_t wo,
                       int64_t wc, bool flip, T* out) {
  const int m_blocks = int(p.vectors(p.M));
  // Cut along w's longer stride, to read it in order.
  const int64_t pieces = wc < wo ? m_blocks : ceil_div(p.C, 16);
  parallel_rows(groups * pieces, double(p.C * m_blocks) / double(pieces) * 40,
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    const int64_t g = i / pieces, piece = i % pieces;
                    WinogradWeightsArgs a{};
                    a.w = w + g * wg;
                    a.wo = wo, a.wc = wc, a.M = p.M, a.C = p.C, a.flip = flip;
                    a.block = wc < wo ? piece : 0, a.block_end = wc < wo ? piece + 1 : m_blocks;
                    a.c = wc < wo ? 0 : piece * 16;
                    a.c_end = wc < wo ? p.C : std::min(a.c + 16, p.C);
                    a.out = out + g * p.weights();
                    cpu_kernels().winograd.weights[p.m == 4][kConvType<T>](a);
                  }
                });
}

// w: transformed.
template <class T>
void run_forward(const Plan& p, int64_t groups, double ns, const T* x, const T* w,
                 const ConvEpilogue& e, T* y) {
  const Compute t = kConvType<T>;
  const WinogradKernels& kernels = cpu_kernels().winograd;
  const int F = p.m == 4;
  const int64_t tasks = groups * p.blocks;
  parallel_rows(tasks, ns / double(tasks), [&](int64_t begin, int64_t end) {
    Scratch scratch(size_t(p.scratch()) * sizeof(T));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t b = task / groups, g = task % groups;
      WinogradArgs a = p.block(b, g, groups, x, scratch.as<T>());
      a.w = w + g * p.weights();
      a.epilogue = e.from<T>(g * p.M, p.y_offset(b, g, groups));
      a.y = y + p.y_offset(b, g, groups);
      a.begin = 0, a.end = p.vectors(p.C);
      if (p.by_rows) {
        kernels.rows[t](a);
      } else {
        kernels.inputs[F][t](a);
        kernels.forward[F][t](a);
      }
    }
  });
}

}  // namespace

template <class T>
void WinogradConv<T>::forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                              const ConvEpilogue& e, T* y) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups;
  const Plan p = forward_plan<T>(a);
  Scratch packed(w.prepared ? 0 : size_t(a.groups * p.weights()) * sizeof(T));
  if (!w.prepared)
    transform_weights(p, a.groups, w.given, M * C * 9, C * 9, 9, false, packed.as<T>());
  run_forward(p, a.groups, a.nanoseconds(kConvType<T>) / 2, x,
              w.prepared ? w.prepared : packed.as<T>(), e, y);
}

template <class T>
int64_t WinogradConv<T>::prepared(const ConvGeometry& a) {
  const int64_t e = tile_of<T>(a) + 2, lanes = cpu_kernels().conv.lanes[kConvType<T>];
  return conv_few_outputs(a)
             ? a.groups * e * e * winograd_matrix(a.C / a.groups, a.M / a.groups, lanes)
             : 0;
}
template <class T>
void WinogradConv<T>::prepare(const ConvGeometry& a, const T* w, T* to) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups;
  const Plan p = forward_plan<T>(a);
  transform_weights(p, a.groups, w, M * C * 9, C * 9, 9, false, to);
}

template <class T>
void WinogradConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups;
  const Plan p(tile_of<T>(a), a.N, M, a.OH, a.OW, C, a.H, a.W, 2 - a.ph, 2 - a.pw,
               cpu_kernels().conv.lanes[kConvType<T>], num_threads(), kFewTiles, kWinogradVectors);
  Scratch packed(size_t(a.groups * p.weights()) * sizeof(T));
  transform_weights(p, a.groups, w, M * C * 9, 9, C * 9, true, packed.as<T>());
  run_forward<T>(p, a.groups, a.nanoseconds(kConvType<T>) / 2, dy, packed.as<T>(), {}, dx);
}

template <class T>
void WinogradConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const WinogradKernels& kernels = cpu_kernels().winograd;
  const int64_t C = a.C / a.groups, M = a.M / a.groups;
  // Small sums: a sum for each of some chunks of the blocks. Large: one sum, a block of all threads
  // at a time.
  const int64_t e = tile_of<T>(a) + 2;
  const bool shared = e * e * C * M > kTransformed * 8;
  const Plan p(tile_of<T>(a), a.N, C, a.H, a.W, M, a.OH, a.OW, a.ph, a.pw,
               cpu_kernels().conv.lanes[t], shared ? 1 : 2,
               std::max(kFewTiles, 2 * C * M / (C + M)), 1);
  const int F = p.m == 4;
  const int64_t each = p.weights(), units = p.blocks, elements = a.groups * each;
  if (units == 0) return std::fill(dw, dw + a.M * C * 9, T(0));
  const double ns = a.nanoseconds(t) / 2;
  const int64_t chunks = shared ? 1 : conv_chunks(units, elements, ns);
  Scratch sums(size_t(elements * chunks) * sizeof(T));
  T* const first = sums.as<T>();
  const auto piece = [&](int64_t unit, int64_t g, T* sum, T* scratch) {
    WinogradArgs f = p.block(unit, g, a.groups, x, scratch);
    f.g = dy + p.y_offset(unit, g, a.groups);
    f.sum = sum + g * each;
    return f;
  };
  if (shared) {
    Scratch scratch(size_t(p.scratch()) * sizeof(T));
    const int64_t c_blocks = p.vectors(C), m_blocks = p.vectors(M);
    const double unit_ns = ns / double(units * a.groups);
    for (int64_t unit = 0; unit < units; ++unit)
      for (int64_t g = 0; g < a.groups; ++g) {
        const WinogradArgs f = piece(unit, g, first, scratch.as<T>());
        parallel_rows(c_blocks + m_blocks, unit_ns / double(c_blocks + m_blocks) / 4,
                      [&](int64_t begin, int64_t end) {
                        Scratch pixels(size_t(p.pixels()) * sizeof(T));
                        WinogradArgs part = f;
                        part.pixels = pixels.as<T>();
                        part.begin = std::min(begin, c_blocks), part.end = std::min(end, c_blocks);
                        kernels.inputs[F][t](part);
                        part.begin = std::max(begin - c_blocks, int64_t(0));
                        part.end = std::max(end - c_blocks, int64_t(0));
                        kernels.gradients[F][t](part);
                      });
        parallel_rows(p.elements(), unit_ns / double(p.elements()),
                      [&](int64_t begin, int64_t end) {
                        WinogradArgs part = f;
                        part.begin = begin, part.end = end, part.add = unit > 0;
                        kernels.outer[F][t](part);
                      });
      }
  } else {
    parallel_rows(chunks, ns / double(chunks), [&](int64_t begin, int64_t end) {
      Scratch scratch(size_t(p.scratch()) * sizeof(T));
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t from = units * chunk / chunks;
        for (int64_t unit = from; unit < units * (chunk + 1) / chunks; ++unit)
          for (int64_t g = 0; g < a.groups; ++g) {
            WinogradArgs f = piece(unit, g, first + chunk * elements, scratch.as<T>());
            f.begin = 0, f.end = p.vectors(C);
            f.add = unit > from;
            if (p.by_rows) {
              kernels.outer_rows[t](f);
              continue;
            }
            kernels.inputs[F][t](f);
            f.end = p.vectors(M);
            kernels.gradients[F][t](f);
            f.end = p.elements();
            kernels.outer[F][t](f);
          }
      }
    });
  }
  const int64_t m_blocks = p.vectors(M);
  parallel_rows(a.groups * m_blocks, double(C * p.lanes) * 3, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      WinogradSumArgs s{};
      s.sum = first + i / m_blocks * each;
      s.sums = chunks, s.sum_step = elements;
      s.C = C, s.M = M, s.block = i % m_blocks;
      s.dw = dw + i / m_blocks * M * C * 9;
      kernels.finish[F][t](s);
    }
  });
}

template struct WinogradConv<float>;
template struct WinogradConv<double>;

}  // namespace lamina
