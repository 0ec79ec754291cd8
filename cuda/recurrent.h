// One step of a recurrent layer: rows of a product a W^T, whose results go straight to the
// functions of the gates, so that a step is one launch.
//
//   v(row, gate, unit) = sum_k a(row, k) w(gate * units + unit, k),   put(row, unit, v(row, .,
//   unit))
//
// Two kernels for one formula. Many rows: a block forms 32 rows x 16 units x all gates; a and w
// pass through shared memory, 128 bytes of k at a time, the next ones on their way in registers
// meanwhile. Few rows: a warp forms one unit of up to 4 rows, its lanes along k, so that w is read
// at the speed of memory. Both sum in an order that depends on k alone.
// Cost: 2 rows units gates K operations; w is read once for 32 rows (from L2: it is used each
// step).
#pragma once
#include "chunk.h"
#include "ops/recurrent_args.h"
#include "reduce.h"

namespace lamina::cuda {

// Rows [0, known) lie at a, the others at the same place of `a0` (null: zeros). w: rows of w_row.
struct StateProduct {
  const void *a, *a0, *w;
  int64_t a_row, a0_row, w_row;
  int64_t rows, known, units, K;
};

constexpr int kStepRows = 32, kStepUnits = 16, kFewRows = 4;

template <class S>
__device__ inline const S* state_row(const StateProduct& p, int64_t row) {
  if (row < p.known) return static_cast<const S*>(p.a) + row * p.a_row;
  return p.a0 && row < p.rows ? static_cast<const S*>(p.a0) + row * p.a0_row : nullptr;
}

template <class S, int G, class Put>
__global__ void __launch_bounds__(256)
    step_kernel(const StateProduct p, const Put put, const bool aligned) {
  constexpr int n = Chunk<S>::n, kChunks = 8, kDepth = kChunks * n;  // 8 chunks are 128 bytes
  constexpr int kWeights = G * kStepUnits;
  __shared__ Chunk<S> a_tile[kStepRows][kChunks + 1], w_tile[kWeights][kChunks + 1];
  constexpr int kLoads = (kWeights * kChunks + 255) / 256;
  const int t = int(threadIdx.x), unit = t % kStepUnits, row = t / kStepUnits;
  const int64_t unit0 = int64_t(blockIdx.x) * kStepUnits, row0 = int64_t(blockIdx.y) * kStepRows;
  // What this thread brings: one chunk of a, kLoads of w.
  const int at = t % kChunks;
  const S* const a_from = state_row<S>(p, row0 + t / kChunks);
  const S* w_from[kLoads];
#pragma unroll
  for (int i = 0; i < kLoads; ++i) {
    const int r = (t + i * 256) / kChunks;
    const int64_t u = unit0 + r % kStepUnits;
    w_from[i] = r < kWeights && u < p.units
                    ? static_cast<const S*>(p.w) + (r / kStepUnits * p.units + u) * p.w_row
                    : nullptr;
  }
  Chunk<S> a_next = chunk_of(a_from, int64_t(at) * n, p.K, aligned), w_next[kLoads];
#pragma unroll
  for (int i = 0; i < kLoads; ++i) w_next[i] = chunk_of(w_from[i], int64_t(at) * n, p.K, aligned);
  S sum[2][G] = {};
  for (int64_t k0 = 0; k0 < p.K; k0 += kDepth) {
    a_tile[t / kChunks][at] = a_next;
#pragma unroll
    for (int i = 0; i < kLoads; ++i)
      if ((t + i * 256) / kChunks < kWeights) w_tile[(t + i * 256) / kChunks][at] = w_next[i];
    __syncthreads();
    if (k0 + kDepth < p.K) {
      const int64_t k = k0 + kDepth + at * n;
      a_next = chunk_of(a_from, k, p.K, aligned);
#pragma unroll
      for (int i = 0; i < kLoads; ++i) w_next[i] = chunk_of(w_from[i], k, p.K, aligned);
    }
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const Chunk<S> x = a_tile[row][c], y = a_tile[row + kStepRows / 2][c];
#pragma unroll
      for (int g = 0; g < G; ++g) {
        const Chunk<S> w = w_tile[g * kStepUnits + unit][c];
#pragma unroll
        for (int i = 0; i < n; ++i) {
          sum[0][g] += x.v[i] * w.v[i];
          sum[1][g] += y.v[i] * w.v[i];
        }
      }
    }
    __syncthreads();
  }
  if (unit0 + unit >= p.units) return;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int64_t r = row0 + row + i * (kStepRows / 2);
    if (r < p.rows) put(r, unit0 + unit, sum[i]);
  }
}

