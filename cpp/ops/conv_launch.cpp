// Splitting convolutions into blocks of one image, and choosing how each is computed.
//
// Forward and data gradient: a task is one image, group and block of output rows, whose unrolled
// source stays in L2. The data gradient of a strided convolution is sh * sw phases, each an
// ordinary correlation of dy with every sh-th, sw-th tap. Weight gradient: a fixed number of chunks
// (by the sizes only), each with its own sum, added in order.
#include "ops/conv_launch.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/gemm.h"

namespace lamina {
namespace {

constexpr int64_t kUnrolledElements = 96 * 1024;  // of a block: half of a 1 MB L2, less the rest
constexpr int64_t kOuterOutputs = 1024;           // of a weight gradient's block: three rows in L1

enum class ConvPath { choose, direct, patches };
ConvPath forced_path() {
  static const ConvPath path = [] {
    const char* s = std::getenv("LAMINA_CONV");
    if (s && !std::strcmp(s, "im2col")) return ConvPath::patches;
    if (s && !std::strcmp(s, "direct")) return ConvPath::direct;
    return ConvPath::choose;
  }();
  return path;
}
bool pointwise(const ConvGeometry& a) {
  return a.KH == 1 && a.KW == 1 && a.sh == 1 && a.sw == 1 && a.ph == 0 && a.pw == 0 &&
         a.OH == a.H && a.OW == a.W;
}
// A 1x1 convolution is a matrix product over x itself.
bool by_patches(const ConvGeometry& a) {
  if (forced_path() != ConvPath::choose) return forced_path() == ConvPath::patches;
  return pointwise(a);
}
double nanoseconds(const ConvGeometry& a, Compute t) {  // of all images and groups
  const double flops = 2.0 * double(a.N * a.M * a.OH * a.OW) * double(a.C / a.groups * a.KH * a.KW);
  return flops / (t == kF32 ? 60 : 30) + double(a.N * a.C * a.H * a.W);
}

// ---- one correlation, cut into blocks ----------------------------------------------------------
struct Taps {  // along one dimension: source position for output 0, and index in the kernel
  int64_t n = 0;
  int64_t *offset, *index;
};

// The tables of ConvArgs for one correlation.
class Correlation {
 public:
  Correlation(int64_t C, int64_t H, int64_t W, int64_t T, int64_t Q, const Taps& rows,
              const Taps& columns, int64_t sr, int64_t sc, int64_t most_outputs)
      : rows_(T), tables_(size_t(C * rows.n * columns.n + sr) * 8) {
    args.C = C, args.H = H, args.W = W, args.Q = Q;
    args.row_stride = sr, args.column_stride = sc;
    args.taps = rows.n * columns.n, args.columns = columns.n;
    args.column_offset = columns.offset;
    args.residues = rows.n ? sr : 0;
    int64_t least = rows.n ? rows.offset[0] : 0, most = least;
    for (int64_t r = 0; r < rows.n; ++r) {
      least = std::min(least, rows.offset[r]);
      most = std::max(most, rows.offset[r]);
    }
    args.first_row = least;
    const int64_t per_row = std::max<int64_t>(1, C * columns.n * Q * std::min(sr, rows.n));
    const int64_t halo = most - least;
    int64_t block = std::max<int64_t>(kUnrolledElements / per_row - halo / sr, 1 + halo / sr);
    block = std::min(block, std::max<int64_t>(1, most_outputs / std::max<int64_t>(1, Q)));
    block = std::max<int64_t>(1, std::min(block, T));
    blocks = (T + block - 1) / block;
    block_ = blocks ? (T + blocks - 1) / blocks : 1;
    blocks = (T + block_ - 1) / block_;

    int64_t* const place = tables_.as<int64_t>();
    int64_t* const residue_rows = place + C * args.taps;
    int64_t total = 0;
    for (int64_t i = 0; i < args.residues; ++i) {
      int64_t reach = -1;
      for (int64_t r = 0; r < rows.n; ++r)
        if ((rows.offset[r] - least) % sr == i)
          reach = std::max(reach, (rows.offset[r] - least) / sr);
      residue_rows[i] = reach < 0 ? 0 : block_ + reach;
      total += residue_rows[i];
    }
    for (int64_t r = 0; r < rows.n; ++r) {
      const int64_t residue = (rows.offset[r] - least) % sr;
      int64_t row = (rows.offset[r] - least) / sr;
      for (int64_t i = 0; i < residue; ++i) row += residue_rows[i];
      for (int64_t c = 0; c < C; ++c)
        for (int64_t s = 0; s < columns.n; ++s)
          place[(c * rows.n + r) * columns.n + s] = ((c * columns.n + s) * total + row) * Q;
    }
    args.place = place;
    args.residue_rows = residue_rows;
    elements = C * columns.n * total * Q + 64;
  }
  // The block's arguments, but for x, u, w, bias and y.
  ConvArgs block(int64_t b) const {
    ConvArgs a = args;
    const int64_t begin = b * block_;
    a.T = std::min(block_, rows_ - begin);
    a.missing = block_ - a.T;
    a.first_row += begin * a.row_stride;
    return a;
  }
  int64_t first(int64_t b) const { return b * block_; }

