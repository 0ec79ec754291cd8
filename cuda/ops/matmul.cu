// Matrix products: a tile of 64 x 64 of C for a block of 256 threads, 4 x 4 elements a thread, the
// operands passing through shared memory 16 columns at a time. Any strides; batches by offset.
// Every element is summed over k in order, so a row has the same bits whatever the batch.
#include "ops/matmul_args.h"

#include "gemm.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int kTile = 64, kDepth = 16, kEach = 4;

template <class S>
__global__ void __launch_bounds__(256) gemm_kernel(const Gemm g) {
  __shared__ S a_tile[kDepth][kTile + 4], b_tile[kDepth][kTile + 4];
  const int t = int(threadIdx.x), tx = t % 16, ty = t / 16;
  const int64_t tiles_n = (g.N + kTile - 1) / kTile, tiles_m = (g.M + kTile - 1) / kTile;
  const int64_t all = tiles_m * tiles_n * g.products;
  for (int64_t block = blockIdx.x; block < all; block += gridDim.x) {
    const int64_t product = block / (tiles_m * tiles_n), tile = block % (tiles_m * tiles_n);
    const int64_t m0 = tile / tiles_n * kTile, n0 = tile % tiles_n * kTile;
    int64_t at_a = 0, at_b = 0, rest = product;
    for (int d = g.batch_dims - 1; d >= 0; --d) {
      const int64_t i = rest % g.batch[d];
      rest /= g.batch[d];
      at_a += i * g.batch_a[d];
      at_b += i * g.batch_b[d];
    }
    const S *a = static_cast<const S*>(g.a) + at_a, *b = static_cast<const S*>(g.b) + at_b;
    S sum[kEach][kEach] = {};
    for (int64_t k0 = 0; k0 < g.K; k0 += kDepth) {
      // Neighbouring threads read neighbours in memory, along whichever index that is.
      for (int e = t; e < kTile * kDepth; e += 256) {
        const int k = g.a_k == 1 ? e % kDepth : e / kTile, m = g.a_k == 1 ? e / kDepth : e % kTile;
        a_tile[k][m] = m0 + m < g.M && k0 + k < g.K ? a[(m0 + m) * g.a_row + (k0 + k) * g.a_k] : S{};
      }
      for (int e = t; e < kTile * kDepth; e += 256) {
        const int k = g.b_k == 1 ? e % kDepth : e / kTile, n = g.b_k == 1 ? e / kDepth : e % kTile;
        b_tile[k][n] = n0 + n < g.N && k0 + k < g.K ? b[(k0 + k) * g.b_k + (n0 + n) * g.b_col] : S{};
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kDepth; ++k) {
        S u[kEach], v[kEach];
        for (int i = 0; i < kEach; ++i) {
          u[i] = a_tile[k][ty * kEach + i];
          v[i] = b_tile[k][tx * kEach + i];
        }
        for (int i = 0; i < kEach; ++i)
          for (int j = 0; j < kEach; ++j) sum[i][j] = sum[i][j] + u[i] * v[j];
      }
      __syncthreads();
    }
    S* const c = static_cast<S*>(g.c) + product * g.c_product;
    for (int i = 0; i < kEach; ++i)
      for (int j = 0; j < kEach; ++j) {
        const int64_t m = m0 + ty * kEach + i, n = n0 + tx * kEach + j;
        if (m >= g.M || n >= g.N) continue;
        S v = sum[i][j];
        if (g.column_bias) v = v + static_cast<const S*>(g.column_bias)[n];
        if (g.row_bias) v = v + static_cast<const S*>(g.row_bias)[m];
        S& to = c[m * g.c_row + n];
        if (g.add) v = v + to;
        if (g.relu) v = v > S{0} ? v : v != v ? v : S{0};
        to = v;
      }
  }
}

// Whether dimensions [0, nd - 1) of t form one dimension with an even step.
bool rows_collapse(const Operand& t, int64_t* step) {
  *step = t.nd > 1 ? t.strides[t.nd - 2] : t.shape[t.nd - 1];
  int64_t next = 0;
  bool first = true;
  for (int d = t.nd - 2; d >= 0; --d) {
    if (t.shape[d] == 1) continue;
    if (first)
      *step = t.strides[d];
    else if (t.strides[d] != next)
      return false;
    first = false;
    next = t.strides[d] * t.shape[d];
  }
  return true;
}

void matmul(const DeviceCall& c) {
  const Operand &a = c.in[0], &b = c.in[1], &y = c.out[0];
  Gemm g;
  g.a = a.data;
  g.b = b.data;
  g.c = y.data;
  g.M = a.shape[a.nd - 2];
  g.N = b.shape[b.nd - 1];
  g.K = a.shape[a.nd - 1];
  g.a_row = a.strides[a.nd - 2];
  g.a_k = a.strides[a.nd - 1];
  g.b_k = b.strides[b.nd - 2];
  g.b_col = b.strides[b.nd - 1];
  g.c_row = g.N;
  int64_t step;
  if (y.nd > 2 && b.nd == 2 && rows_collapse(a, &step)) {  // one product with all rows of a
    g.M = y.numel() / (g.N ? g.N : 1);
    g.a_row = step;
  } else {
    g.batch_dims = y.nd - 2;
    g.c_product = g.M * g.N;
    for (int d = 0; d < g.batch_dims; ++d) {
      const int da = d - (y.nd - a.nd), db = d - (y.nd - b.nd);
      g.batch[d] = y.shape[d];
      g.batch_a[d] = da < 0 || a.shape[da] == 1 ? 0 : a.strides[da];
      g.batch_b[d] = db < 0 || b.shape[db] == 1 ? 0 : b.strides[db];
      g.products *= y.shape[d];
    }
  }
  gemm(c, compute_type(y.dtype), g);
}

void linear(const DeviceCall& c) {
  const Operand &x = c.in[0], &w = c.in[1], &y = c.out[0];
  Gemm g;
  g.a = x.data;
  g.b = w.data;
  g.c = y.data;
  g.N = w.shape[0];
  g.K = w.shape[1];
  g.M = 1;
  for (int d = 0; d + 1 < x.nd; ++d) g.M *= x.shape[d];
  rows_collapse(x, &g.a_row);  // `linear` saw to it
  g.a_k = x.strides[x.nd - 1];
  g.b_k = w.strides[1];
  g.b_col = w.strides[0];
  g.c_row = g.N;
  if (c.inputs > 2) g.column_bias = c.in[2].data;
  g.relu = static_cast<const LinearArgs*>(c.args)->relu;
  gemm(c, compute_type(y.dtype), g);
}

const Launches kLaunches{{"matmul", matmul}, {"linear", linear}};

}  // namespace

void gemm(const DeviceCall& c, Compute via, const Gemm& g) {
  const int64_t blocks = (g.M + kTile - 1) / kTile * ((g.N + kTile - 1) / kTile) * g.products;
  if (blocks == 0) return;
  const auto kernel = via == kF32   ? gemm_kernel<float>
                      : via == kF64 ? gemm_kernel<double>
                                    : gemm_kernel<Int>;
  launch(c, kernel, dim3(unsigned(blocks < kMaxGrid ? blocks : kMaxGrid)), dim3(256), 0, g);
}

}  // namespace lamina::cuda
