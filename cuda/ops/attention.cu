// Attention forward (formulas: cpp/ops/attention_cpu.h) in tiles whose scores never leave the chip
// (Dao et al., "FlashAttention", NeurIPS 2022; Milakov and Gimelshein, "Online normalizer
// calculation for softmax", 2018). A block takes 16 R queries of a head and up to 128 columns of y;
// along the keys, each row keeps m = max s, l = sum exp(s - m) and o = sum exp(s - m) z v.
// Cost: 2 L S (D + E) operations a head, half when causal; k and v are read once for 16 R queries.
//
// Few queries (a decoder's step): a block takes one query and 256 keys, its warps read a key each,
// and a second kernel puts the parts together, so that a long cache is read by the whole device.
#include "attention.h"

#include "table.h"

namespace lamina::cuda {
namespace {

template <class S, int R, int C>
__global__ void __launch_bounds__(256) attention_kernel(const AttentionPack k) {
  using Tile = AttentionTile<S, R>;
  __shared__ Tile tile;
  __shared__ S x_tile[Panel<S, R, C>::kDepth][Panel<S, R, C>::kColumns];
  const int64_t tiles = (k.L + Tile::kRows - 1) / Tile::kRows, head = blockIdx.x / tiles;
  const int64_t b = head / k.H, h = head % k.H, hk = h / k.group;
  // The longest rows of a causal matrix first.
  const int64_t i0 = (tiles - 1 - blockIdx.x % tiles) * Tile::kRows;
  const int64_t c0 = int64_t(blockIdx.y) * Panel<S, R, C>::kColumns;
  const S *const q = rows_at<const S>(k.q, b, h), *const keys = rows_at<const S>(k.k, b, hk);
  const S* const values = rows_at<const S>(k.v, b, hk);
  const Scores<S> score(k, b, h);
  const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
  S m[R], l[R];
#pragma unroll
  for (int i = 0; i < R; ++i) m[i] = S(-HUGE_VAL), l[i] = 0;
  Panel<S, R, C> o;
  o.clear();
  const int64_t n = score.limit(i0 + Tile::kRows - 1);
  for (int64_t j0 = 0; j0 < n; j0 += Tile::kRows) {
    S p[R][R];
    tile.scores(p, q, k.q.row, i0, k.L, keys, k.k.row, j0, n, k.D, k.aligned);
#pragma unroll
    for (int i = 0; i < R; ++i) {
      S top = m[i];
#pragma unroll
      for (int j = 0; j < R; ++j) {
        p[i][j] = score(i0 + ty + i, j0 + tx + j, p[i][j]);
        top = Most{}(p[i][j], top);
      }
      top = across_row(top, Most{});
      const S base = top == S(-HUGE_VAL) ? S(0) : top, alpha = exp_unit(m[i] - base);
      S sum = 0;
#pragma unroll
      for (int j = 0; j < R; ++j) {
        p[i][j] = exp_unit(p[i][j] - base);
        sum += p[i][j];
        if (k.threshold) p[i][j] *= score.factor(i0 + ty + i, j0 + tx + j);
      }
      l[i] = l[i] * alpha + across_row(sum, Add{});
      m[i] = top;
      o.scale(i, alpha);
    }
    tile.keep(p, true);
    o.apply(tile, x_tile, values, k.v.row, j0, n, c0, k.E, k.aligned);
  }
  S* const y = rows_at<S>(k.y, b, h);
  o.each(c0, k.E, [&](int i, int row, int64_t column, S v) {
    if (i0 + row < k.L) y[(i0 + row) * k.y.row + column] = l[i] == 0 ? S(0) : v / l[i];
  });
  if (!k.lse || tx || c0) return;
#pragma unroll
  for (int i = 0; i < R; ++i)  // nothing seen: exp(s - lse) is to be 0 in backward
    if (i0 + ty + i < k.L)
      static_cast<S*>(k.lse)[head * k.L + i0 + ty + i] =
          l[i] == 0 ? S(HUGE_VAL) : m[i] + log_unit(l[i]);
}

// ---- few queries -------------------------------------------------------------------------------
constexpr int64_t kFewQueries = 4, kPartKeys = 256;

// Part `blockIdx.y` of query `blockIdx.x`: (m, l, o (E)) at parts, or y and lse where it is the
// only one.
template <class S>
__global__ void __launch_bounds__(256) few_kernel(const AttentionPack k, S* parts) {
  constexpr int n = Chunk<S>::n;
  __shared__ S p[kPartKeys], room[8];
  __shared__ Chunk<S> o[8][32];
  const int64_t head = blockIdx.x / k.L, i = blockIdx.x % k.L, b = head / k.H, h = head % k.H;
  const int64_t hk = h / k.group, j0 = int64_t(blockIdx.y) * kPartKeys;
  const Scores<S> score(k, b, h);
  const int64_t limit = score.limit(i);
  if (j0 > 0 && j0 >= limit) return;  // the whole block
  const int count = int(limit - j0 < kPartKeys ? limit - j0 : kPartKeys);
  const S* const q = rows_at<const S>(k.q, b, h) + i * k.q.row;
  const S* const keys = rows_at<const S>(k.k, b, hk) + j0 * k.k.row;
  const S* const values = rows_at<const S>(k.v, b, hk) + j0 * k.v.row;
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32, t = int(threadIdx.x);
  for (int j = warp; j < count; j += 8) {
    S sum = 0;
    for (int64_t d = lane * n; d < k.D; d += 32 * n) {
      const Chunk<S> a = chunk_of(q, d, k.D, k.aligned);
      const Chunk<S> x = chunk_of(keys + j * k.k.row, d, k.D, k.aligned);
#pragma unroll
      for (int e = 0; e < n; ++e) sum += a.v[e] * x.v[e];
    }
    sum = warp_all(sum, Add{});
    if (lane == 0) p[j] = score(i, j0 + j, sum);
  }
  __syncthreads();
  const S s = t < count ? p[t] : S(-HUGE_VAL), m = group_all<kBlock>(s, Most{}, room);
  const S e = exp_unit(s - (m == S(-HUGE_VAL) ? S(0) : m));
  __syncthreads();  // room is read
  const S l = group_all<kBlock>(e, Add{}, room);
  if (t < count) p[t] = k.threshold ? e * score.factor(i, j0 + t) : e;
  __syncthreads();
  const bool only = gridDim.y == 1;
  S* const part = parts + (int64_t(blockIdx.x) * gridDim.y + blockIdx.y) * (k.E + 2);
  S* const to = only ? rows_at<S>(k.y, b, h) + i * k.y.row : part + 2;
  const S factor = !only ? S(1) : l == 0 ? S(0) : 1 / l;
  for (int64_t c0 = 0; c0 < k.E; c0 += 32 * n) {
    Chunk<S> sum{};
    for (int j = warp; j < count; j += 8) {
      const Chunk<S> v = chunk_of(values + j * k.v.row, c0 + lane * n, k.E, k.aligned);
#pragma unroll
      for (int e = 0; e < n; ++e) sum.v[e] += p[j] * v.v[e];
    }
    o[warp][lane] = sum;
    __syncthreads();
    if (warp == 0)
      for (int e = 0; e < n && c0 + lane * n + e < k.E; ++e) {
        S v = 0;
        for (int w = 0; w < 8; ++w) v += o[w][lane].v[e];
        to[c0 + lane * n + e] = only && l == 0 ? S(0) : v * factor;
      }
    __syncthreads();
  }
  if (t) return;
  if (!only)
    part[0] = m, part[1] = l;
  else if (k.lse)
    static_cast<S*>(k.lse)[blockIdx.x] = l == 0 ? S(HUGE_VAL) : m + log_unit(l);
}

// y of one query (a block) from its parts.
template <class S>
__global__ void join_kernel(const AttentionPack k, const S* all, int64_t room) {
  const int64_t head = blockIdx.x / k.L, i = blockIdx.x % k.L, b = head / k.H, h = head % k.H;
  const int64_t limit = Scores<S>(k, b, h).limit(i);
  const int64_t parts = limit > kPartKeys ? (limit + kPartKeys - 1) / kPartKeys : 1;
  const S* const part = all + int64_t(blockIdx.x) * room * (k.E + 2);
  S m = S(-HUGE_VAL), l = 0;
  for (int64_t p = 0; p < parts; ++p) m = Most{}(part[p * (k.E + 2)], m);
  const S base = m == S(-HUGE_VAL) ? S(0) : m;
  for (int64_t p = 0; p < parts; ++p)
    l += part[p * (k.E + 2) + 1] * exp_unit(part[p * (k.E + 2)] - base);
  S* const y = rows_at<S>(k.y, b, h) + i * k.y.row;
  for (int64_t c = threadIdx.x; c < k.E; c += blockDim.x) {
    S v = 0;
    for (int64_t p = 0; p < parts; ++p)
      v += part[p * (k.E + 2) + 2 + c] * exp_unit(part[p * (k.E + 2)] - base);
    y[c] = l == 0 ? S(0) : v / l;
  }
  if (threadIdx.x == 0 && k.lse)
    static_cast<S*>(k.lse)[blockIdx.x] = l == 0 ? S(HUGE_VAL) : m + log_unit(l);
}

template <class S, int R, int C>
void launch_tiles(const DeviceCall& c, const AttentionPack& k) {
  const int64_t tiles = (k.L + 16 * R - 1) / (16 * R), columns = 16 * R * C;
  launch(c, attention_kernel<S, R, C>,
         dim3(unsigned(k.B * k.H * tiles), unsigned(k.E > 0 ? (k.E + columns - 1) / columns : 1)),
         dim3(256), 0, k);
}

template <class S>
void attention_of(const DeviceCall& c, void (*forward)(const DeviceCall&, const AttentionPack&)) {
  const Operand& q = c.in[0];
  AttentionPack k =
      attention_pack<S>(q, c.in[1], c.in[2], c.in[3], *static_cast<const AttentionOpArgs*>(c.args));
  k.y = stored_rows(q, c.out[0]);
  k.lse = c.out[1].data;
  if (c.out[0].numel()) forward(c, k);
}
void attention(const DeviceCall& c) {
  switch (c.in[0].dtype) {
    case DType::float64:
      return attention_of<double>(c, attention_forward<double>);
    case DType::float32:
      return attention_of<float>(c, attention_forward<float>);
    case DType::float16:
      return attention_of<float>(c, attention_forward_half);
    default:
      return attention_of<float>(c, attention_forward_brain);
  }
}

template <class S>
__global__ void keep_kernel(const AttentionPack k, S* to) {
  const Scores<S> score(k, 0, 0);
  LAMINA_GRID_STRIDE(i, k.L * k.S) to[i] = score.factor(i / k.S, i % k.S);
}
void attention_keep(const DeviceCall& c) {
  const auto& op = *static_cast<const AttentionKeepArgs*>(c.args);
  AttentionPack k{};
  k.S = op.shape[3];
  k.L = op.shape[0] * op.shape[1] * op.shape[2];
  if (k.L * k.S == 0) return;
  k.seed = op.key.seed, k.offset = op.key.offset;
  k.threshold = uint64_t(std::llround(op.p * 0x1p32));
  k.keep_scale = op.p < 1 ? 1 / (1 - op.p) : 0;
  if (op.dtype == DType::float64)
    launch(c, keep_kernel<double>, dim3(blocks_for(k.L * k.S)), dim3(kBlock), 0, k,
           static_cast<double*>(c.out[0].data));
  else
    launch(c, keep_kernel<float>, dim3(blocks_for(k.L * k.S)), dim3(kBlock), 0, k,
           static_cast<float*>(c.out[0].data));
}

const Launches kLaunches{{"scaled_dot_product_attention", attention, false, true},
                         {"attention_keep", attention_keep}};

}  // namespace

template <class S>
void attention_forward(const DeviceCall& c, const AttentionPack& k) {
  if (k.B * k.H * k.L == 0) return;
  if (k.L <= kFewQueries) {
    const int64_t parts = k.S > kPartKeys ? (k.S + kPartKeys - 1) / kPartKeys : 1;
    const unsigned queries = unsigned(k.B * k.H * k.L);
    const Scratch room(c.device, parts > 1 ? size_t(queries * parts * (k.E + 2)) * sizeof(S) : 0);
    launch(c, few_kernel<S>, dim3(queries, unsigned(parts)), dim3(256), 0, k, room.as<S>());
    if (parts > 1)
      launch(c, join_kernel<S>, dim3(queries), dim3(128), 0, k, static_cast<const S*>(room.as<S>()),
             parts);
    return;
  }
  if constexpr (sizeof(S) == 4)
    k.E > 64 ? launch_tiles<S, 4, 2>(c, k) : launch_tiles<S, 4, 1>(c, k);
  else
    k.E > 64 ? launch_tiles<S, 2, 4>(c, k) : launch_tiles<S, 2, 2>(c, k);
}
template void attention_forward<float>(const DeviceCall&, const AttentionPack&);
template void attention_forward<double>(const DeviceCall&, const AttentionPack&);

}  // namespace lamina::cuda
