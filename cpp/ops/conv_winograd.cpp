// Winograd convolution, cut into blocks of tile rows of one image, or of several small images (the
// loops are in winograd_cpu.h); how it is cut changes no bits of y and dx. The data gradient is a
// forward convolution of dy with the flipped weights.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"

namespace lamina {
namespace {

constexpr int64_t kTransformed = 96 * 1024;  // elements of a block's tiles: half of a 1 MB L2
constexpr int64_t kFewTiles = 48;            // three vectors of 16: a block has more if it can

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One map from C planes (H, W) to M planes (OH, OW), per group. A block is `rows` tile rows of
// `images` images.
struct Plan {
  int64_t C, H, W, M, OH, OW, ph, pw;
  int64_t N, down, across, rows, images, pieces, blocks, stride;
  std::vector<int64_t> place;
  // shares: blocks of images there should be at least, where there are several images.
  Plan(int64_t N, int64_t C, int64_t H, int64_t W, int64_t M, int64_t OH, int64_t OW, int64_t ph,
       int64_t pw, int64_t lanes, int64_t shares)
      : C(C), H(H), W(W), M(M), OH(OH), OW(OW), ph(ph), pw(pw), N(N) {
    down = ceil_div(OH, 2), across = ceil_div(OW, 2);
    const int64_t fit = std::max(kTransformed / (16 * C), kFewTiles);  // tiles
    rows = std::clamp<int64_t>(fit / across, 1, down);
    pieces = ceil_div(down, rows);
    rows = ceil_div(down, pieces);
    pieces = ceil_div(down, rows);
    images = pieces > 1 ? 1
                        : std::clamp<int64_t>(fit / (down * across), 1,
                                              std::max<int64_t>(1, ceil_div(N, shares)));
    blocks = ceil_div(N, images) * pieces;
    stride = conv_padded(images * rows * across, lanes) + lanes;
    for (int64_t c = 0; c < C; ++c) place.push_back(c * stride);
  }
  // Block b of group g; x and y hold `groups` groups of C and M planes.
  template <class T>
  WinogradArgs block(int64_t b, int64_t g, int64_t groups, const T* x, T* padded, T* v) const {
    WinogradArgs a{};
    const int64_t image = first_image(b);
    a.images = std::min(images, N - image);
    a.x_image = groups * C * H * W, a.y_image = groups * M * OH * OW;
    a.x = x + (image * groups + g) * C * H * W;
    a.C = C, a.H = H, a.W = W, a.ph = ph, a.pw = pw;
    a.row = b % pieces * rows;
    a.rows = std::min(rows, down - a.row);
    a.across = across, a.stride = stride;
    a.padded = padded, a.v = v;
    a.place = place.data();
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
void run_forward(const Plan& p, int64_t groups, double ns, const T* x, const T* w, int64_t wg,
                 int64_t wm, int64_t wc, bool flip, const T* bias, T* y) {
  const Compute t = kConvType<T>;
  const WinogradKernels& kernels = cpu_kernels().winograd;
  const int64_t most = cpu_kernels().conv.tile_rows, tiles = conv_tiles(p.M, most);
  Scratch packed(size_t(groups * p.M * p.C * 16) * sizeof(T));
  parallel_rows(groups * tiles, double(most * p.C) * 20, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) {
      const int64_t g = i / tiles, tile = i % tiles;
      WinogradWeightsArgs a{};
      a.w = w + g * wg;
      a.wm = wm, a.wc = wc, a.C = p.C, a.flip = flip;
      a.begin = conv_tile_begin(p.M, most, tile), a.end = conv_tile_begin(p.M, most, tile + 1);
      a.out = packed.as<T>() + (g * p.M + a.begin) * p.C * 16;
      kernels.weights[t](a);
    }
  });
  const int64_t tasks = groups * p.blocks;
  parallel_rows(tasks, ns / double(tasks), [&](int64_t begin, int64_t end) {
    Scratch padded(size_t(winograd_padded(p.rows, p.across)) * sizeof(T));
    Scratch v(size_t(16 * p.C * p.stride) * sizeof(T));
    Scratch products(size_t(16 * most * p.stride) * sizeof(T));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t b = task / groups, g = task % groups;
      WinogradArgs a = p.block(b, g, groups, x, padded.as<T>(), v.as<T>());
      a.w = packed.as<T>() + g * p.M * p.C * 16;
      a.bias = bias ? bias + g * p.M : nullptr;
      a.products = products.as<T>();
      a.y = y + p.y_offset(b, g, groups);
      kernels.tiles[t](a);
      kernels.forward[t](a);
    }
  });
}

}  // namespace