template <class S, int G, class Put>
__global__ void __launch_bounds__(256)
    few_rows_kernel(const StateProduct p, const Put put, const bool aligned) {
  constexpr int n = Chunk<S>::n;
  const int lane = int(threadIdx.x) % 32;
  const int64_t unit = int64_t(blockIdx.x) * 8 + threadIdx.x / 32;
  if (unit >= p.units) return;  // the whole warp
  S sum[kFewRows][G] = {};
  for (int64_t k = lane * n; k < p.K; k += 32 * n) {
    Chunk<S> w[G];
#pragma unroll
    for (int g = 0; g < G; ++g)
      w[g] = chunk_of(static_cast<const S*>(p.w) + (g * p.units + unit) * p.w_row, k, p.K, aligned);
#pragma unroll
    for (int r = 0; r < kFewRows; ++r) {
      if (r >= p.rows) break;
      const Chunk<S> a = chunk_of(state_row<S>(p, r), k, p.K, aligned);
#pragma unroll
      for (int g = 0; g < G; ++g)
#pragma unroll
        for (int i = 0; i < n; ++i) sum[r][g] += a.v[i] * w[g].v[i];
    }
  }
#pragma unroll
  for (int r = 0; r < kFewRows; ++r) {
    if (r >= p.rows) break;
#pragma unroll
    for (int g = 0; g < G; ++g) sum[r][g] = warp_all(sum[r][g], Add{});
    if (lane == r) put(r, unit, sum[r]);
  }
}

template <class S, int G, class Put>
void launch_step(const DeviceCall& c, const StateProduct& p, const Put& put) {
  if (p.rows == 0 || p.units == 0) return;
  const bool aligned =
      chunks_fit<S>(p.a, p.a_row) && chunks_fit<S>(p.a0, p.a0_row) && chunks_fit<S>(p.w, p.w_row);
  if (p.rows <= kFewRows) {
    launch(c, few_rows_kernel<S, G, Put>, dim3(unsigned((p.units + 7) / 8)), dim3(256), 0, p, put,
           aligned);
    return;
  }
  const dim3 grid(unsigned((p.units + kStepUnits - 1) / kStepUnits),
                  unsigned((p.rows + kStepRows - 1) / kStepRows));
  launch(c, step_kernel<S, G, Put>, grid, dim3(256), 0, p, put, aligned);
}

// Where the rows of each step lie: sequences at step t, and its first row.
struct StepRows {
  RecurrentSizes s;
  const int64_t* sizes;  // host memory; null: all B
  int64_t size(int64_t t) const { return sizes ? sizes[t] : s.B; }
  // The step whose state enters step t, or -1.
  int64_t before(int64_t t) const { return !s.reverse ? t - 1 : t + 1 < s.T ? t + 1 : -1; }
  int64_t after(int64_t t) const { return s.reverse ? t - 1 : t + 1 < s.T ? t + 1 : -1; }
  // How many of step t's sequences are also in step `other` (-1: none).
  int64_t shared(int64_t t, int64_t other) const {
    if (other < 0) return 0;
    return size(other) < size(t) ? size(other) : size(t);
  }
};

template <class S>
LAMINA_HD S* row_at(const void* p, int64_t row, int64_t width) {
  return p ? const_cast<S*>(static_cast<const S*>(p)) + row * width : nullptr;
}

}  // namespace lamina::cuda