  ConvArgs args{};
  int64_t blocks = 0, elements = 0;

 private:
  int64_t rows_, block_ = 1;
  Scratch tables_;
};

// w as tiles: out[tile][(c, r, s)][m of the tile] = w[m wm + c wc + row[r] KW + column[s]].
template <class T>
void pack_weights(const T* w, T* out, int64_t M, int64_t wm, int64_t C, int64_t wc,
                  const Taps& rows, const Taps& columns, int64_t KW) {
  const int64_t most = cpu_kernels().conv.tile_rows, K = C * rows.n * columns.n;
  parallel_rows(conv_tiles(M, most), double(K * most), [&](int64_t b, int64_t e) {
    for (int64_t tile = b; tile < e; ++tile) {
      const int64_t m0 = conv_tile_begin(M, most, tile), m1 = conv_tile_begin(M, most, tile + 1);
      T* to = out + m0 * K;
      for (int64_t c = 0; c < C; ++c)
        for (int64_t r = 0; r < rows.n; ++r)
          for (int64_t s = 0; s < columns.n; ++s) {
            const T* const from = w + c * wc + rows.index[r] * KW + columns.index[s];
            for (int64_t m = m0; m < m1; ++m) *to++ = from[m * wm];
          }
    }
  });
}

// Runs a correlation over all images and groups.
struct Batch {
  int64_t images, groups;
  const void *x, *w, *bias;
  int64_t C, M;            // of one group
  int64_t wg, wm, wc, KW;  // strides of w: groups, outputs, inputs
  void* y;
  int64_t plane, y_t, y_q;  // of y: elements of an output channel, strides of rows and columns
  double ns;                // all of it
};
template <class T>
void run_correlation(const Correlation& p, const Batch& b, const Taps& rows, const Taps& columns,
                     Compute t) {
  const int64_t K = b.C * rows.n * columns.n;
  Scratch packed(size_t(b.groups * b.M * K) * sizeof(T));
  for (int64_t g = 0; g < b.groups; ++g)
    pack_weights(static_cast<const T*>(b.w) + g * b.wg, packed.as<T>() + g * b.M * K, b.M, b.wm,
                 b.C, b.wc, rows, columns, b.KW);
  const int64_t tasks = b.images * b.groups * p.blocks;
  parallel_rows(tasks, b.ns / double(tasks), [&](int64_t begin, int64_t end) {
    Scratch u(size_t(p.elements) * sizeof(T));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % p.blocks, ng = task / p.blocks, g = ng % b.groups;
      ConvArgs a = p.block(block);
      a.x = static_cast<const T*>(b.x) + ng * b.C * a.H * a.W;
      a.u = u.as<T>();
      a.w = packed.as<T>() + g * b.M * K;
      a.bias = b.bias ? static_cast<const T*>(b.bias) + g * b.M : nullptr;
      a.M = b.M;
      a.y = static_cast<T*>(b.y) + ng * b.M * b.plane + p.first(block) * b.y_t;
      a.y_m = b.plane, a.y_t = b.y_t, a.y_q = b.y_q;
      cpu_kernels().conv.unroll[t](a);
      cpu_kernels().conv.correlate[t](a);
    }
  });
}

// All taps of a dimension, for the forward direction.
void forward_taps(Taps* taps, int64_t n, int64_t dilation, int64_t pad) {
  taps->n = n;
  for (int64_t r = 0; r < n; ++r) {
    taps->offset[r] = r * dilation - pad;
    taps->index[r] = r;
  }
}
// The taps that bring gradient to positions phase, phase + stride, ...
void phase_taps(Taps* taps, int64_t n, int64_t dilation, int64_t pad, int64_t stride,
                int64_t phase) {
  taps->n = 0;
  for (int64_t r = n - 1; r >= 0; --r) {
    const int64_t at = phase + pad - r * dilation;
    if (at % stride) continue;
    taps->offset[taps->n] = at / stride;
    taps->index[taps->n++] = r;
  }
}
struct TapTables {
  Scratch memory;
  Taps rows, columns;
  explicit TapTables(const ConvGeometry& a) : memory(size_t(a.KH + a.KW) * 16) {
    rows.offset = memory.as<int64_t>();
    rows.index = rows.offset + a.KH;
    columns.offset = rows.index + a.KH;
    columns.index = columns.offset + a.KW;
  }
};

template <class T>
void direct_forward(const ConvGeometry& a, Compute t, const void* x, const void* w,
                    const void* bias, void* y) {
  TapTables taps(a);
  forward_taps(&taps.rows, a.KH, a.dh, a.ph);
  forward_taps(&taps.columns, a.KW, a.dw, a.pw);
  const int64_t C = a.C / a.groups, M = a.M / a.groups, kernel = a.KH * a.KW;
  const Correlation p(C, a.H, a.W, a.OH, a.OW, taps.rows, taps.columns, a.sh, a.sw, a.OH * a.OW);
  const Batch b{a.N,        a.groups, x,    w, bias,        C,    M, M * C * kernel,
                C * kernel, kernel,   a.KW, y, a.OH * a.OW, a.OW, 1, nanoseconds(a, t)};
  run_correlation<T>(p, b, taps.rows, taps.columns, t);
}

template <class T>
void direct_input_grad(const ConvGeometry& a, Compute t, const void* dy, const void* w, void* dx) {
  TapTables taps(a);
  const int64_t C = a.C / a.groups, M = a.M / a.groups, kernel = a.KH * a.KW;
  for (int64_t i = 0; i < a.sh; ++i)
    for (int64_t j = 0; j < a.sw; ++j) {
      const int64_t rows = (a.H - i + a.sh - 1) / a.sh, columns = (a.W - j + a.sw - 1) / a.sw;
      if (rows <= 0 || columns <= 0) continue;
      phase_taps(&taps.rows, a.KH, a.dh, a.ph, a.sh, i);
      phase_taps(&taps.columns, a.KW, a.dw, a.pw, a.sw, j);
      const Correlation p(M, a.OH, a.OW, rows, columns, taps.rows, taps.columns, 1, 1,
                          rows * columns);
      const Batch b{a.N,       a.groups,   dy,   w,
                    nullptr,   M,          C,    M * C * kernel,
                    kernel,    C * kernel, a.KW, static_cast<T*>(dx) + i * a.W + j,
                    a.H * a.W, a.sh * a.W, a.sw, nanoseconds(a, t) / double(a.sh * a.sw)};
      run_correlation<T>(p, b, taps.rows, taps.columns, t);
    }
}

// ---- sums over images in chunks that depend on the sizes only ----------------------------------
// work(begin, end, dw): adds units [begin, end) into dw, which starts at zero.
template <class T, class F>
void sum_in_chunks(int64_t units, int64_t elements, double ns, T* dw, F&& work) {
  int64_t chunks = std::clamp<int64_t>((int64_t(4) << 20) / std::max<int64_t>(1, elements), 2, 16);
  chunks = std::min(chunks, std::max<int64_t>(1, int64_t(ns / 10000)));
  chunks = std::max<int64_t>(1, std::min(chunks, units));
  std::memset(dw, 0, size_t(elements) * sizeof(T));
  if (chunks == 1) return work(0, units, dw);
  Scratch sums(size_t(elements * (chunks - 1)) * sizeof(T));
  T* const rest = sums.as<T>();
  parallel_rows(chunks, ns / double(chunks), [&](int64_t b, int64_t e) {
    for (int64_t c = b; c < e; ++c) {
      T* const to = c ? rest + (c - 1) * elements : dw;
      if (c) std::memset(to, 0, size_t(elements) * sizeof(T));
      work(units * c / chunks, units * (c + 1) / chunks, to);
    }
  });
  parallel_rows(elements, 0.3 * double(chunks), [&](int64_t b, int64_t e) {
    for (int64_t c = 0; c + 1 < chunks; ++c)
      for (int64_t i = b; i < e; ++i) dw[i] += rest[c * elements + i];
  });
}

template <class T>
void direct_weight_grad(const ConvGeometry& a, Compute t, const void* x, const void* dy, void* dw) {
  TapTables taps(a);
  forward_taps(&taps.rows, a.KH, a.dh, a.ph);
  forward_taps(&taps.columns, a.KW, a.dw, a.pw);
  const int64_t C = a.C / a.groups, M = a.M / a.groups, K = C * a.KH * a.KW;
  const Correlation p(C, a.H, a.W, a.OH, a.OW, taps.rows, taps.columns, a.sh, a.sw, kOuterOutputs);
  const int64_t plane = a.OH * a.OW;
  // Small planes: several images at a time, so that lanes are added up less often.
  const int64_t together =
      p.blocks > 1 ? 1
                   : std::clamp<int64_t>(kUnrolledElements / p.elements, 1,
                                         std::max<int64_t>(1, kOuterOutputs / 2 / plane));
  const int64_t sets = (a.N + together - 1) / together;
  sum_in_chunks(sets * p.blocks, a.M * K, nanoseconds(a, t), static_cast<T*>(dw),
                [&](int64_t begin, int64_t end, T* sum) {
                  Scratch u(size_t(p.elements * together) * sizeof(T));
                  for (int64_t unit = begin; unit < end; ++unit)
                    for (int64_t g = 0; g < a.groups; ++g) {
                      const int64_t block = unit % p.blocks, image = unit / p.blocks * together;
                      ConvArgs f = p.block(block);
                      ConvOuterArgs o{};
                      o.images = std::min(together, a.N - image);
                      for (int64_t i = 0; i < o.images; ++i) {
                        f.x = static_cast<const T*>(x) + ((image + i) * a.C + g * C) * a.H * a.W;
                        f.u = u.as<T>() + i * p.elements;
                        cpu_kernels().conv.unroll[t](f);
                      }
                      o.g = static_cast<const T*>(dy) + (image * a.M + g * M) * plane +
                            p.first(block) * a.OW;
                      o.g_image = a.M * plane, o.g_m = plane;
                      o.u = u.as<T>(), o.u_image = p.elements;
                      o.place = f.place;
                      o.M = M, o.K = K, o.P = f.T * f.Q;
                      o.dw = sum + g * M * K;
                      cpu_kernels().conv.outer[t](o);
                    }
                });
}

// ---- im2col and a matrix product ---------------------------------------------------------------
// One image and group at a time; f(image, group, columns or null when they are x itself).
template <class T>
struct Patches {
  explicit Patches(const ConvGeometry& a)
      : a(a), C(a.C / a.groups), M(a.M / a.groups), K(C * a.KH * a.KW), P(a.OH * a.OW) {
    args.C = C, args.H = a.H, args.W = a.W, args.KH = a.KH, args.KW = a.KW;
    args.OH = a.OH, args.OW = a.OW, args.sh = a.sh, args.sw = a.sw;
    args.ph = a.ph, args.pw = a.pw, args.dh = a.dh, args.dw = a.dw;
  }
  size_t bytes() const { return pointwise(a) ? 0 : size_t(K * P) * sizeof(T); }
  const T* columns(const T* x, T* scratch, Compute t) const {
    if (!scratch) return x;
    PatchArgs p = args;
    p.x = const_cast<T*>(x);
    p.columns = scratch;
    cpu_kernels().conv.im2col[t](p);
    return scratch;
  }
  const ConvGeometry& a;
  const int64_t C, M, K, P;
  PatchArgs args{};
};

template <class T>
void patches_forward(const ConvGeometry& a, Compute t, const T* x, const T* w, const T* bias,
                     T* y) {
  const Patches<T> p(a);
  const int64_t tasks = a.N * a.groups;
  parallel_rows(tasks, nanoseconds(a, t) / double(tasks), [&](int64_t begin, int64_t end) {
    Scratch scratch(p.bytes());
    for (int64_t task = begin; task < end; ++task) {
      const int64_t g = task % a.groups;
      const T* const columns = p.columns(x + task * p.C * a.H * a.W, scratch.as<T>(), t);
      Epilogue epilogue;
      epilogue.row_bias = bias ? bias + g * p.M : nullptr;
      gemm_serial<T>(false, false, p.M, p.P, p.K, w + g * p.M * p.K, p.K, columns, p.P,
                     y + task * p.M * p.P, p.P, false, &epilogue);
    }
  });
}
template <class T>
void patches_input_grad(const ConvGeometry& a, Compute t, const T* dy, const T* w, T* dx) {
  const Patches<T> p(a);
  const int64_t tasks = a.N * a.groups, plane = p.C * a.H * a.W;
  parallel_rows(tasks, nanoseconds(a, t) / double(tasks), [&](int64_t begin, int64_t end) {
    Scratch scratch(p.bytes());
    for (int64_t task = begin; task < end; ++task) {
      T* const to = dx + task * plane;
      T* const columns = p.bytes() ? scratch.as<T>() : to;
      gemm_serial<T>(true, false, p.K, p.P, p.M, w + task % a.groups * p.M * p.K, p.K,
                     dy + task * p.M * p.P, p.P, columns, p.P);
      if (columns == to) continue;
      std::memset(to, 0, size_t(plane) * sizeof(T));
      PatchArgs args = p.args;
      args.x = to;
      args.columns = columns;
      cpu_kernels().conv.col2im[t](args);
    }
  });
}
template <class T>
void patches_weight_grad(const ConvGeometry& a, Compute t, const T* x, const T* dy, T* dw) {
  const Patches<T> p(a);
  sum_in_chunks(a.N, a.M * p.K, nanoseconds(a, t), dw, [&](int64_t begin, int64_t end, T* sum) {
    Scratch scratch(p.bytes());
    for (int64_t task = begin * a.groups; task < end * a.groups; ++task) {
      const T* const columns = p.columns(x + task * p.C * a.H * a.W, scratch.as<T>(), t);
      gemm_serial<T>(false, true, p.M, p.K, p.P, dy + task * p.M * p.P, p.P, columns, p.P,
                     sum + task % a.groups * p.M * p.K, p.K, true);
    }
  });
}

template <class T>
void forward(const ConvGeometry& a, Compute t, const void* x, const void* w, const void* bias,
             void* y) {
  if (!by_patches(a)) return direct_forward<T>(a, t, x, w, bias, y);
  patches_forward<T>(a, t, static_cast<const T*>(x), static_cast<const T*>(w),
                     static_cast<const T*>(bias), static_cast<T*>(y));
}
template <class T>
void input_grad(const ConvGeometry& a, Compute t, const void* dy, const void* w, void* dx) {
  if (!by_patches(a)) return direct_input_grad<T>(a, t, dy, w, dx);
  patches_input_grad<T>(a, t, static_cast<const T*>(dy), static_cast<const T*>(w),
                        static_cast<T*>(dx));
}
template <class T>
void weight_grad(const ConvGeometry& a, Compute t, const void* x, const void* dy, void* dw) {
  if (!by_patches(a)) return direct_weight_grad<T>(a, t, x, dy, dw);
  patches_weight_grad<T>(a, t, static_cast<const T*>(x), static_cast<const T*>(dy),
                         static_cast<T*>(dw));
}

}  // namespace

void conv_forward(const ConvGeometry& a, Compute t, const void* x, const void* w, const void* bias,
                  void* y) {
  if (a.N * a.M * a.OH * a.OW == 0) return;
  (t == kF64 ? forward<double> : forward<float>)(a, t, x, w, bias, y);
}
void conv_input_grad(const ConvGeometry& a, Compute t, const void* dy, const void* w, void* dx) {
  if (a.N * a.C * a.H * a.W == 0) return;
  (t == kF64 ? input_grad<double> : input_grad<float>)(a, t, dy, w, dx);
}
void conv_weight_grad(const ConvGeometry& a, Compute t, const void* x, const void* dy, void* dw) {
  if (a.M * a.C * a.KH * a.KW == 0) return;
  (t == kF64 ? weight_grad<double> : weight_grad<float>)(a, t, x, dy, dw);
}

}  // namespace lamina
