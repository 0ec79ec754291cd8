// Arguments and table entries of the depthwise convolution kernels (included by kernels.h inside
// namespace lamina).
#pragma once

// Several planes, each with taps of its own. u holds what the taps read, rows of `width` elements,
// plane after plane, and all that once per phase (strides take every second row, ... apart). Tap k
// of output t = i * width + j of plane c is u[place[k] + c * plane + t]: a plane's outputs
// are one correlation of flat memory, with some elements between its rows that nobody reads.
struct DepthwiseArgs {
  int64_t planes;
  const void* x;  // (H, W) each, x_plane apart
  int64_t x_plane, H, W;
  int64_t row_stride, column_stride;  // of the planes of u in x: phases apart
  int64_t first_row, first_column;    // of x, at element 0 of phase 0
  int64_t rows, width;                // of a plane of u, and of `flat`
  int64_t tail, plane;                // zeros after its rows; plane = rows * width + tail
  int64_t phase_stride;               // between the phases of u
  void* u;

  int64_t K, outputs;    // taps; elements of `flat` that a plane fills
  const int64_t* place;  // K taps
  const void* w;         // K weights each, w_plane apart
  int64_t w_plane;
  const void* bias;  // one each, bias_plane apart, or null
  int64_t bias_plane;
  void* flat;  // the outputs: planes * plane, and kDepthwiseSlack

  // Rows of y from `flat`; with several column phases, columns in turn from so many flats:
  // y[i * y_row + j] = flats[j % phases][(flat_row + i) * width + columns[j % phases] + j /
  // phases].
  void* y;
  int64_t y_plane, y_row, y_rows, y_columns;
  int64_t phases, flat_stride, flat_row;
  const int64_t* columns;

  const void* g;  // (OH, OW) each, g_plane apart: the outputs' gradient
  int64_t g_plane, OH, OW;
  void* sums;  // K vectors each, sums_plane apart, added to
  int64_t sums_plane;
  void* dw;  // K each, w_plane apart
};
// Elements past an end that loops over vectors read or write.
constexpr int64_t kDepthwiseSlack = 32;

struct DepthwiseKernels {                           // [kF32 or kF64]
  void (*planes[2])(const DepthwiseArgs&) = {};     // x -> u
  void (*correlate[2])(const DepthwiseArgs&) = {};  // u, w -> flat
  void (*rows[2])(const DepthwiseArgs&) = {};       // flat -> y
  void (*spread[2])(const DepthwiseArgs&) = {};     // g -> flat, zeros between the rows
  void (*outer[2])(const DepthwiseArgs&) = {};      // sums += u at the taps times flat
  void (*finish[2])(const DepthwiseArgs&) = {};     // dw = the lanes of sums added up
};
