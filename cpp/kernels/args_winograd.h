// Arguments and table entries of the Winograd kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// Rows of 2x2 output tiles of one image and group: tile rows [row, row + rows), `across` tiles
// each; tile p = (i - row) * across + j. A transformed tile has 16 elements xi = 4 a + b.
struct WinogradArgs {
  int64_t images, x_image, y_image;  // elements from one image to the next (y and g: y_image)
  const void* x;  // (C, H, W), zeros outside; output (0, 0) sees x from (-ph, -pw) on
  int64_t C, H, W, ph, pw;
  int64_t row, rows, across;
  int64_t stride;        // from one channel's tiles to the next's: all tiles and some slack
  void* padded;          // winograd_padded(rows, across) elements
  void* v;               // (16, C, stride): B^T d B
  const int64_t* place;  // c * stride

  const void* w;     // (tiles of rows, 16, C, rows of the tile): G g G^T
  const void* bias;  // (M) or null
  int64_t M;
  void* products;  // (16, conv.tile_rows, stride)
  void* y;         // (M, OH, OW)
  int64_t OH, OW;

  // Weight gradient. g: (M, OH, OW).
  const void* g;
  void* q;    // (16, lanes * 3, stride): A dy A^T of some rows
  void* gt;   // (stride, lanes * 3)
  void* sum;  // (16, C, conv_padded(M)) +=
};
inline int64_t winograd_padded(int64_t rows, int64_t across) {
  return (2 * rows + 2) * (2 * across + 2) + 64;
}
// U = G g G^T of w[m * wm + c * wc + 3 r + s], r and s reversed when flip; m in [begin, end).
struct WinogradWeightsArgs {
  const void* w;
  int64_t wm, wc, C, begin, end;
  bool flip;
  void* out;  // (16, C, end - begin)
};
// dw[m, c, r, s] = G^T sum G
struct WinogradSumArgs {
  const void* sum;                // (16, C, padded)
  int64_t C, padded, begin, end;  // rows m
  void* dw;                       // (M, C, 3, 3)
};

struct WinogradKernels {  // [kF32 or kF64]
  void (*weights[2])(const WinogradWeightsArgs&) = {};
  void (*tiles[2])(const WinogradArgs&) = {};    // v from x
  void (*forward[2])(const WinogradArgs&) = {};  // y from v and w
  void (*outer[2])(const WinogradArgs&) = {};    // sum from v and g
  void (*finish[2])(const WinogradSumArgs&) = {};
};
