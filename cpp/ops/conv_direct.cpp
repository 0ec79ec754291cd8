// Direct convolution, cut into blocks of one image (the loops are in conv_cpu.h).
//
// Forward and data gradient: a task is one image, group and block of output rows, whose unrolled
// source stays in L2. The data gradient of a strided convolution is sh * sw phases, each an
// ordinary correlation of dy with every sh-th, sw-th tap. Weight gradient: a fixed number of chunks
// (by the sizes only), each with its own sum, added in order.
#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"

namespace lamina {
namespace {

constexpr int64_t kUnrolledElements = 96 * 1024;  // of a block: half of a 1 MB L2, less the rest
constexpr int64_t kTogether = 1024;  // outputs of the images of a weight gradient's block

// One dimension of a correlation: for each tap, the source position of output 0 and the index in
// the kernel.
struct Taps {
  std::vector<int64_t> offset, index;
  int64_t size() const { return int64_t(offset.size()); }
  int64_t least() const { return *std::min_element(offset.begin(), offset.end()); }
  int64_t most() const { return *std::max_element(offset.begin(), offset.end()); }
};
Taps forward_taps(int64_t n, int64_t dilation, int64_t pad) {
  Taps taps;
  for (int64_t r = 0; r < n; ++r) {
    taps.offset.push_back(r * dilation - pad);
    taps.index.push_back(r);
  }
  return taps;
}
// The taps that bring gradient to positions phase, phase + stride, ...
Taps phase_taps(int64_t n, int64_t dilation, int64_t pad, int64_t stride, int64_t phase) {
  Taps taps;
  for (int64_t r = n - 1; r >= 0; --r) {
    const int64_t at = phase + pad - r * dilation;
    if (at % stride) continue;
    taps.offset.push_back(at / stride);
    taps.index.push_back(r);
  }
  return taps;
}

// Outputs of one image cut into blocks: rows, or pieces of a single row.
struct Blocks {
  int64_t T, Q, rows, columns, n;
  Blocks(int64_t T, int64_t Q, int64_t per_output, int64_t halo, int64_t lanes) : T(T), Q(Q) {
    const int64_t fit = std::max<int64_t>(kUnrolledElements / std::max<int64_t>(1, per_output), 1);
    rows = std::clamp<int64_t>(std::max(fit / Q - halo, halo), 1, T);
    rows = (T + (T + rows - 1) / rows - 1) / ((T + rows - 1) / rows);
    columns = Q;
    if (T == 1 && fit < Q) columns = std::max<int64_t>(fit / lanes, 4) * lanes;
    n = (T + rows - 1) / rows * ((Q + columns - 1) / columns);
  }
  // Blocks of rows when T > 1, of columns when T is 1.
  int64_t row(int64_t b) const { return T == 1 ? 0 : b * rows; }
  int64_t column(int64_t b) const { return T == 1 ? b * columns : 0; }
};

// The tables of ConvArgs for one correlation. lanes: outputs are taken in vectors of this many.
class Correlation {
 public:
  Correlation(int64_t C, int64_t H, int64_t W, const Blocks& blocks, const Taps& rows,
              const Taps& columns, int64_t sr, int64_t sc, int64_t lanes)
      : blocks_(blocks) {
    args_.C = C, args_.H = H, args_.W = W;
    args_.row_stride = sr, args_.column_stride = sc;
    args_.taps = rows.size() * columns.size();
    args_.width = blocks.columns;
    if (args_.taps == 0) return;
    // Columns: planes shared by taps a whole number of steps apart. Where rows of outputs are no
    // whole vectors, outputs are computed `width` to a row, and those past Q left out; a single
    // channel rather gets a plane for each column, so that its outputs are one run.
    const bool whole = blocks.T == 1 || blocks.Q % lanes == 0, shared = whole || C > 1;
    const int64_t left = columns.least();
    std::vector<int64_t> plane, shift;
    for (const int64_t offset : columns.offset) {
      const int64_t first = shared ? left + (offset - left) % sc : offset;
      const auto at = std::find(plane_column_.begin(), plane_column_.end(), first);
      plane.push_back(at - plane_column_.begin());
      if (at == plane_column_.end()) plane_column_.push_back(first);
      shift.push_back((offset - first) / sc);
      args_.width = std::max(args_.width, blocks.columns + shift.back());
    }
    args_.planes = int64_t(plane_column_.size());
    wide_ = !whole && args_.width > blocks.columns;
    // Rows: one residue modulo the stride after another.
    const int64_t top = rows.least();
    args_.first_row = top;
    args_.residues = sr;
    residue_rows_.assign(size_t(sr), 0);
    for (const int64_t offset : rows.offset) {
      int64_t& held = residue_rows_[size_t((offset - top) % sr)];
      held = std::max(held, blocks.rows + (offset - top) / sr);
    }
    int64_t total = 0;
    std::vector<int64_t> first(static_cast<size_t>(sr));
    for (int64_t i = 0; i < sr; ++i) {
      first[size_t(i)] = total;
      total += residue_rows_[size_t(i)];
    }
    for (int64_t c = 0; c < C; ++c)
      for (const int64_t offset : rows.offset)
        for (size_t s = 0; s < plane.size(); ++s) {
          const int64_t row = first[size_t((offset - top) % sr)] + (offset - top) / sr;
          place_.push_back(((c * args_.planes + plane[s]) * total + row) * args_.width + shift[s]);
        }
    elements_ = C * args_.planes * total * args_.width + args_.width + 64;
  }