template <class T>
void WinogradConv<T>::forward(const ConvGeometry& a, const T* x, const T* w, const T* bias, T* y) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups;
  const Plan p(a.N, C, a.H, a.W, M, a.OH, a.OW, a.ph, a.pw, cpu_kernels().conv.lanes[kConvType<T>],
               num_threads());
  run_forward(p, a.groups, a.nanoseconds(kConvType<T>) / 2, x, w, M * C * 9, C * 9, 9, false, bias,
              y);
}

template <class T>
void WinogradConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const int64_t C = a.C / a.groups, M = a.M / a.groups;
  const Plan p(a.N, M, a.OH, a.OW, C, a.H, a.W, 2 - a.ph, 2 - a.pw,
               cpu_kernels().conv.lanes[kConvType<T>], num_threads());
  run_forward<T>(p, a.groups, a.nanoseconds(kConvType<T>) / 2, dy, w, M * C * 9, 9, C * 9, true,
                 nullptr, dx);
}

template <class T>
void WinogradConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const WinogradKernels& kernels = cpu_kernels().winograd;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, lanes = cpu_kernels().conv.lanes[t];
  const Plan p(a.N, C, a.H, a.W, M, a.OH, a.OW, a.ph, a.pw, lanes, 2);
  const int64_t padded = conv_padded(M, lanes), each = 16 * C * padded;
  const int64_t units = p.blocks, elements = a.groups * each;
  const double ns = a.nanoseconds(t) / 2;
  const int64_t chunks = conv_chunks(units, elements, ns);
  Scratch sums(size_t(elements * chunks) * sizeof(T));
  T* const first = sums.as<T>();
  parallel_rows(chunks, ns / double(chunks), [&](int64_t begin, int64_t end) {
    Scratch pad(size_t(winograd_padded(p.rows, p.across)) * sizeof(T));
    Scratch v(size_t(16 * C * p.stride) * sizeof(T));
    Scratch q(size_t(16 * 3 * lanes * p.stride) * sizeof(T));
    Scratch gt(size_t(3 * lanes * p.stride) * sizeof(T));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      T* const sum = first + chunk * elements;
      std::memset(static_cast<void*>(sum), 0, size_t(elements) * sizeof(T));
      for (int64_t unit = units * chunk / chunks; unit < units * (chunk + 1) / chunks; ++unit)
        for (int64_t g = 0; g < a.groups; ++g) {
          WinogradArgs f = p.block(unit, g, a.groups, x, pad.as<T>(), v.as<T>());
          f.g = dy + p.y_offset(unit, g, a.groups);
          f.q = q.as<T>();
          f.gt = gt.as<T>();
          f.sum = sum + g * each;
          kernels.tiles[t](f);
          kernels.outer[t](f);
        }
    }
  });
  for (int64_t chunk = 1; chunk < chunks; ++chunk)
    parallel_rows(elements, 0.3, [&](int64_t begin, int64_t end) {
      const T* const from = first + chunk * elements;
      for (int64_t i = begin; i < end; ++i) first[i] += from[i];
    });
  parallel_rows(a.groups * M, double(C) * 20, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      WinogradSumArgs s{};
      s.sum = first + i / M * each;
      s.C = C, s.padded = padded;
      s.begin = i % M, s.end = s.begin + 1;
      s.dw = dw + i / M * M * C * 9;
      kernels.finish[t](s);
    }
  });
}

template struct WinogradConv<float>;
template struct WinogradConv<double>;

}  // namespace lamina
