// Arguments and table entries of convolution with channels in the lanes (included by kernels.h
// inside namespace lamina). L: lanes; blocks: groups of L channels; panels: pairs of blocks of
// outputs.
#pragma once

// Where a tap's inputs and weights lie, from the strip's and the panel's first.
struct ConvTap {
  int64_t a, b;
};
// Positions whose vectors follow one another, of inputs and of outputs' gradients.
struct ConvRun {
  int64_t a, b, rows;
};
// Outputs whose inputs follow one another: `rows` of them, from c on, c_row apart.
struct ConvStrip {
  int64_t c, c_row, rows;
  const ConvTap* taps;
  int64_t n_taps;
};

// Rows [row, row + rows) of W of C planes of some images as pixels of L channels: block b, row h,
// column w of image i lies at b * block + (h - row) * pixel_row + column[w] + i * image.
struct ConvPixels {
  const void* x;
  int64_t images, x_image, C, plane, W, row, rows;  // planes and images so many elements apart
  void* pixels;
  int64_t block, pixel_row, image;
  const int64_t* column;
};
struct ConvLanesArgs {
  ConvPixels u;              // inputs; filled by `gather`
  ConvPixels v;              // outputs, a panel at a time (forward), or their gradients (outer)
  int64_t u_shift, v_shift;  // of the strips' and runs' places

  const ConvStrip* strips;
  int64_t n_strips;
  const void* w;             // (panels, taps, C, lanes of the panel)
  int64_t block, block_end;  // forward: of outputs, whole panels
  ConvEpilogue epilogue;

  int64_t taps;          // of the kernel
  const ConvRun* runs;   // of one tap after another
  const int64_t* begin;  // tap t's runs: [begin[2 t], begin[2 t + 1])
  void* sum;             // as w
  bool add;              // to what sum holds
};
// w[m * wo + c * wc + t] for t < taps as panels, for m's blocks [block, block_end), c in [c,
// c_end).
struct ConvPackArgs {
  const void* w;
  int64_t wo, wc, M, C, taps, block, block_end, c, c_end;
  void* out;
};
// dw[(m * C + c) * taps + t] = the sum of `sums` of them, sum_step elements apart, for m of
// `block`.
struct ConvUnpackArgs {
  const void* sum;
  int64_t sums, sum_step, M, C, taps, block;
  void* dw;
};

// Depthwise: one block of L channels, each with taps of its own.
struct DepthwiseArgs {
  ConvPixels u, v;
  int64_t u_shift, v_shift;
  const ConvStrip* strips;
  int64_t n_strips, taps;
  const void* w;  // taps weights each, w_channel apart
  int64_t w_channel;
  ConvEpilogue epilogue;  // its channels epilogue_channel apart
  int64_t epilogue_channel;
  const ConvRun* runs;  // as in ConvLanesArgs
  const int64_t* begin;
  void* sum;  // (taps, L) +=; forward: room for the weights of more than 256 taps
};
struct DepthwiseSumArgs {  // dw from `sums` of them
  const void* sum;
  int64_t sums, sum_step, taps, C, w_channel;
  void* dw;
};
struct DepthwiseKernels {                         // [kF32 or kF64]
  void (*forward[2])(const DepthwiseArgs&) = {};  // y from x and w
  void (*outer[2])(const DepthwiseArgs&) = {};    // sum from x and dy
  void (*finish[2])(const DepthwiseSumArgs&) = {};
};

struct ConvLanesKernels {  // [kF32 or kF64]
  void (*pack[2])(const ConvPackArgs&) = {};
  void (*gather[2])(const ConvPixels&) = {};
  // Blocks [first, last), whose first lies at `pixels`, back into planes.
  void (*scatter[2])(const ConvPixels&, int64_t first, int64_t last, const ConvEpilogue&) = {};
  void (*forward[2])(const ConvLanesArgs&) = {};  // y from u and w
  void (*outer[2])(const ConvLanesArgs&) = {};    // sum from u and v
  void (*unpack[2])(const ConvUnpackArgs&) = {};
  int panel = 0;  // blocks in a panel
};
