// What attention's kernels share: sizes and operands, which keys a query sees, tiles of scores.
//
// A block of 256 threads works on tiles of 16 R rows x 16 R columns, R x R elements a thread, and
// on 16 R rows x 16 R C columns of a result in registers. Operands pass through shared memory:
// `scores` forms A B^T over the features, 16 at a time; `apply` adds P^T X, P a tile kept in shared
// memory, 16 rows of X at a time. Scores count in units of u, as on the CPU: float32 in powers of
// two, float64 in powers of e.
#pragma once
#include <cmath>

#include "chunk.h"
#include "keeps.h"
#include "ops/attention_args.h"
#include "reduce.h"

namespace lamina::cuda {

// As AttentionArgs; `aligned`: rows of q, k, v and g can be read 16 bytes at a time.
struct AttentionPack {
  int64_t B, H, group, L, S, D, E;
  double scale, keep_scale;
  bool causal, aligned;
  const int64_t* filled;  // attention to a cache: keys before the first query; S is its capacity
  AttentionRows q, k, v, y, g, gq, gk, gv, mask;
  AttentionMask mask_kind;
  void *lse, *delta;  // (B, H, L)
  uint64_t seed, offset, threshold;

  __device__ int64_t past() const { return filled ? *filled : 0; }
  __device__ int64_t keys() const {
    const int64_t n = filled ? *filled + L : S;
    return n < S ? n : S;
  }
};

template <class S>
__device__ inline S* rows_at(const AttentionRows& r, int64_t b, int64_t h) {
  return static_cast<S*>(r.p) + b * r.batch + h * r.head;
}
LAMINA_HD float unit_of(float) { return 1.44269504088896340736f; }
LAMINA_HD double unit_of(double) { return 1; }
LAMINA_HD float exp_unit(float x) { return on_device::exp2(x); }
LAMINA_HD double exp_unit(double x) { return on_device::exp(x); }
LAMINA_HD float log_unit(float x) { return on_device::log2(x); }
LAMINA_HD double log_unit(double x) { return on_device::log(x); }

// The scores of one (batch, head) from products, and dropout's factors.
template <class S>
struct Scores {
  const AttentionPack& k;
  int64_t b, h, past, keys;
  S scale;
  const uint8_t* bool_mask;
  const S* float_mask;
  __device__ Scores(const AttentionPack& k, int64_t b, int64_t h)
      : k(k),
        b(b),
        h(h),
        past(k.past()),
        keys(k.keys()),
        scale(S(k.scale) * unit_of(S())),
        bool_mask(k.mask_kind == kBoolMask ? rows_at<const uint8_t>(k.mask, b, h) : nullptr),
        float_mask(k.mask_kind == kFloatMask ? rows_at<const S>(k.mask, b, h) : nullptr) {}
  // Keys that queries up to i may see.
  __device__ int64_t limit(int64_t i) const {
    const int64_t n = past + i + 1;
    return k.causal && n < keys ? n : keys;
  }
  __device__ S operator()(int64_t i, int64_t j, S product) const {
    const S none = S(-HUGE_VAL);
    if (i >= k.L || j >= limit(i)) return none;
    if (bool_mask) return bool_mask[i * k.mask.row + j] ? product * scale : none;
    if (float_mask) return product * scale + float_mask[i * k.mask.row + j] * unit_of(S());
    return product * scale;
  }
  __device__ S factor(int64_t i, int64_t j) const {  // of dropout
    const uint64_t row = uint64_t((b * k.H + h) * k.L + i), groups = uint64_t(k.S + 63) / 64;
    const uint64_t group = row * groups + uint64_t(j) / 64;
    return keeps<S>(k.seed, k.offset + group * 8, k.threshold, int(j % 64)) ? S(k.keep_scale)
                                                                            : S(0);
  }
};

// Of one score: p z (for gv) and d loss / d score.
template <class S>
struct AttentionBackward {
  Scores<S> score;
  const S *lse, *delta;
  __device__ AttentionBackward(const AttentionPack& k, int64_t b, int64_t h)
      : score(k, b, h),
        lse(static_cast<const S*>(k.lse) + (b * k.H + h) * k.L),
        delta(static_cast<const S*>(k.delta) + (b * k.H + h) * k.L) {}
  __device__ void operator()(int64_t i, int64_t j, S product, S gv, S& pz, S& ds) const {
    pz = ds = 0;
    if (i < score.k.L) at(i, j, score(i, j, product), gv, lse[i], delta[i], pz, ds);
  }
  __device__ void at(int64_t i, int64_t j, S s, S gv, S lse_i, S delta_i, S& pz, S& ds) const {
    const S p = exp_unit(s - lse_i), z = score.k.threshold ? score.factor(i, j) : S(1);
    pz = p * z;
    ds = p * (z * gv - delta_i);
  }
};

template <class S, int R>
struct AttentionTile {
  static constexpr int kRows = 16 * R, kDepth = 16, kRoom = 4;
  S a[kDepth][kRows + kRoom], b[kDepth][kRows + kRoom];
  S p[kRows][kRows + kRoom];  // by column, then row

