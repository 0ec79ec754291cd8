// Arguments and table entries of the conv kernels (included by kernels.h inside namespace lamina).
#pragma once

// What becomes of a sum before it is stored, of output channel m: bias, then what plans join to the
// convolution, in the order and with the roundings of separate calls:
//   v = sum + bias[m];  v = (v - mean[m]) scale[m] + shift[m];  v = v + summand;  v = max(0, v)
struct ConvEpilogue {
  const void* bias = nullptr;                                      // one per channel, or null
  const void *mean = nullptr, *scale = nullptr, *shift = nullptr;  // the same, all or none
  const void* summand = nullptr;                                   // laid out as y, or null
  bool summand_first = false, relu = false;

  bool more() const { return mean || summand || relu; }
  // That of the channels from `channel` on, and of y from `element` on.
  template <class T>
  ConvEpilogue from(int64_t channel, int64_t element) const {
    ConvEpilogue e = *this;
    const void** const numbers[] = {&e.bias, &e.mean, &e.scale, &e.shift};
    for (const void** p : numbers)
      if (*p) *p = static_cast<const T*>(*p) + channel;
    if (summand) e.summand = static_cast<const T*>(summand) + element;
    return e;
  }
  // The bias alone.
  ConvEpilogue first() const {
    ConvEpilogue e;
    e.bias = bias;
    return e;
  }
  // What follows the bias.
  ConvEpilogue rest() const {
    ConvEpilogue e = *this;
    e.bias = nullptr;
    return e;
  }
};

// A correlation of C planes (H, W) at one block of outputs, T rows of Q:
//   y[m, t, q] = bias[m] + sum over c, r, s of
//                w[m, c, r, s] x[c, t row_stride + row(r), q column_stride + column(s)]
// with zeros outside x. Forward convolution, and each phase of a data gradient, is one of these.
//
// u holds, for each c and each of `planes` first columns, the rows of x that the row taps reach,
// rows of one residue modulo row_stride together, and of each row every column_stride-th element.
// So tap k = (c, r, s) of output (t, q) is u[place[k] + t * width + q].
struct ConvArgs {
  const void* x;
  int64_t C, H, W;
  int64_t T, Q;  // T <= the block's rows that u was laid out for
  int64_t row_stride, column_stride;
  int64_t first_row;  // of x, for row 0 of residue 0
  int64_t taps, planes;
  const int64_t* plane_column;  // of x, for column 0 of each plane
  int64_t residues;             // row_stride, or 0 when there are no taps
  const int64_t* residue_rows;  // rows held of each residue when T is the full block
  int64_t missing;              // full block's rows - T
  int64_t width;                // columns held
  void* u;                      // C * planes * sum(residue_rows) * width, and some slack
  const int64_t* place;         // C * taps entries

  const void* w;  // rows of tiles: [tile][k][rows of the tile]
  int64_t M;
  void* y;  // element (m, t, q) at y[m * y_m + t * Q + q]
  int64_t y_m;
  ConvEpilogue epilogue;
};
// y[m * y_m + p] from the sum from[m * from_m + p], for p < P and channels m < M; y may be `from`.
struct ConvFinishArgs {
  const void* from;
  int64_t from_m;
  void* y;
  int64_t y_m, M, P;
  ConvEpilogue epilogue;
};
// Column phases of a data gradient side by side:
// y[m * y_m + t * y_t + q * phases + j] = from[j * from_phase + m * from_m + t * Q + q], W per row.
struct ConvWeaveArgs {
  const void* from;
  int64_t from_phase, from_m;
  int64_t M, T, Q, phases, W;
  void* y;
  int64_t y_m, y_t;
};
// sum[k, m, lane] += sum over images and outputs of g[image, m, t, q] u[image, place[k] + t width +
// q]
struct ConvOuterArgs {
  const void* g;  // element (image, m, t, q) at image * g_image + m * g_m + t * Q + q
  int64_t g_image, g_m;
  const void* u;
  int64_t u_image;
  const int64_t* place;
  int64_t images, M, K, T, Q, width;
  void* sum;  // (K, M, lanes)
};
// dw[m * K + k] = over lanes, and over `sums` of them sum_step elements apart, for k in [begin,
// end).
struct ConvOuterSumArgs {
  const void* sum;
  int64_t sums, sum_step, M, K, begin, end;
  void* dw;
};

// Patches of one image: columns[(c, r, s), (i, j)] = x[c, i sh + r dh - ph, j sw + s dw - pw], rows
// `stride` apart.
struct PatchArgs {
  void *x, *columns;
  int64_t stride;
  int64_t C, H, W, KH, KW, OH, OW, sh, sw, ph, pw, dh, dw;
};

// M rows in tiles of nearly equal height, at most `most`.
inline int64_t conv_tiles(int64_t m, int64_t most) { return (m + most - 1) / most; }
inline int64_t conv_tile_begin(int64_t m, int64_t most, int64_t tile) {
  const int64_t n = conv_tiles(m, most);
  return tile * (m / n) + (tile < m % n ? tile : m % n);
}
inline int64_t conv_padded(int64_t m, int64_t lanes) { return (m + lanes - 1) / lanes * lanes; }

struct ConvKernels {  // [kF32 or kF64]
  void (*unroll[2])(const ConvArgs&) = {};
  void (*correlate[2])(const ConvArgs&) = {};
  void (*finish[2])(const ConvFinishArgs&) = {};
  void (*weave[2])(const ConvWeaveArgs&) = {};
  void (*outer[2])(const ConvOuterArgs&) = {};
  void (*outer_sums[2])(const ConvOuterSumArgs&) = {};
  void (*im2col[2])(const PatchArgs&) = {};
  void (*col2im[2])(const PatchArgs&) = {};  // x += patches, in order of taps
  int tile_rows = 0;                         // most rows of w in a tile
  int lanes[2] = {};                         // outputs in a vector
};
