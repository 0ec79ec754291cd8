// Arguments and table entries of the conv kernels (included by kernels.h inside namespace lamina).
#pragma once

// A correlation of C planes (H, W) at one block of outputs, T rows of Q:
//   y[m, t, q] = bias[m] + sum over c, r, s of
//                w[m, c, r, s] x[c, t row_stride + row_offset[r], q column_stride +
//                column_offset[s]]
// with zeros outside x. Forward convolution, and each phase of a data gradient, is one of these.
//
// u holds, for each c and s, the rows that the row taps reach, at the Q columns tap s reaches: rows
// of one residue modulo row_stride together. So tap k = (c, r, s) of output p = t Q + q is
// u[place[k] + p]: the outputs of a block are one run for every tap.
struct ConvArgs {
  const void* x;
  int64_t C, H, W;
  int64_t T, Q;  // T <= the block's rows that u was laid out for
  int64_t row_stride, column_stride;
  int64_t first_row;  // of x, for row 0 of residue 0
  int64_t taps, columns;
  const int64_t* column_offset;
  int64_t residues;             // row_stride, or 1
  const int64_t* residue_rows;  // rows held of each residue when T is the full block
  int64_t missing;              // full block's rows - T
  void* u;                      // C * columns * sum(residue_rows) * Q, and a vector of slack
  const int64_t* place;         // C * taps entries

  const void* w;     // rows of tiles: [tile][k][conv_tile_rows(M, tile)]
  const void* bias;  // (M) or null
  int64_t M;
  void* y;  // element (m, t, q) at y[m * y_m + t * y_t + q * y_q]
  int64_t y_m, y_t, y_q;
};
// dw[m, k] += sum over images and outputs p of g[m, p] u[place[k] + p]
struct ConvOuterArgs {
  const void* g;
  int64_t g_image, g_m;  // strides of images and of rows m
  const void* u;
  int64_t u_image;
  const int64_t* place;
  int64_t images, M, K, P;
  void* dw;
};
// Patches of one image: columns[(c, r, s), (i, j)] = x[c, i sh + r dh - ph, j sw + s dw - pw].
struct PatchArgs {
  void *x, *columns;
  int64_t C, H, W, KH, KW, OH, OW, sh, sw, ph, pw, dh, dw;
};

// M rows in tiles of nearly equal height, at most `most`.
inline int64_t conv_tiles(int64_t m, int64_t most) { return (m + most - 1) / most; }
inline int64_t conv_tile_begin(int64_t m, int64_t most, int64_t tile) {
  const int64_t n = conv_tiles(m, most);
  return tile * (m / n) + (tile < m % n ? tile : m % n);
}

struct ConvKernels {  // [kF32 or kF64]
  void (*unroll[2])(const ConvArgs&) = {};
  void (*correlate[2])(const ConvArgs&) = {};
  void (*outer[2])(const ConvOuterArgs&) = {};
  void (*im2col[2])(const PatchArgs&) = {};
  void (*col2im[2])(const PatchArgs&) = {};  // x += patches, in order of taps
  int tile_rows = 0;                         // most rows of w in a tile
};