  // Unrolls a block of x into u; what is left to fill in of the result: w, bias, M, y.
  template <class T>
  ConvArgs block(int64_t b, const T* x, T* u) const {
    ConvArgs a = args_;
    const int64_t row = blocks_.row(b), column = blocks_.column(b);
    a.x = x;
    a.u = u;
    a.T = std::min(blocks_.rows, blocks_.T - row);
    a.Q = std::min(blocks_.columns, blocks_.Q - column);
    a.missing = blocks_.rows - a.T;
    a.first_row += row * a.row_stride;
    std::vector<int64_t> shifted;
    a.plane_column = plane_column_.data();
    if (column) {
      shifted = plane_column_;
      for (int64_t& c : shifted) c += column * a.column_stride;
      a.plane_column = shifted.data();
    }
    a.residue_rows = residue_rows_.data();
    a.place = place_.data();
    if (a.taps) cpu_kernels().conv.unroll[kConvType<T>](a);
    a.plane_column = nullptr;
    return a;
  }
  // y of a block from its u, w and the rest; `rows` has room for M outputs `wide` each.
  template <class T>
  void correlate(ConvArgs a, T* rows) const {
    const ConvKernels& kernels = cpu_kernels().conv;
    const Compute t = kConvType<T>;
    if (!wide_) return kernels.correlate[t](a);
    const ConvFinishArgs sum{a.y, a.y_m, a.y, a.y_m, a.M, a.T * a.Q, a.epilogue.rest()};
    if (a.epilogue.summand) a.epilogue = a.epilogue.first();
    ConvWeaveArgs v{};
    v.M = a.M, v.T = a.T, v.Q = a.width, v.phases = 1, v.W = a.Q;
    v.y = a.y, v.y_m = a.y_m, v.y_t = a.Q;
    v.from = rows, v.from_m = a.T * a.width;
    a.Q = a.width, a.y = rows, a.y_m = v.from_m;
    kernels.correlate[t](a);
    kernels.weave[t](v);
    if (sum.epilogue.summand) kernels.finish[t](sum);
  }
  int64_t wide() const { return wide_ ? blocks_.rows * args_.width : 0; }
  int64_t elements() const { return elements_; }

 private:
  Blocks blocks_;
  ConvArgs args_{};
  int64_t elements_ = 64;
  bool wide_ = false;
  std::vector<int64_t> plane_column_, residue_rows_, place_;
};

// Where an element of w lies: w[group * wg + m * wm + c * wc + r * KW + s].
struct Weights {
  int64_t groups, M, C, wg, wm, wc, KW;
};
// w as tiles: out[group][tile][(c, r, s)][m of the tile].
template <class T>
void pack_weights(const T* w, T* out, const Weights& a, const Taps& rows, const Taps& columns) {
  const int64_t most = cpu_kernels().conv.tile_rows, K = a.C * rows.size() * columns.size();
  const int64_t tiles = conv_tiles(a.M, most);
  parallel_rows(a.groups * tiles, double(K * most), [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) {
      const int64_t g = i / tiles, tile = i % tiles;
      const int64_t m0 = conv_tile_begin(a.M, most, tile),
                    m1 = conv_tile_begin(a.M, most, tile + 1);
      T* to = out + (g * a.M + m0) * K;
      for (int64_t c = 0; c < a.C; ++c)
        for (const int64_t r : rows.index)
          for (const int64_t s : columns.index) {
            const T* const from = w + g * a.wg + c * a.wc + r * a.KW + s;
            for (int64_t m = m0; m < m1; ++m) *to++ = from[m * a.wm];
          }
    }
  });
}

}  // namespace

