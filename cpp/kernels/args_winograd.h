// Arguments and table entries of the Winograd kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// Tiles of m x m outputs (m = 2 or 4), whose transforms have e = m + 2 rows and columns. A block is
// `rows` tile rows, `across` tiles each, of `images` images: P tiles, image by image. Transformed
// tiles lie as e * e matrices (channels / L, P, L), `plane` apart, L lanes.
struct WinogradArgs {
  int64_t images, x_image, y_image;  // elements from one image to the next (y and g: y_image)
  const void* x;  // (C, H, W), zeros outside; output (0, 0) sees x from (-ph, -pw) on
  int64_t C, H, W, ph, pw;
  int64_t row, rows, across;
  // What is done of it: blocks of channels (inputs, gradients) or matrices (outer).
  int64_t begin, end;
  const int64_t* column;  // 0, L, 2 L, ... for each column of x or y
  void* pixels;           // winograd_pixels(m, rows, across) vectors
  void* v;                // of x: B^T d B
  int64_t v_plane;

  const void* w;  // (e * e, panels of conv_lanes.h's kLaneVecs blocks, C, lanes of the panel)
  ConvEpilogue epilogue;
  int64_t M;
  void* q;  // of the outputs: their sums over C, or A dy A^T
  int64_t q_plane;
  void* y;  // (M, OH, OW)
  int64_t OH, OW;

  // Weight gradient.
  const void* g;  // (M, OH, OW)
  void* sum;      // laid out as w
  bool add;       // to what sum holds
};
// By rows (winograd_rows_cpu.h): vectors of channels, in and out, and transformed vectors of a row.
constexpr int64_t kWinogradVectors = 2, kWinogradRow = 32;
// Vectors of a block's padded input, or of its outputs, L channels at a time.
inline int64_t winograd_pixels(int64_t m, int64_t rows, int64_t across) {
  return (m * rows + 2) * (m * across + 2);
}
// Elements from one matrix of w or sum to the next: a cache line more than a multiple of C, so that
// the matrices do not share cache sets.
inline int64_t winograd_matrix(int64_t C, int64_t M, int64_t lanes) {
  return (C * ((M + lanes - 1) / lanes) + 1) * lanes;
}
// w[o * wo + c * wc + 3 r + s], r and s reversed when flip, transformed for the outputs of blocks
// [block, block_end) and channels [c, c_end).
struct WinogradWeightsArgs {
  const void* w;
  int64_t wo, wc, M, C, block, block_end, c, c_end;
  bool flip;
  void* out;
};
// dw[m, c, r, s] = G^T (sum of `sums`, `sum_step` elements apart) G for m of block `block`.
struct WinogradSumArgs {
  const void* sum;
  int64_t sums, sum_step, C, M, block;
  void* dw;  // (M, C, 3, 3)
};

struct WinogradKernels {  // [m = 4][kF32 or kF64]
  void (*weights[2][2])(const WinogradWeightsArgs&) = {};
  void (*inputs[2][2])(const WinogradArgs&) = {};     // v from x
  void (*forward[2][2])(const WinogradArgs&) = {};    // y from v and w
  void (*gradients[2][2])(const WinogradArgs&) = {};  // q from g
  void (*outer[2][2])(const WinogradArgs&) = {};      // sum from v and q
  void (*finish[2][2])(const WinogradSumArgs&) = {};
  // m = 2, one to kWinogradVectors vectors of channels (of outer_rows: one), 2 or more rows.
  void (*rows[2])(const WinogradArgs&) = {};        // y from x and w
  void (*outer_rows[2])(const WinogradArgs&) = {};  // sum from x and g
};
