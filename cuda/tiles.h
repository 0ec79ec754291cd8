// The loops of a matrix product whose operands are functions: C(m, n) = sum_k A(m, k) B(k, n).
//
// A block of 256 threads forms a 64 x 64 tile of C, 4 x 4 elements a thread; operands pass through
// shared memory, 16 values of k at a time. Every element is summed over k in order, so it has the
// same bits whatever else is computed. The operands say where their elements are, which makes
// products with strides and convolutions (whose patches are never stored) one kernel.
#pragma once
#include "launch.h"
#include "number.h"

namespace lamina::cuda {

constexpr int kTile = 64, kDepth = 16, kEach = 4;

// P has M(), N(), K(), a_along_k(), b_along_k() (which index neighbouring threads should read
// along), batch(product) -> Batch, a(batch, m, k), b(batch, k, n), put(batch, m, n, value).
template <class P>
__global__ void __launch_bounds__(256) tiles_kernel(const P p, int64_t products) {
  using S = typename P::S;
  __shared__ S a_tile[kDepth][kTile + 4], b_tile[kDepth][kTile + 4];
  const int t = int(threadIdx.x), tx = t % 16, ty = t / 16;
  const int64_t M = p.M(), N = p.N(), K = p.K();
  const int64_t tiles_n = (N + kTile - 1) / kTile, tiles_m = (M + kTile - 1) / kTile;
  for (int64_t block = blockIdx.x; block < tiles_m * tiles_n * products; block += gridDim.x) {
    const auto batch = p.batch(block / (tiles_m * tiles_n));
    const int64_t tile = block % (tiles_m * tiles_n);
    const int64_t m0 = tile / tiles_n * kTile, n0 = tile % tiles_n * kTile;
    S sum[kEach][kEach] = {};
    for (int64_t k0 = 0; k0 < K; k0 += kDepth) {
      for (int e = t; e < kTile * kDepth; e += 256) {
        const int k = p.a_along_k() ? e % kDepth : e / kTile;
        const int m = p.a_along_k() ? e / kDepth : e % kTile;
        a_tile[k][m] = m0 + m < M && k0 + k < K ? p.a(batch, m0 + m, k0 + k) : S{};
      }
      for (int e = t; e < kTile * kDepth; e += 256) {
        const int k = p.b_along_k() ? e % kDepth : e / kTile;
        const int n = p.b_along_k() ? e / kDepth : e % kTile;
        b_tile[k][n] = n0 + n < N && k0 + k < K ? p.b(batch, k0 + k, n0 + n) : S{};
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
    for (int i = 0; i < kEach; ++i)
      for (int j = 0; j < kEach; ++j) {
        const int64_t m = m0 + ty * kEach + i, n = n0 + tx * kEach + j;
        if (m < M && n < N) p.put(batch, m, n, sum[i][j]);
      }
  }
}

template <class P>
void multiply_tiles(const DeviceCall& c, const P& p, int64_t M, int64_t N, int64_t products) {
  const int64_t blocks = (M + kTile - 1) / kTile * ((N + kTile - 1) / kTile) * products;
  if (blocks)
    launch(c, tiles_kernel<P>, dim3(unsigned(blocks < kMaxGrid ? blocks : kMaxGrid)), dim3(256), 0,
           p, products);
}

}  // namespace lamina::cuda