template <class T>
void DirectConv<T>::forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                            const ConvEpilogue& e, T* y) {
  const Compute t = kConvType<T>;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, K = C * a.KH * a.KW;
  const int64_t lanes = cpu_kernels().conv.lanes[t];
  const Taps rows = forward_taps(a.KH, a.dh, a.ph), columns = forward_taps(a.KW, a.dw, a.pw);
  const Blocks blocks(a.OH, a.OW, C * std::min(a.KW, a.sw) * std::min(a.KH, a.sh),
                      (a.KH - 1) * a.dh / a.sh, lanes);
  const Correlation p(C, a.H, a.W, blocks, rows, columns, a.sh, a.sw, lanes);
  Scratch packed(size_t(a.M * K) * sizeof(T));
  pack_weights(w.given, packed.as<T>(), {a.groups, M, C, M * K, K, a.KH * a.KW, a.KW}, rows,
               columns);
  const int64_t tasks = a.N * a.groups * blocks.n;
  parallel_rows(tasks, a.nanoseconds(t) / double(tasks), [&](int64_t begin, int64_t end) {
    Scratch u(size_t(p.elements()) * sizeof(T)), wide(size_t(M * p.wide()) * sizeof(T));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t b = task % blocks.n, ng = task / blocks.n, g = ng % a.groups;
      ConvArgs f = p.block(b, x + ng * C * a.H * a.W, u.as<T>());
      f.w = packed.as<T>() + g * M * K;
      const int64_t at = ng * M * a.OH * a.OW + blocks.row(b) * a.OW + blocks.column(b);
      f.epilogue = e.from<T>(g * M, at);
      f.M = M;
      f.y = y + at;
      f.y_m = a.OH * a.OW;
      p.correlate(f, wide.as<T>());
    }
  });
}

template <class T>
void DirectConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  const Compute t = kConvType<T>;
  const ConvKernels& kernels = cpu_kernels().conv;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, kernel = a.KH * a.KW;
  const Weights weights{a.groups, C, M, M * C * kernel, kernel, C * kernel, a.KW};
  const bool dense = a.sh == 1 && a.sw == 1;
  const int64_t width = (a.W + a.sw - 1) / a.sw;  // of a phase
  Scratch packed(size_t(a.C * M * a.KH * a.KW) * sizeof(T));
  for (int64_t i = 0; i < std::min(a.sh, a.H); ++i) {  // row phases
    const Taps rows = phase_taps(a.KH, a.dh, a.ph, a.sh, i);
    const Blocks blocks((a.H - i + a.sh - 1) / a.sh, width, M, (a.KH - 1) * a.dh / a.sh,
                        kernels.lanes[t]);
    std::deque<Correlation> phases;  // column phases
    std::vector<T*> packed_at;
    T* to = packed.as<T>();
    int64_t elements = 0, most_wide = 0;
    for (int64_t j = 0; j < a.sw; ++j) {
      const Taps columns = phase_taps(a.KW, a.dw, a.pw, a.sw, j);
      phases.emplace_back(M, a.OH, a.OW, blocks, rows, columns, 1, 1, kernels.lanes[t]);
      pack_weights(w, to, weights, rows, columns);
      packed_at.push_back(to);
      to += a.C * M * rows.size() * columns.size();
      elements = std::max(elements, phases.back().elements());
      most_wide = std::max(most_wide, phases.back().wide());
    }
    const int64_t outputs = blocks.rows * blocks.columns;
    const int64_t tasks = a.N * a.groups * blocks.n;
    const double ns = a.nanoseconds(t) / double(tasks * std::min(a.sh, a.H));
    parallel_rows(tasks, ns, [&](int64_t begin, int64_t end) {
      Scratch u(size_t(elements) * sizeof(T)), wide(size_t(C * most_wide) * sizeof(T));
      Scratch phase(dense ? 0 : size_t(a.sw * C * outputs) * sizeof(T));
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task % blocks.n, ng = task / blocks.n, g = ng % a.groups;
        T* const at =
            dx + ng * C * a.H * a.W + (i + blocks.row(b) * a.sh) * a.W + blocks.column(b) * a.sw;
        ConvWeaveArgs v{};
        for (int64_t j = 0; j < a.sw; ++j) {
          const Correlation& p = phases[size_t(j)];
          ConvArgs f = p.block(b, dy + ng * M * a.OH * a.OW, u.as<T>());
          f.w = packed_at[size_t(j)] + g * C * M * f.taps;
          f.M = C;
          f.y = dense ? at : phase.as<T>() + j * C * outputs;
          f.y_m = dense ? a.H * a.W : outputs;
          p.correlate(f, wide.as<T>());
          v.T = f.T, v.Q = f.Q;
        }
        if (dense) continue;
        v.from = phase.as<T>();
        v.from_phase = C * outputs, v.from_m = outputs;
        v.M = C, v.phases = a.sw;
        v.W = std::min(v.Q * a.sw, a.W - blocks.column(b) * a.sw);
        v.y = at, v.y_m = a.H * a.W, v.y_t = a.sh * a.W;
        kernels.weave[t](v);
      }
    });
  }
}

