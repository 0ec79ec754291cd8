// Arguments and table entries of the pool kernels (included by kernels.h inside namespace lamina).
#pragma once

// The window of one output along one dimension: inputs begin, begin + step, ... < end; `count`
// enters a mean's divisor.
struct PoolSpan {
  int64_t begin, end, count;
};

// How a maximum's place is kept: its flat number in the (H, W) plane, or, for 2x2 windows, one of
// 0..3 in rows of round_up(OW, 16) bytes.
enum PoolIndex { kPoolNoIndex, kPoolInt32, kPoolInt64, kPoolQuad };
constexpr int64_t kPoolQuadRow = 16;

struct PoolArgs {
  const void* x;       // forward: (planes, H, W); backward: the gradient (planes, OH, OW)
  void* y;             // forward: (planes, OH, OW); backward: (planes, H, W)
  void* index;         // (planes, OH, OW) of index_type
  const void* maxima;  // max_scatter: x counts where they are positive; null: everywhere
  PoolIndex index_type;
  int64_t H, W, OH, OW;
  const PoolSpan *rows, *columns;  // OH and OW windows
  int64_t row_step, column_step;   // dilation
  // Columns of outputs whose windows no edge cuts, column_stride apart; none where it varies.
  int64_t whole_begin, whole_end, column_stride;
  int64_t divisor;  // of a mean; 0: rows[i].count * columns[j].count
};
// Planes [begin, end).
using PoolFn = void (*)(const PoolArgs& a, int64_t begin, int64_t end);

struct PoolKernels {  // [kF32 or kF64]
  PoolFn max[2] = {};
  PoolFn max_scatter[2] = {};  // y = 0; y[index] += x
  PoolFn max_gather[2] = {};   // y (OH, OW) = x (H, W)[index]
  PoolFn mean[2] = {};
  PoolFn mean_grad[2] = {};
  PoolFn max_quad[2] = {};  // 2x2 windows side by side
  PoolFn max_quad_scatter[2] = {};
  PoolFn mean_quad[2] = {};
  PoolFn mean_quad_grad[2] = {};
};
