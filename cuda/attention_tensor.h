// Attention of float16 and bfloat16 on tensor cores (mma.h), forward and backward, for up to 128
// features: the sums and the softmax in float32, probabilities and their gradients rounded to T
// where they become operands (Dao, "FlashAttention-2", ICLR 2024).
//
// A block of 4 warps keeps 64 rows in shared memory (queries, or keys for the gradients of keys and
// values), 16 a warp, and lets tiles of the others pass by, the next on its way meanwhile where
// there is room. Scores stay in registers: the fragment of a result is that of an operand.
// A tile is rows of W / 8 chunks of 16 bytes, chunk q of row r at q ^ r % 8, so that the rows of a
// matrix that a warp loads are in different banks. W is 64 or 128; features past D are zeros.
// Cost: 2 (forward) or 7 (backward) products of L S W multiply-adds a head, half when causal.
#pragma once
#include "attention.h"
#include "mma.h"

namespace lamina::cuda {

constexpr int kTensorRows = 64, kTensorThreads = 128, kMostFeatures = 128;
template <int W>
constexpr int kPassing = W == 64 ? 64 : 32;  // rows of a tile that passes by

struct alignas(16) HalfChunk {
  uint32_t word[4];
};

template <int W>
__device__ inline int tile_place(int row, int q) {
  return row * (W / 8) + (q ^ row % 8);
}
// Rows [first, first + rows) of x, D features, those from `limit` on zeros.
template <int W, int rows, class T>
__device__ inline void bring_rows(HalfChunk* to, const T* x, int64_t step, int64_t first,
                                  int64_t limit, int64_t D) {
  for (int e = int(threadIdx.x); e < rows * (W / 8); e += kTensorThreads) {
    const int row = e / (W / 8), q = e % (W / 8);
    const bool valid = first + row < limit && q * 8 < D;  // D is a multiple of 8
    copy_async(to + tile_place<W>(row, q), valid ? x + (first + row) * step + q * 8 : x,
               valid ? 16 : 0);
  }
}

// Fragments, 16 x 16: rows `row` on as A; as B for sums over features; as B for sums over rows.
template <int W>
__device__ inline void load_rows(uint32_t (&r)[4], const HalfChunk* tile, int row, int k) {
  const int lane = int(threadIdx.x) % 32;
  load_matrices<false>(r, tile + tile_place<W>(row + lane % 16, 2 * k + lane / 16));
}
template <int W>
__device__ inline void load_columns(uint32_t (&r)[4], const HalfChunk* tile, int row, int k) {
  const int lane = int(threadIdx.x) % 32;
  load_matrices<false>(r,
                       tile + tile_place<W>(row + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
}
template <int W>
__device__ inline void load_turned(uint32_t (&r)[4], const HalfChunk* tile, int row, int k) {
  const int lane = int(threadIdx.x) % 32;
  load_matrices<true>(r, tile + tile_place<W>(row + lane % 16, 2 * k + lane / 16));
}

// s (16 x N) = 16 rows of x from `row` times N rows of y, over D features.
template <int W, class T, int N8>
__device__ inline void feature_product(float (&s)[N8][4], const HalfChunk* x, int row,
                                       const HalfChunk* y, int64_t D) {
#pragma unroll
  for (int j = 0; j < N8; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) s[j][e] = 0;
#pragma unroll
  for (int k = 0; k < W / 16; ++k) {
    if (k * 16 >= D) break;
    uint32_t a[4];
    load_rows<W>(a, x, row, k);
#pragma unroll
    for (int j = 0; j < N8; j += 2) {
      uint32_t b[4];
      load_columns<W>(b, y, j * 8, k);
      multiply_add(T{}, s[j], a, b[0], b[1]);
      multiply_add(T{}, s[j + 1], a, b[2], b[3]);
    }
  }
}
template <class T>
__device__ inline uint32_t packed(float low, float high) {
  return narrow<T>(low).bits | uint32_t(narrow<T>(high).bits) << 16;
}
// sum (16 x W) += p (16 x N) times N rows of x.
template <int W, class T, int N8>
__device__ inline void row_product(float (&sum)[W / 8][4], const float (&p)[N8][4],
                                   const HalfChunk* x, int64_t D) {
#pragma unroll
  for (int j = 0; j < N8; j += 2) {
    const uint32_t a[4] = {packed<T>(p[j][0], p[j][1]), packed<T>(p[j][2], p[j][3]),
                           packed<T>(p[j + 1][0], p[j + 1][1]),
                           packed<T>(p[j + 1][2], p[j + 1][3])};
#pragma unroll
    for (int c = 0; c < W / 16; ++c) {
      if (c * 16 >= D) break;
      uint32_t b[4];
      load_turned<W>(b, x, j * 8, c);
      multiply_add(T{}, sum[2 * c], a, b[0], b[1]);
      multiply_add(T{}, sum[2 * c + 1], a, b[2], b[3]);
    }
  }
}
// Rows `row` and row + 8 of a warp's sums, each times its factor, to memory.
template <int W, class T>
__device__ inline void store_rows(const float (&sum)[W / 8][4], const AttentionRows& to, int64_t b,
                                  int64_t h, int64_t row, int64_t rows, int64_t D,
                                  const float (&factor)[2]) {
  const int t = int(threadIdx.x) % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t i = row + 8 * half;
    if (i >= rows) break;
    T* const y = rows_at<T>(to, b, h) + i * to.row;
#pragma unroll
    for (int c = 0; c < W / 8; ++c)
      if (c * 8 < D)
        *reinterpret_cast<uint32_t*>(y + c * 8 + 2 * t) =
            packed<T>(sum[c][2 * half] * factor[half], sum[c][2 * half + 1] * factor[half]);
  }
}
template <class F>
__device__ inline float across_four(float v, F op) {  // the lanes that share a row
  v = op(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return op(v, __shfl_xor_sync(0xffffffffu, v, 2));
}
// work(i, stage) for tiles [0, count), each brought by bring(i, stage) before.
template <int stages, class Bring, class Work>
__device__ inline void pass_by(int64_t count, Bring bring, Work work) {
  if (count > 0) bring(int64_t(0), 0);
  copies_commit();
  for (int64_t i = 0; i < count; ++i) {
    if (stages == 2) {
      if (i + 1 < count) bring(i + 1, int((i + 1) % 2));
      copies_commit();
      copies_wait<1>();
    } else {
      if (i) {
        bring(i, 0);
        copies_commit();
      }
      copies_wait<0>();
    }
    __syncthreads();
    work(i, stages == 2 ? int(i % 2) : 0);
    __syncthreads();
  }
  copies_wait<0>();
}

// Blocks of 64 rows, the longest of a causal matrix first.
struct TensorTask {
  int64_t b, h, first;
  __device__ TensorTask(int64_t rows, int64_t heads, bool backwards) {
    const int64_t tiles = (rows + kTensorRows - 1) / kTensorRows, at = blockIdx.x % tiles;
    b = blockIdx.x / tiles / heads;
    h = blockIdx.x / tiles % heads;
    first = (backwards ? tiles - 1 - at : at) * kTensorRows;
  }
};

template <class T, int W>
__global__ void __launch_bounds__(kTensorThreads) tensor_forward_kernel(const AttentionPack k) {
  constexpr int N = kPassing<W>, kTile = N * (W / 8);
  LAMINA_DYNAMIC_SHARED(HalfChunk, q_tile);
  HalfChunk* const passing = q_tile + kTensorRows * (W / 8);
  const TensorTask task(k.L, k.H, true);
  const int64_t b = task.b, h = task.h, i0 = task.first, hk = h / k.group;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const int64_t row = i0 + warp * 16 + g;
  const T *const keys = rows_at<const T>(k.k, b, hk), *const values = rows_at<const T>(k.v, b, hk);
  const Scores<float> score(k, b, h);
  const int64_t n = score.limit(i0 + kTensorRows - 1);
  float o[W / 8][4] = {}, m[2] = {-HUGE_VALF, -HUGE_VALF}, l[2] = {};
  bring_rows<W, kTensorRows>(q_tile, rows_at<const T>(k.q, b, h), k.q.row, i0, k.L, k.D);
  const auto bring = [&](int64_t tile, int stage) {
    HalfChunk* const to = passing + stage * 2 * kTile;
    bring_rows<W, N>(to, keys, k.k.row, tile * N, n, k.D);
    bring_rows<W, N>(to + kTile, values, k.v.row, tile * N, n, k.E);
  };
  const auto work = [&](int64_t tile, int stage) {
    const HalfChunk* const at = passing + stage * 2 * kTile;
    const int64_t j0 = tile * N;
    float s[N / 8][4];
    feature_product<W, T>(s, q_tile, warp * 16, at, k.D);
    const bool inside =
        k.mask_kind == kNoMask && j0 + N <= score.limit(i0) && i0 + kTensorRows <= k.L;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float top = m[half], sum = 0;
#pragma unroll
      for (int j = 0; j < N / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float& v = s[j][2 * half + e];
          v = inside ? v * score.scale : score(row + 8 * half, j0 + j * 8 + 2 * t + e, v);
          top = Most{}(v, top);
        }
      top = across_four(top, Most{});
      const float base = top == -HUGE_VALF ? 0.0f : top, alpha = exp_unit(m[half] - base);
#pragma unroll
      for (int j = 0; j < N / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float& v = s[j][2 * half + e];
          v = exp_unit(v - base);
          sum += v;
          if (k.threshold) v *= score.factor(row + 8 * half, j0 + j * 8 + 2 * t + e);
        }
      l[half] = l[half] * alpha + across_four(sum, Add{});
      m[half] = top;
#pragma unroll
      for (int c = 0; c < W / 8; ++c) {
        o[c][2 * half] *= alpha;
        o[c][2 * half + 1] *= alpha;
      }
    }
    row_product<W, T>(o, s, at + kTile, k.E);
  };
  pass_by<2>((n + N - 1) / N, bring, work);
  const float factor[2] = {l[0] == 0 ? 0.0f : 1 / l[0], l[1] == 0 ? 0.0f : 1 / l[1]};
  store_rows<W, T>(o, k.y, b, h, row, k.L, k.E, factor);
#pragma unroll
  for (int half = 0; half < 2; ++half)
    if (t == 0 && row + 8 * half < k.L)
      static_cast<float*>(k.lse)[(b * k.H + h) * k.L + row + 8 * half] =
          l[half] == 0 ? HUGE_VALF : m[half] + log_unit(l[half]);
}

template <class T, int W>
__global__ void __launch_bounds__(kTensorThreads) tensor_queries_kernel(const AttentionPack k) {
  constexpr int N = kPassing<W>, kTile = N * (W / 8), kOwn = kTensorRows * (W / 8);
  LAMINA_DYNAMIC_SHARED(HalfChunk, q_tile);
  HalfChunk *const g_tile = q_tile + kOwn, *const passing = g_tile + kOwn;
  const TensorTask task(k.L, k.H, true);
  const int64_t b = task.b, h = task.h, i0 = task.first, hk = h / k.group;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, t = lane % 4;
  const int64_t row = i0 + warp * 16 + lane / 4;
  const T *const keys = rows_at<const T>(k.k, b, hk), *const values = rows_at<const T>(k.v, b, hk);
  const AttentionBackward<float> back(k, b, h);
  const int64_t n = back.score.limit(i0 + kTensorRows - 1);
  float gq[W / 8][4] = {}, lse[2], delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {  // past the end: p is to be 0
    const bool here = row + 8 * half < k.L;
    lse[half] = here ? back.lse[row + 8 * half] : HUGE_VALF;
    delta[half] = here ? back.delta[row + 8 * half] : 0.0f;
  }
  bring_rows<W, kTensorRows>(q_tile, rows_at<const T>(k.q, b, h), k.q.row, i0, k.L, k.D);
  bring_rows<W, kTensorRows>(g_tile, rows_at<const T>(k.g, b, h), k.g.row, i0, k.L, k.E);
  const auto bring = [&](int64_t tile, int stage) {
    HalfChunk* const to = passing + stage * 2 * kTile;
    bring_rows<W, N>(to, keys, k.k.row, tile * N, n, k.D);
    bring_rows<W, N>(to + kTile, values, k.v.row, tile * N, n, k.E);
  };
  const auto work = [&](int64_t tile, int stage) {
    const HalfChunk* const at = passing + stage * 2 * kTile;
    float s[N / 8][4], gv[N / 8][4];
    feature_product<W, T>(s, q_tile, warp * 16, at, k.D);
    feature_product<W, T>(gv, g_tile, warp * 16, at + kTile, k.E);
    const bool inside = k.mask_kind == kNoMask && tile * N + N <= back.score.limit(i0);
#pragma unroll
    for (int j = 0; j < N / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t i = row + e / 2 * 8, key = tile * N + j * 8 + 2 * t + e % 2;
        float pz;
        const float v = inside ? s[j][e] * back.score.scale : back.score(i, key, s[j][e]);
        back.at(i, key, v, gv[j][e], lse[e / 2], delta[e / 2], pz, s[j][e]);
      }
    row_product<W, T>(gq, s, at, k.D);
  };
  pass_by<W == 64 ? 2 : 1>((n + N - 1) / N, bring, work);
  const float scale = float(k.scale), factor[2] = {scale, scale};
  store_rows<W, T>(gq, k.gq, b, h, row, k.L, k.D, factor);
}

template <class T, int W>
__global__ void __launch_bounds__(kTensorThreads) tensor_keys_kernel(const AttentionPack k) {
  constexpr int N = kPassing<W>, kTile = N * (W / 8), kOwn = kTensorRows * (W / 8);
  LAMINA_DYNAMIC_SHARED(HalfChunk, k_tile);
  HalfChunk *const v_tile = k_tile + kOwn, *const passing = v_tile + kOwn;
  const TensorTask task(k.S, k.H / k.group, false);
  const int64_t b = task.b, hk = task.h, j0 = task.first;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, t = lane % 4;
  const int64_t row = j0 + warp * 16 + lane / 4;
  const int64_t first = k.causal ? j0 / N * N : 0;  // the first queries that see j0
  const int64_t per_head = k.L > first ? (k.L - first + N - 1) / N : 0;
  float gk[W / 8][4] = {}, gv[W / 8][4] = {};
  bring_rows<W, kTensorRows>(k_tile, rows_at<const T>(k.k, b, hk), k.k.row, j0, k.S, k.D);
  bring_rows<W, kTensorRows>(v_tile, rows_at<const T>(k.v, b, hk), k.v.row, j0, k.S, k.E);
  const auto bring = [&](int64_t tile, int stage) {
    const int64_t h = hk * k.group + tile / per_head, i0 = first + tile % per_head * N;
    HalfChunk* const to = passing + stage * 2 * kTile;
    bring_rows<W, N>(to, rows_at<const T>(k.q, b, h), k.q.row, i0, k.L, k.D);
    bring_rows<W, N>(to + kTile, rows_at<const T>(k.g, b, h), k.g.row, i0, k.L, k.E);
  };
  const auto work = [&](int64_t tile, int stage) {
    const int64_t h = hk * k.group + tile / per_head, i0 = first + tile % per_head * N;
    const AttentionBackward<float> back(k, b, h);
    const HalfChunk* const at = passing + stage * 2 * kTile;
    float s[N / 8][4], x[N / 8][4];  // rows are keys
    feature_product<W, T>(s, k_tile, warp * 16, at, k.D);
    feature_product<W, T>(x, v_tile, warp * 16, at + kTile, k.E);
    const bool inside =
        k.mask_kind == kNoMask && i0 + N <= k.L && j0 + kTensorRows <= back.score.limit(i0);
#pragma unroll
    for (int j = 0; j < N / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int64_t i = i0 + j * 8 + 2 * t + e;
        const bool here = i < k.L;
        const float lse = here ? back.lse[i] : HUGE_VALF, delta = here ? back.delta[i] : 0.0f;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float &p = s[j][2 * half + e], &d = x[j][2 * half + e], pz, ds;
          const int64_t key = row + 8 * half;
          const float v = inside ? p * back.score.scale : back.score(i, key, p);
          back.at(i, key, v, d, lse, delta, pz, ds);
          p = pz;
          d = ds;
        }
      }
    row_product<W, T>(gv, s, at + kTile, k.E);
    row_product<W, T>(gk, x, at, k.D);
  };
  pass_by<W == 64 ? 2 : 1>(per_head * k.group, bring, work);
  const float scale = float(k.scale), of_k[2] = {scale, scale}, of_v[2] = {1, 1};
  if (k.gk.p) store_rows<W, T>(gk, k.gk, b, hk, row, k.S, k.D, of_k);
  if (k.gv.p) store_rows<W, T>(gv, k.gv, b, hk, row, k.S, k.E, of_v);
}

constexpr size_t tensor_shared(int W, int own, int stages) {
  return size_t(own * kTensorRows + stages * 2 * (W == 64 ? 64 : 32)) * size_t(W) * 2;
}
inline unsigned tensor_tiles(int64_t rows) {
  return unsigned((rows + kTensorRows - 1) / kTensorRows);
}
template <class T, int W>
void tensor_forward_of(const DeviceCall& c, const AttentionPack& k) {
  launch(c, tensor_forward_kernel<T, W>, dim3(unsigned(k.B * k.H) * tensor_tiles(k.L)),
         dim3(kTensorThreads), tensor_shared(W, 1, 2), k);
}
template <class T, int W>
void tensor_backward_of(const DeviceCall& c, const AttentionPack& k) {
  const size_t shared = tensor_shared(W, 2, W == 64 ? 2 : 1);
  if (k.gq.p)
    launch(c, tensor_queries_kernel<T, W>, dim3(unsigned(k.B * k.H) * tensor_tiles(k.L)),
           dim3(kTensorThreads), shared, k);
  if (k.gk.p || k.gv.p)
    launch(c, tensor_keys_kernel<T, W>, dim3(unsigned(k.B * (k.H / k.group)) * tensor_tiles(k.S)),
           dim3(kTensorThreads), shared, k);
}
template <class T>
void tensor_forward(const DeviceCall& c, const AttentionPack& k) {
  k.D > 64 || k.E > 64 ? tensor_forward_of<T, 128>(c, k) : tensor_forward_of<T, 64>(c, k);
}
template <class T>
void tensor_backward(const DeviceCall& c, AttentionPack k) {
  const int64_t rows = k.B * k.H * k.L;
  const Scratch delta(c.device, size_t(rows) * sizeof(float));
  launch(c, delta_kernel<T>, dim3(unsigned((rows + 7) / 8)), dim3(256), 0, k, delta.as<float>());
  k.delta = delta.as<void>();
  k.D > 64 || k.E > 64 ? tensor_backward_of<T, 128>(c, k) : tensor_backward_of<T, 64>(c, k);
}

}  // namespace lamina::cuda