template <class T>
void DirectConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  const Compute t = kConvType<T>;
  const ConvKernels& kernels = cpu_kernels().conv;
  const int64_t C = a.C / a.groups, M = a.M / a.groups, K = C * a.KH * a.KW;
  const int64_t lanes = kernels.lanes[t];
  const Taps rows = forward_taps(a.KH, a.dh, a.ph), columns = forward_taps(a.KW, a.dw, a.pw);
  const Blocks blocks(a.OH, a.OW, C * std::min(a.KW, a.sw) * std::min(a.KH, a.sh),
                      (a.KH - 1) * a.dh / a.sh, lanes);
  const Correlation p(C, a.H, a.W, blocks, rows, columns, a.sh, a.sw, 1);
  const int64_t plane = a.OH * a.OW;
  // Small planes: several images at a time, so that sums are loaded and stored less often.
  const int64_t together = blocks.n > 1
                               ? 1
                               : std::clamp<int64_t>(kUnrolledElements / p.elements(), 1,
                                                     std::max<int64_t>(1, kTogether / plane));
  const int64_t units = (a.N + together - 1) / together * blocks.n;
  const int64_t elements = a.groups * K * M * lanes;
  const double ns = a.nanoseconds(t);
  const int64_t chunks = conv_chunks(units, elements, ns);
  Scratch sums(size_t(elements * chunks) * sizeof(T));
  parallel_rows(chunks, ns / double(chunks), [&](int64_t begin, int64_t end) {
    Scratch u(size_t(p.elements() * together) * sizeof(T));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      T* const sum = sums.as<T>() + chunk * elements;
      std::memset(static_cast<void*>(sum), 0, size_t(elements) * sizeof(T));
      for (int64_t unit = units * chunk / chunks; unit < units * (chunk + 1) / chunks; ++unit)
        for (int64_t g = 0; g < a.groups; ++g) {
          const int64_t b = unit % blocks.n, image = unit / blocks.n * together;
          ConvOuterArgs o{};
          o.images = std::min(together, a.N - image);
          for (int64_t i = 0; i < o.images; ++i) {
            const ConvArgs f = p.block(b, x + ((image + i) * a.C + g * C) * a.H * a.W,
                                       u.as<T>() + i * p.elements());
            o.T = f.T, o.Q = f.Q, o.width = f.width, o.place = f.place;
          }
          o.g = dy + (image * a.M + g * M) * plane + blocks.row(b) * a.OW + blocks.column(b);
          o.g_image = a.M * plane, o.g_m = plane;
          o.u = u.as<T>(), o.u_image = p.elements();
          o.M = M, o.K = K;
          o.sum = sum + g * K * M * lanes;
          kernels.outer[t](o);
        }
    }
  });
  parallel_rows(a.groups * K, double(M * chunks) * 3, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels.outer_sums[t]({sums.as<T>() + i / K * K * M * lanes, chunks, elements, M, K, i % K,
                             i % K + 1, dw + i / K * M * K});
  });
}

template struct DirectConv<float>;
template struct DirectConv<double>;

}  // namespace lamina
