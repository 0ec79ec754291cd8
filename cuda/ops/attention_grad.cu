// Attention backward (formulas: cpp/ops/attention_grad_cpu.h), scores and probabilities made anew
// from lse. One kernel takes 16 R queries through all keys for gq, another 16 R keys through all
// queries that see them for gk and gv: no two blocks add to one place, so the bits do not depend on
// their order. Before them delta_i = <g_i, y_i>, a warp a row.
// Cost: 7 products of L S D (or E) multiply-adds a head, half when causal.
#include "attention.h"

#include "table.h"

namespace lamina::cuda {
namespace {

template <class S, int R, int C>
__global__ void __launch_bounds__(256) queries_kernel(const AttentionPack k) {
  using Tile = AttentionTile<S, R>;
  __shared__ Tile tile;
  __shared__ S x_tile[Panel<S, R, C>::kDepth][Panel<S, R, C>::kColumns];
  const int64_t tiles = (k.L + Tile::kRows - 1) / Tile::kRows, head = blockIdx.x / tiles;
  const int64_t b = head / k.H, h = head % k.H, hk = h / k.group;
  const int64_t i0 = (tiles - 1 - blockIdx.x % tiles) * Tile::kRows;
  const int64_t c0 = int64_t(blockIdx.y) * Panel<S, R, C>::kColumns;
  const S *const q = rows_at<const S>(k.q, b, h), *const g = rows_at<const S>(k.g, b, h);
  const S *const keys = rows_at<const S>(k.k, b, hk), *const v = rows_at<const S>(k.v, b, hk);
  const AttentionBackward<S> back(k, b, h);
  const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
  Panel<S, R, C> gq;
  gq.clear();
  const int64_t n = back.score.limit(i0 + Tile::kRows - 1);
  for (int64_t j0 = 0; j0 < n; j0 += Tile::kRows) {
    S s[R][R], gv[R][R];
    tile.scores(s, q, k.q.row, i0, k.L, keys, k.k.row, j0, n, k.D, k.aligned);
    tile.scores(gv, g, k.g.row, i0, k.L, v, k.v.row, j0, n, k.E, k.aligned);
#pragma unroll
    for (int i = 0; i < R; ++i)
#pragma unroll
      for (int j = 0; j < R; ++j) {
        S pz;
        back(i0 + ty + i, j0 + tx + j, s[i][j], gv[i][j], pz, s[i][j]);
      }
    tile.keep(s, true);
    gq.apply(tile, x_tile, keys, k.k.row, j0, n, c0, k.D, k.aligned);
  }
  S* const to = rows_at<S>(k.gq, b, h);
  gq.each(c0, k.D, [&](int, int row, int64_t column, S value) {
    if (i0 + row < k.L) to[(i0 + row) * k.gq.row + column] = value * S(k.scale);
  });
}

// gk and gv of 16 R keys, columns [c0, ...) of both.
template <class S, int R, int C>
__global__ void __launch_bounds__(256) keys_kernel(const AttentionPack k) {
  using Tile = AttentionTile<S, R>;
  __shared__ Tile tile;
  __shared__ S x_tile[Panel<S, R, C>::kDepth][Panel<S, R, C>::kColumns];
  const int64_t tiles = (k.S + Tile::kRows - 1) / Tile::kRows, heads = k.H / k.group;
  const int64_t b = blockIdx.x / tiles / heads, hk = blockIdx.x / tiles % heads;
  const int64_t j0 = blockIdx.x % tiles * Tile::kRows;
  const int64_t c0 = int64_t(blockIdx.y) * Panel<S, R, C>::kColumns;
  const S *const keys = rows_at<const S>(k.k, b, hk), *const v = rows_at<const S>(k.v, b, hk);
  const int ty = int(threadIdx.x) / 16 * R, tx = int(threadIdx.x) % 16 * R;
  const bool wants_k = k.gk.p && c0 < k.D, wants_v = k.gv.p && c0 < k.E;
  Panel<S, R, C> gk, gv;
  gk.clear();
  gv.clear();
  for (int64_t h = hk * k.group; h < (hk + 1) * k.group; ++h) {
    const S *const q = rows_at<const S>(k.q, b, h), *const g = rows_at<const S>(k.g, b, h);
    const AttentionBackward<S> back(k, b, h);
    const int64_t first = k.causal ? j0 / Tile::kRows * Tile::kRows : 0;  // the first that sees j0
    for (int64_t i0 = first; i0 < k.L; i0 += Tile::kRows) {
      S s[R][R], x[R][R];  // rows are queries
      tile.scores(s, q, k.q.row, i0, k.L, keys, k.k.row, j0, k.S, k.D, k.aligned);
      tile.scores(x, g, k.g.row, i0, k.L, v, k.v.row, j0, k.S, k.E, k.aligned);
#pragma unroll
      for (int i = 0; i < R; ++i)
#pragma unroll
        for (int j = 0; j < R; ++j) {
          S pz, ds;
          back(i0 + ty + i, j0 + tx + j, s[i][j], x[i][j], pz, ds);
          s[i][j] = pz;
          x[i][j] = ds;
        }
      if (wants_v) {
        tile.keep(s, false);
        gv.apply(tile, x_tile, g, k.g.row, i0, k.L, c0, k.E, k.aligned);
      }
      if (wants_k) {
        tile.keep(x, false);
        gk.apply(tile, x_tile, q, k.q.row, i0, k.L, c0, k.D, k.aligned);
      }
    }
  }
  if (wants_k) {
    S* const to = rows_at<S>(k.gk, b, hk);
    gk.each(c0, k.D, [&](int, int row, int64_t column, S value) {
      if (j0 + row < k.S) to[(j0 + row) * k.gk.row + column] = value * S(k.scale);
    });
  }
  if (wants_v) {
    S* const to = rows_at<S>(k.gv, b, hk);
    gv.each(c0, k.E, [&](int, int row, int64_t column, S value) {
      if (j0 + row < k.S) to[(j0 + row) * k.gv.row + column] = value;
    });
  }
}

template <class S, int R, int C>
void launch_grads(const DeviceCall& c, const AttentionPack& k) {
  constexpr int64_t rows = 16 * R, columns = 16 * R * C;
  const auto blocks = [](int64_t n, int64_t size) { return unsigned((n + size - 1) / size); };
  if (k.gq.p)
    launch(c, queries_kernel<S, R, C>,
           dim3(unsigned(k.B * k.H) * blocks(k.L, rows), blocks(k.D, columns)), dim3(256), 0, k);
  if (k.gk.p || k.gv.p) {
    const int64_t width = !k.gv.p || (k.gk.p && k.D > k.E) ? k.D : k.E;
    launch(c, keys_kernel<S, R, C>,
           dim3(unsigned(k.B * (k.H / k.group)) * blocks(k.S, rows), blocks(width, columns)),
           dim3(256), 0, k);
  }
}

template <class S>
void backward_of(const DeviceCall& c, const AttentionPack& given) {
  AttentionPack k = given;
  const int64_t rows = k.B * k.H * k.L;
  const Scratch delta(c.device, size_t(rows) * sizeof(S));
  launch(c, delta_kernel<S>, dim3(unsigned((rows + 7) / 8)), dim3(256), 0, k, delta.as<S>());
  k.delta = delta.as<void>();
  const int64_t width = k.D > k.E ? k.D : k.E;
  if constexpr (sizeof(S) == 4)
    width > 64 ? launch_grads<S, 4, 2>(c, k) : launch_grads<S, 4, 1>(c, k);
  else
    width > 32 ? launch_grads<S, 2, 2>(c, k) : launch_grads<S, 2, 1>(c, k);
}

template <class S>
void attention_grad_of(const DeviceCall& c,
                       void (*backward)(const DeviceCall&, const AttentionPack&)) {
  const auto& op = *static_cast<const AttentionOpArgs*>(c.args);
  const Operand &g = c.in[0], &q = c.in[1], &key = c.in[2], &v = c.in[3], &y = c.in[4];
  AttentionPack k = attention_pack<S>(q, key, v, c.in[6], op);
  if (k.B * k.H * k.L * k.S * k.D * k.E == 0) {
    for (int i = 0; i < c.outputs; ++i)
      if (const size_t n = size_t(c.out[i].numel()))
        check(cudaMemsetAsync(c.out[i].data, 0, n * size_t(item_size(q.dtype)),
                              current_stream(c.device)),
              c.name);
    return;
  }
  k.g = rows_of(g);
  k.y = rows_of(y);
  k.aligned = k.aligned && rows_fit<S>(k.g);
  k.lse = c.in[5].data;
  if (op.gq) k.gq = stored_rows(q, c.out[0]);
  if (op.gk) k.gk = stored_rows(key, c.out[1]);
  if (op.gv) k.gv = stored_rows(v, c.out[2]);
  backward(c, k);
}
void attention_grad(const DeviceCall& c) {
  switch (c.in[1].dtype) {
    case DType::float64:
      return attention_grad_of<double>(c, backward_of<double>);
    case DType::float32:
      return attention_grad_of<float>(c, backward_of<float>);
    case DType::float16:
      return attention_grad_of<float>(c, attention_backward_half);
    default:
      return attention_grad_of<float>(c, attention_backward_brain);
  }
}

const Launches kLaunches{{"scaled_dot_product_attention_grad", attention_grad, false, true}};

}  // namespace
}  // namespace lamina::cuda