  // One operand's rows [first, first + kRows) and features [d0, d0 + kDepth), transposed.
  __device__ static void bring(S (*to)[kRows + kRoom], const S* x, int64_t step, int64_t first,
                               int64_t rows, int64_t d0, int64_t D, bool aligned) {
    constexpr int n = Chunk<S>::n, per_row = kDepth / n;
    for (int e = int(threadIdx.x); e < kRows * per_row; e += 256) {
      const int row = e / per_row, d = e % per_row * n;
      const Chunk<S> c =
          chunk_of(first + row < rows ? x + (first + row) * step : nullptr, d0 + d, D, aligned);
#pragma unroll
      for (int i = 0; i < n; ++i) to[d + i][row] = c.v[i];
    }
  }
  // sum[i][j] = <row i of x, row j of y> for this thread's rows and columns.
  __device__ void scores(S (&sum)[R][R], const S* x, int64_t x_step, int64_t x0, int64_t x_rows,
                         const S* y, int64_t y_step, int64_t y0, int64_t y_rows, int64_t D,
                         bool aligned) {
    const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < R; ++j) sum[i][j] = 0;
    for (int64_t d0 = 0; d0 < D; d0 += kDepth) {
      bring(a, x, x_step, x0, x_rows, d0, D, aligned);
      bring(b, y, y_step, y0, y_rows, d0, D, aligned);
      __syncthreads();
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        S u[R], v[R];
#pragma unroll
        for (int i = 0; i < R; ++i) u[i] = a[d][ty + i], v[i] = b[d][tx + i];
#pragma unroll
        for (int i = 0; i < R; ++i)
#pragma unroll
          for (int j = 0; j < R; ++j) sum[i][j] += u[i] * v[j];
      }
      __syncthreads();
    }
  }
  // This thread's part of a tile to shared memory, P^T [column][row], or [row][column].
  __device__ void keep(const S (&v)[R][R], bool by_column) {
    const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < R; ++j) (by_column ? p[tx + j][ty + i] : p[ty + i][tx + j]) = v[i][j];
    __syncthreads();
  }
};

// A result's columns [c0, c0 + 16 R C) in registers: a thread has R rows and, C times, R columns.
template <class S, int R, int C>
struct Panel {
  static constexpr int kColumns = 16 * R * C, kDepth = 16;
  S sum[R][C][R];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int c = 0; c < C; ++c)
#pragma unroll
        for (int j = 0; j < R; ++j) sum[i][c][j] = 0;
  }
  __device__ void scale(int row, S by) {
#pragma unroll
    for (int c = 0; c < C; ++c)
#pragma unroll
      for (int j = 0; j < R; ++j) sum[row][c][j] *= by;
  }
  // += P^T X for the n rows of X (width columns, `step` apart) from x0 on. x_tile: shared.
  __device__ void apply(const AttentionTile<S, R>& tile, S (*x_tile)[kColumns], const S* x,
                        int64_t step, int64_t x0, int64_t rows, int64_t c0, int64_t width,
                        bool aligned) {
    constexpr int n = Chunk<S>::n, per_row = kColumns / n;
    const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
    for (int k0 = 0; k0 < AttentionTile<S, R>::kRows && x0 + k0 < rows; k0 += kDepth) {
      for (int e = int(threadIdx.x); e < kDepth * per_row; e += 256) {
        const int64_t row = x0 + k0 + e / per_row;
        const Chunk<S> c =
            chunk_of(row < rows ? x + row * step : nullptr, c0 + e % per_row * n, width, aligned);
#pragma unroll
        for (int i = 0; i < n; ++i) x_tile[e / per_row][e % per_row * n + i] = c.v[i];
      }
      __syncthreads();
#pragma unroll 4
      for (int k = 0; k < kDepth; ++k) {
        S u[R];
#pragma unroll
        for (int i = 0; i < R; ++i) u[i] = tile.p[k0 + k][ty + i];
#pragma unroll
        for (int c = 0; c < C; ++c)
#pragma unroll
          for (int j = 0; j < R; ++j) {
            const S v = x_tile[k][c * 16 * R + tx + j];
#pragma unroll
            for (int i = 0; i < R; ++i) sum[i][c][j] += u[i] * v;
          }
      }
      __syncthreads();
    }
  }
  // f(row, column, value) for all of this thread's, rows counted from the tile's first.
  template <class F>
  __device__ void each(int64_t c0, int64_t width, F f) const {
    const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int c = 0; c < C; ++c)
#pragma unroll
        for (int j = 0; j < R; ++j) {
          const int64_t column = c0 + c * 16 * R + tx + j;
          if (column < width) f(i, ty + i, column, sum[i][c][j]);
        }
  }
};

// op over the 16 threads that share rows of a tile.
template <class T, class F>
__device__ inline T across_row(T v, F op) {
#pragma unroll
  for (int bit = 8; bit; bit >>= 1) v = op(v, __shfl_xor_sync(0xffffffffu, v, bit));
  return v;
}

// Whether a (B, H, L, D) operand's heads lie within its positions (as ops/attention.cpp).
inline bool heads_inside(const Operand& t) {
  return t.shape[1] > 1 && t.shape[2] > 1 && t.strides[1] < t.strides[2];
}
inline AttentionRows rows_of(const Operand& t) {
  return {t.data, t.strides[0], t.strides[1], t.strides[2]};
}
// Of a result stored in the order of `like`.
inline AttentionRows stored_rows(const Operand& like, const Operand& t) {
  AttentionRows r = rows_of(t);
  if (heads_inside(like)) {
    const int64_t head = r.row;
    r.row = r.head;
    r.head = head;
  }
  return r;
}
template <class S>
bool rows_fit(const AttentionRows& r) {
  return chunks_fit<S>(r.p, r.row) && r.head * int64_t(sizeof(S)) % 16 == 0 &&
         r.batch * int64_t(sizeof(S)) % 16 == 0;
}
template <class S>
AttentionPack attention_pack(const Operand& q, const Operand& k, const Operand& v) {
  AttentionPack a{};
  a.B = q.shape[0], a.H = q.shape[1], a.L = q.shape[2], a.D = q.shape[3];
  a.group = k.shape[1] ? a.H / k.shape[1] : 1;
  a.S = k.shape[2], a.E = v.shape[3];
  a.q = rows_of(q), a.k = rows_of(k), a.v = rows_of(v);
  a.aligned = rows_fit<S>(a.q) && rows_fit<S>(a.k) && rows_fit<S>(a.v);
  return a;
}
template <class S>
AttentionPack attention_pack(const Operand& q, const Operand& k, const Operand& v,
                             const Operand& mask, const AttentionOpArgs& op) {
  AttentionPack a = attention_pack<S>(q, k, v);
  a.scale = op.scale;
  a.causal = op.causal;
  if (mask.data || mask.nd) {
    a.mask_kind = mask.dtype == DType::boolean ? kBoolMask : kFloatMask;
    a.mask = rows_of(mask);
  }
  a.seed = op.key.seed, a.offset = op.key.offset;
  a.threshold = uint64_t(std::llround(op.p * 0x1p32));
  a.keep_scale = op.p < 1 ? 1 / (1 - op.p) : 0;
  return a;
}

// On tensor cores (attention_tensor.h), a file for each type.
void attention_forward_half(const DeviceCall& c, const AttentionPack& k);
void attention_backward_half(const DeviceCall& c, const AttentionPack& k);
void attention_forward_brain(const DeviceCall& c, const AttentionPack& k);
void attention_backward_brain(const DeviceCall& c, const AttentionPack& k);

// y and lse of a pack that has them (ops/attention.cu).
template <class S>
void attention_forward(const DeviceCall& c, const AttentionPack& k);

// (B, H, L) sums of g y: a warp a row.
template <class T>
__global__ void delta_kernel(const AttentionPack k, ComputeOf<T>* delta) {
  const int64_t rows = k.B * k.H * k.L, row = int64_t(blockIdx.x) * 8 + threadIdx.x / 32;
  if (row >= rows) return;  // the whole warp
  const int64_t head = row / k.L, i = row % k.L;
  const T* const g = rows_at<const T>(k.g, head / k.H, head % k.H) + i * k.g.row;
  const T* const y = rows_at<const T>(k.y, head / k.H, head % k.H) + i * k.y.row;
  ComputeOf<T> sum = 0;
  for (int64_t e = threadIdx.x % 32; e < k.E; e += 32) sum += widen(g[e]) * widen(y[e]);
  sum = warp_all(sum, Add{});
  if (threadIdx.x % 32 == 0) delta[row] = sum;
}

}  // namespace lamina::cuda
